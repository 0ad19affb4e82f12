"""Stages 2 to 7 of 7 for heartbeats: a recording -> the beats of one lead, judged by it or by all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from heartbert.bundle import Bundle, Head
from heartbert.embedded_leads import Clock, LeadReader
from heartbert.errors import BundleError, ConfigError
from heartbert.predictions.beat_reading import BeatReader, EmbeddedBlock, SequenceReader, WindowReader
from heartbert.predictions.fusion import LeadFusion
from heartbert.predictions.given_beats import r_peaks_at_360hz
from heartbert.predictions.heartbeats import HeartbeatHead
from heartbert.predictions.labels import AamiClass, BeatPredictions, check_confidence
from heartbert.predictions.scorable import beat_quality
from heartbert.progress import Progress
from heartbert.records.record import Channel, Record
from heartbert.signals.resampling import rate_ratio
from heartbert.signals.scaling import Scaling
from heartbert.signals.survey import Survey

Leads = Literal["one", "all"]


@dataclass(frozen=True)
class BeatWishes:
    """How beats are to be classified: the options of `HeartBert.analyze`."""

    lead: str | None
    leads: Leads
    r_peaks: npt.NDArray[np.int64] | None
    min_confidence: float


@dataclass(frozen=True)
class ClassifiedBeats:
    """The beats of a lead, and what was learnt of it on the way."""

    channel: Channel
    beats: BeatPredictions
    survey: Survey
    scaling: Scaling
    n_clipped: int
    leads: tuple[str, ...]


class LeadBeats:
    """Applies the heartbeat head of a bundle to recordings.

    Parameters
    ----------
    bundle : Bundle
    leads : LeadReader
        Of the same bundle.
    """

    def __init__(self, bundle: Bundle, leads: LeadReader) -> None:
        self._bundle, self._leads = bundle, leads

    def classify(
        self,
        record: Record,
        wishes: BeatWishes,
        clock: Clock,
        progress: Progress,
        *,
        see: Callable[[EmbeddedBlock], None] | None,
    ) -> ClassifiedBeats:
        """Classify beats; `see` is shown every block of the lead, and the last layer is computed only for it."""
        check_confidence(wishes.min_confidence)
        if wishes.leads not in get_args(Leads):
            raise ConfigError(f"leads is '{wishes.leads}'; choose one of {', '.join(get_args(Leads))}.")
        head, channel, r_peaks = self._head(), record.lead(wishes.lead), wishes.r_peaks
        given = None if r_peaks is None else r_peaks_at_360hz(r_peaks, channel, whose="the given beats")
        with clock.stage("signal"):
            progress("finding beats", 0.0)
            survey, scaling = self._leads.survey(record, channel)
        beats = survey.r_peaks if given is None else given
        others = record.other_ecg_leads(channel.name) if wishes.leads == "all" else ()
        reader = self._reader(head, beats, survey.n_samples)
        n_clipped = 0
        for block in self._leads.blocks(channel, scaling, clock, last=see is not None):
            progress("embedding", float(block.window_stops[-1]) / survey.n_samples / (1 + len(others)))
            if see is not None:
                with clock.stage("embeddings"):
                    see(block)
            with clock.stage("heartbeats"):
                reader.add(block)
            n_clipped += block.n_clipped
        with clock.stage("heartbeats"):
            reader.finish()
        probabilities = reader.probabilities
        if others:
            fusion = LeadFusion(beats.size, len(AamiClass))
            fusion.add(probabilities, beat_quality(beats, survey.unscorable, survey.n_samples))
            for number, other in enumerate(others, 1):
                progress("embedding", number / (1 + len(others)))
                self._add_lead(fusion, record, other, beats, clock)
            probabilities = fusion.probabilities
        samples = _samples_of(beats, channel) if r_peaks is None else np.asarray(r_peaks, dtype=np.int64)
        predictions = BeatPredictions(samples, channel.fs, probabilities, wishes.min_confidence)
        leads = (channel.name, *(other.name for other in others))
        return ClassifiedBeats(channel, predictions, survey, scaling, n_clipped, leads)

    def _add_lead(
        self, fusion: LeadFusion, record: Record, channel: Channel, beats: npt.NDArray[np.int64], clock: Clock
    ) -> None:
        """Classify the same beats in one more lead."""
        with clock.stage("signal"):
            survey, scaling = self._leads.survey(record, channel)
        quality = beat_quality(beats, survey.unscorable, survey.n_samples)
        if not quality.any():
            return
        reader = self._reader(self._head(), beats, survey.n_samples)
        for block in self._leads.blocks(channel, scaling, clock, last=False):
            with clock.stage("heartbeats"):
                reader.add(block)
        with clock.stage("heartbeats"):
            reader.finish()
        fusion.add(reader.probabilities, quality)

    def _reader(self, head: Head, beats: npt.NDArray[np.int64], n_samples: int) -> BeatReader:
        if isinstance(head, HeartbeatHead):
            return SequenceReader(head, beats)
        return WindowReader(head, self._bundle.token_reader, beats, n_samples=n_samples)

    def _head(self) -> Head:
        if self._bundle.heartbeats is None:
            raise BundleError(
                f"bundle '{self._bundle.name}' has no heartbeat head; train one with 'heartbert train-heartbeats' "
                "or use another bundle."
            )
        return self._bundle.heartbeats


def _samples_of(beats: npt.NDArray[np.int64], channel: Channel) -> npt.NDArray[np.int64]:
    """Return beats found at 360 Hz as samples of the lead they were found in."""
    samples = np.round(beats / float(rate_ratio(channel.fs))).astype(np.int64)
    return np.minimum(samples, channel.n_samples - 1)
