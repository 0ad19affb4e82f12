"""The whole path: record -> signal -> levels -> text -> tokens -> embeddings -> predictions. Read this file first."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from heartbert.analysis import Analysis, Embeddings, StagedSleep
from heartbert.bundle import Bundle, load_bundle
from heartbert.embedded_leads import Clock, LeadReader, join_rows, token_rows, window_rows
from heartbert.errors import ConfigError, SignalValueError
from heartbert.files import shipped_bundle
from heartbert.lead_beats import BeatWishes, LeadBeats, Leads
from heartbert.predictions.beat_reading import BeatPooler
from heartbert.predictions.given_beats import check_r_peaks
from heartbert.predictions.heartbeats import beat_intervals
from heartbert.predictions.labels import BeatPredictions, check_confidence
from heartbert.predictions.sleep_epochs import EpochEncoder
from heartbert.predictions.sleep_labels import SleepPredictions
from heartbert.predictions.sleep_night import check_duration
from heartbert.predictions.sleep_reading import EpochTap, night_of_epochs
from heartbert.predictions.sleep_stages import SleepHead, stage_sleep
from heartbert.predictions.tasks import TaskPredictions, predict_task
from heartbert.progress import Progress, no_progress
from heartbert.records.record import Channel, Record
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.scaling import Scaling

WantsSleep = Literal["auto", "yes", "no"]
# Shortest recording whose sleep is staged without being asked for, in seconds: shorter ones are rarely of sleep.
SLEEP_BY_DEFAULT_S = 3600.0


class HeartBert:
    """A loaded bundle, applied to recordings.

    Parameters
    ----------
    bundle : Bundle
        See `HeartBert.load`.

    Examples
    --------
    >>> import heartbert
    >>> hb = heartbert.load()
    >>> record = heartbert.demo_record()
    >>> hb.embed(record).vectors.shape
    (27, 256)
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._leads = LeadReader(bundle)
        self._beats = LeadBeats(bundle, self._leads)

    @classmethod
    def load(cls, folder: str | Path | None = None) -> "HeartBert":
        """Load a bundle: a folder, or by default the one that ships with heartbert.

        Raises
        ------
        BundleError
            If the folder is no bundle, or one of its files is damaged.
        """
        if folder is not None:
            return cls(load_bundle(Path(folder)))
        with shipped_bundle() as shipped:
            return cls(load_bundle(shipped))

    def embed(
        self, record: Record, *, lead: str | None = None, unit: Literal["window", "token", "beat"] = "window"
    ) -> Embeddings:
        """Embed one lead of a recording.

        Parameters
        ----------
        record : Record
        lead : str, optional
            Name of the lead; by default the first ECG lead in the documented order of preference.
        unit : {"window", "token", "beat"}
            What each vector stands for: a window of at most 4000 samples (11.1 s), a token, or a heartbeat. A beat's
            vector holds the means of its P wave, QRS complex and T wave, one after the other.

        Returns
        -------
        embeddings : Embeddings
            Window: shape (n_windows, hidden_size), last layer. Token: (n_tokens, hidden_size), last layer.
            Beat: (n_beats, 3 * hidden_size), the layer that the heartbeat head reads.

        Raises
        ------
        LeadNotFoundError, SignalTooShortError, SignalValueError
        """
        channel = record.lead(lead)
        survey, scaling = self._leads.survey(record, channel)
        if unit == "beat":
            vectors = self.beat_embeddings(channel, scaling, survey.r_peaks)
            starts, stops = beat_intervals(survey.r_peaks)
            n_tokens = np.ones(survey.r_peaks.size, dtype=np.int64)
            return Embeddings(starts[:, 0] / TARGET_FS, stops[:, -1] / TARGET_FS, n_tokens, vectors.astype(np.float32))
        per_block = window_rows if unit == "window" else token_rows
        return join_rows([per_block(block) for block in self._leads.blocks(channel, scaling)])

    def classify_heartbeats(
        self,
        record: Record,
        *,
        lead: str | None = None,
        leads: Leads = "one",
        r_peaks: npt.NDArray[np.int64] | None = None,
        min_confidence: float = 0.0,
        progress: Progress = no_progress,
    ) -> BeatPredictions:
        """Give each heartbeat its AAMI class with a probability; the options are those of `analyze`.

        Faster than `analyze`, which embeds windows too: nothing is computed above the layer that the head reads.

        Raises
        ------
        BundleError, ConfigError, LeadNotFoundError, SignalTooShortError, SignalValueError
        """
        wishes = BeatWishes(lead, leads, r_peaks, min_confidence)
        return self._beats.classify(record, wishes, Clock(), progress, see=None).beats

    def analyze(
        self,
        record: Record,
        *,
        lead: str | None = None,
        leads: Leads = "one",
        r_peaks: npt.NDArray[np.int64] | None = None,
        min_confidence: float = 0.0,
        progress: Progress = no_progress,
    ) -> Analysis:
        """Run the whole path over a recording in constant memory.

        Parameters
        ----------
        record : Record
        lead : str, optional
            Name of the lead in which beats are found and that the result shows; by default the first ECG lead in the
            documented order of preference.
        leads : {"one", "all"}
            Which leads classify the beats: that one, or every ECG lead of the recording. The log-probabilities of
            several are averaged, each weighted by the share of the beat that can be scored in it.
        r_peaks : ndarray of int, shape (n_beats,), optional
            Beats to classify, as sample indices of the lead, increasing; by default they are detected. All of them
            are classified, also in unscorable stretches: see `heartbert.predictions.given_beats`.
        min_confidence : float
            Beats whose highest probability is below it become Q; 0 to 1.
        progress : callable
            Told the stage and the fraction done.

        Returns
        -------
        analysis : Analysis

        Raises
        ------
        BundleError
            If the bundle has no heartbeat head.
        ConfigError
            If `min_confidence` is no probability, or `r_peaks` cannot be beats of the lead.
        LeadNotFoundError, SignalTooShortError, SignalValueError
        """
        clock, rows = Clock(), list[Embeddings]()
        wishes = BeatWishes(lead, leads, r_peaks, min_confidence)
        found = self._beats.classify(record, wishes, clock, progress, see=lambda block: rows.append(window_rows(block)))
        return Analysis(
            record=record,
            channel=found.channel,
            beats=found.beats,
            windows=join_rows(rows),
            unscorable=found.survey.unscorable,
            scale_low=found.scaling.low,
            scale_high=found.scaling.high,
            n_clipped_samples=found.n_clipped,
            n_samples_360hz=found.survey.n_samples,
            seconds_by_stage=clock.seconds,
            bundle_name=self.bundle.name,
            heartbeat_scores=self.bundle.manifest["heartbeat_scores"],
            calibration=self.bundle.calibration,
            leads=found.leads,
            beats_given=r_peaks is not None,
        )

    def stage_sleep(
        self,
        record: Record,
        *,
        lead: str | None = None,
        r_peaks: npt.NDArray[np.int64] | None = None,
        min_confidence: float = 0.0,
        progress: Progress = no_progress,
    ) -> SleepPredictions:
        """Give each 30-s epoch of a night the probability of each sleep stage, in one pass over the lead.

        Parameters
        ----------
        record : Record
            Of 10 minutes or more; what is left after the last whole epoch is not staged.
        lead : str, optional
            By default the first ECG lead in the documented order of preference.
        r_peaks : ndarray of int, shape (n_beats,), optional
            Beats as sample indices of the lead, increasing; by default they are detected.
        min_confidence : float
            Epochs whose most probable stage is less probable are doubtful: `SleepPredictions.abstained`; 0 to 1.
        progress : callable
            Told the stage and the fraction done.

        Returns
        -------
        predictions : SleepPredictions
            With the wall-clock time of its start where the file gives one.

        Raises
        ------
        BundleError
            If the bundle has no sleep head.
        ConfigError
            If `r_peaks` cannot be beats of the lead.
        LeadNotFoundError, SignalTooShortError
        SignalValueError
            If there is no beat.
        """
        check_confidence(min_confidence)
        head, channel = self.bundle.sleep_head, record.lead(lead)
        name = f"record '{record.name}', lead '{channel.name}'"
        check_duration(channel.duration_s, name=name)
        given = None if r_peaks is None else check_r_peaks(r_peaks, channel.n_samples, whose="the given beats")
        progress("finding beats", 0.0)
        tap = EpochTap()
        survey, _ = self._leads.survey(record, channel, tap)
        times_s = survey.r_peaks / TARGET_FS if given is None else given / channel.fs
        if not times_s.size:
            raise SignalValueError(f"{name} has no beat; sleep is staged from heartbeats. Choose another lead.")
        progress("staging sleep", 0.0)
        night = night_of_epochs(tap, self._epoch_encoder(head), times_s)
        staged = stage_sleep(head, night.seen_by(head.inputs), start=record.start)
        return replace(staged, min_confidence=min_confidence)

    def with_sleep(
        self, analysis: Analysis, *, min_confidence: float = 0.0, progress: Progress = no_progress
    ) -> Analysis:
        """Add the sleep stages of the recording to an analysis, in its lead and on its beats if they were given.

        Parameters
        ----------
        analysis : Analysis
        min_confidence : float
            Epochs whose most probable stage is less probable are left open; 0 to 1.
        progress : callable
            Told the stage and the fraction done.

        Raises
        ------
        BundleError, ConfigError, SignalTooShortError, SignalValueError
            As `stage_sleep`.
        """
        origin, clock = self.bundle.sleep_origin, Clock()
        given = analysis.beats.samples if analysis.beats_given else None
        with clock.stage("sleep"):
            predictions = self.stage_sleep(
                analysis.record,
                lead=analysis.channel.name,
                r_peaks=given,
                min_confidence=min_confidence,
                progress=progress,
            )
        return replace(
            analysis,
            sleep=StagedSleep(predictions, origin),
            seconds_by_stage=analysis.seconds_by_stage | clock.seconds,
        )

    def wants_sleep(self, channel: Channel, when: WantsSleep = "auto") -> bool:
        """Say whether sleep is to be staged, before any work is done.

        Parameters
        ----------
        channel : Channel
        when : {"auto", "yes", "no"}
            "auto" stages it if the bundle has a sleep head and the lead lasts an hour or more.

        Raises
        ------
        BundleError, SignalTooShortError
            If it is wanted and not possible.
        ConfigError
            If `when` is something else.
        """
        if when not in get_args(WantsSleep):
            raise ConfigError(f"sleep is '{when}'; choose one of {', '.join(get_args(WantsSleep))}.")
        can = self.bundle.sleep is not None and channel.duration_s >= SLEEP_BY_DEFAULT_S
        wanted = when == "yes" or (when == "auto" and can)
        if wanted:
            _ = self.bundle.sleep_origin  # refuses a bundle without a head that fits
            check_duration(channel.duration_s, name=f"lead '{channel.name}'")
        return wanted

    def predict(
        self,
        record: Record,
        *,
        task: str,
        lead: str | None = None,
        r_peaks: npt.NDArray[np.int64] | None = None,
        window_s: float | None = None,
    ) -> TaskPredictions:
        """Apply the head of a task that `heartbert finetune` added to the bundle; see `predict_task`.

        Raises
        ------
        BundleError
            If the bundle has no such task.
        """
        parts = self.bundle.preprocessing, self.bundle.token_reader
        return predict_task(self.bundle.task(task), parts, record, lead=lead, r_peaks=r_peaks, window_s=window_s)

    def beat_embeddings(
        self,
        channel: Channel,
        scaling: Scaling,
        r_peaks: npt.NDArray[np.int64],
        *,
        layer: int | None = None,
        n_waveform: int = 0,
    ) -> npt.NDArray[np.float16]:
        """Embed the beats at given R-peaks.

        Parameters
        ----------
        channel : Channel
        scaling : Scaling
        r_peaks : ndarray of int64, shape (n_beats,)
            Increasing sample indices at 360 Hz.
        layer : int, optional
            Encoder layer; by default the one that the heartbeat head reads, or the last without a head.
        n_waveform : int
            See `BeatPooler`.

        Returns
        -------
        embeddings : ndarray of float16, shape (n_beats, n_parts * hidden_size + n_waveform)
        """
        beats = BeatPooler(r_peaks, n_waveform)
        pooled = [beats.add(block) for block in self._leads.blocks(channel, scaling, layer=layer, last=False)]
        return np.concatenate([*pooled, beats.finish()])

    def _epoch_encoder(self, head: SleepHead) -> EpochEncoder | None:
        """Return what gives epochs their vectors; None for a head that reads beats alone."""
        bundle = self.bundle
        if head.inputs == "beats":
            return None
        return EpochEncoder(
            bundle.preprocessing, bundle.tokenizer, bundle.model.base_model, bundle.max_tokens, head.layer
        )
