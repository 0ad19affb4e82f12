"""The whole path: record -> signal -> levels -> text -> tokens -> embeddings -> predictions. Read this file first."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.analysis import Analysis, Embeddings
from heartbert.bundle import Bundle, load_bundle
from heartbert.embeddings.embed import IntervalPooler, TokenEmbeddings, embed, pool_windows
from heartbert.errors import BundleError, SignalTooShortError
from heartbert.files import shipped_bundle
from heartbert.predictions.heartbeats import HeartbeatClassifier, HeartbeatHead, beat_intervals
from heartbert.predictions.labels import BeatPredictions
from heartbert.progress import Progress, no_progress
from heartbert.records.record import Channel, Record
from heartbert.signals.resampling import TARGET_FS, rate_ratio
from heartbert.signals.scaling import Scaling, check_amplitude
from heartbert.signals.streaming import Block
from heartbert.signals.survey import Survey, survey_lead
from heartbert.tokens import Tokens

# Shortest recording with a beat to speak of, in seconds.
SHORTEST_S = 1.0


@dataclass(frozen=True)
class EmbeddedBlock:
    """About five minutes of a lead as token embeddings.

    Attributes
    ----------
    window_starts, window_stops : ndarray of int64, shape (n_windows,)
        Samples at 360 Hz from the start of the recording.
    tokens : TokenEmbeddings
        `window` counts from the first window of the block.
    usable : ndarray of bool, shape (n_tokens,)
        False for tokens of which most samples are unscorable; the encoder did not see them.
    n_clipped : int
        Samples outside the scaling's range.
    """

    window_starts: npt.NDArray[np.int64]
    window_stops: npt.NDArray[np.int64]
    tokens: TokenEmbeddings
    usable: npt.NDArray[np.bool_]
    n_clipped: int


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
        survey, scaling = self._survey(record, channel)
        if unit == "beat":
            vectors = self.beat_embeddings(channel, scaling, survey.r_peaks)
            starts, stops = beat_intervals(survey.r_peaks)
            n_tokens = np.ones(survey.r_peaks.size, dtype=np.int64)
            return Embeddings(starts[:, 0] / TARGET_FS, stops[:, -1] / TARGET_FS, n_tokens, vectors.astype(np.float32))
        per_block = _window_rows if unit == "window" else _token_rows
        return _join([per_block(block) for block in self._embed_blocks(channel, scaling)])

    def classify_heartbeats(self, record: Record, *, lead: str | None = None) -> BeatPredictions:
        """Find the heartbeats of one lead and give each its AAMI class with a probability.

        Raises
        ------
        BundleError
            If the bundle has no heartbeat head.
        LeadNotFoundError, SignalTooShortError, SignalValueError
        """
        return self.analyze(record, lead=lead).beats

    def analyze(self, record: Record, *, lead: str | None = None, progress: Progress = no_progress) -> Analysis:
        """Run the whole path over one lead in constant memory.

        Parameters
        ----------
        record : Record
        lead : str, optional
            Name of the lead; by default the first ECG lead in the documented order of preference.
        progress : callable
            Told the stage and the fraction done.

        Returns
        -------
        analysis : Analysis

        Raises
        ------
        BundleError
            If the bundle has no heartbeat head.
        LeadNotFoundError, SignalTooShortError, SignalValueError
        """
        head = self._heartbeat_head()
        channel = record.lead(lead)
        clock = _Clock()
        with clock.stage("signal"):
            progress("finding beats", 0.0)
            survey, scaling = self._survey(record, channel)
        beats, classifier = _BeatPooler(survey.r_peaks), HeartbeatClassifier(head, survey.r_peaks)
        rows: list[Embeddings] = []
        n_clipped = 0
        for block in self._embed_blocks(channel, scaling, clock):
            progress("embedding", float(block.window_stops[-1]) / survey.n_samples)
            with clock.stage("embeddings"):
                rows.append(_window_rows(block))
                pooled = beats.add(block)
            with clock.stage("heartbeats"):
                classifier.add(pooled)
            n_clipped += block.n_clipped
        with clock.stage("heartbeats"):
            classifier.add(beats.finish())
        samples = np.round(survey.r_peaks / float(rate_ratio(channel.fs))).astype(np.int64)
        return Analysis(
            record=record,
            channel=channel,
            beats=BeatPredictions(np.minimum(samples, channel.n_samples - 1), channel.fs, classifier.probabilities),
            windows=_join(rows),
            unscorable=survey.unscorable,
            scale_low=scaling.low,
            scale_high=scaling.high,
            n_clipped_samples=n_clipped,
            n_samples_360hz=survey.n_samples,
            seconds_by_stage=clock.seconds,
            bundle_name=self.bundle.name,
            heartbeat_scores=self.bundle.manifest["heartbeat_scores"],
        )

    def beat_embeddings(
        self, channel: Channel, scaling: Scaling, r_peaks: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float16]:
        """Embed the beats at given R-peaks.

        Parameters
        ----------
        channel : Channel
        scaling : Scaling
        r_peaks : ndarray of int64, shape (n_beats,)
            Increasing sample indices at 360 Hz.

        Returns
        -------
        embeddings : ndarray of float16, shape (n_beats, n_parts * hidden_size)
        """
        beats = _BeatPooler(r_peaks)
        pooled = [beats.add(block) for block in self._embed_blocks(channel, scaling)]
        return np.concatenate([*pooled, beats.finish()])

    def _heartbeat_head(self) -> HeartbeatHead:
        if self.bundle.heartbeats is None:
            raise BundleError(
                f"bundle '{self.bundle.name}' has no heartbeat head; train one with 'heartbert train-heartbeats' "
                "or use another bundle."
            )
        return self.bundle.heartbeats

    def _survey(self, record: Record, channel: Channel) -> tuple[Survey, Scaling]:
        """Pass over the lead once: beats, amplitude and quality; refuse what cannot be an ECG."""
        if channel.duration_s < SHORTEST_S:
            raise SignalTooShortError(
                f"record '{record.name}', lead '{channel.name}': {channel.n_samples} samples at {channel.fs:g} Hz "
                f"({channel.duration_s:.2f} s); at least {SHORTEST_S:g} s are needed. Give a longer recording."
            )
        preprocessing = self.bundle.preprocessing
        survey = survey_lead(preprocessing.stream(channel))
        if channel.unit == "mV" and not channel.unit_given:
            check_amplitude(survey.ranges.median_amplitude, record_name=record.name, lead=channel.name)
        return survey, preprocessing.scaling_rule.fit(survey.ranges)

    def _embed_blocks(
        self, channel: Channel, scaling: Scaling, clock: "_Clock | None" = None
    ) -> Iterator[EmbeddedBlock]:
        """Pass over the lead again: levels, tokens and embeddings, about five minutes at a time."""
        clock = clock or _Clock()
        bundle = self.bundle
        blocks = bundle.preprocessing.stream(channel)
        layer = bundle.heartbeats.layer if bundle.heartbeats else int(bundle.model.config.num_hidden_layers)
        while True:
            with clock.stage("signal"):
                block = next(blocks, None)
            if block is None:
                return
            with clock.stage("levels"):
                levels = bundle.preprocessing.codebook.quantize(scaling.apply(block.inner_signal))
                starts = np.arange(0, levels.size, bundle.preprocessing.window_samples)
                stops = np.append(starts[1:], levels.size)
            with clock.stage("tokens"):
                tokens = bundle.tokenizer.encode_levels(
                    levels, bundle.preprocessing.window_samples, max_tokens=bundle.max_tokens
                )
                tokens, unusable = _mask_unscorable(tokens, starts, block)
            with clock.stage("embeddings"):
                embedded = embed(bundle.model.base_model, tokens, layer=layer)
            usable = ~unusable[tokens.offsets[..., 1] > tokens.offsets[..., 0]]
            n_clipped = scaling.n_clipped(block.inner_signal)
            yield EmbeddedBlock(starts + block.start, stops + block.start, embedded, usable, n_clipped)


class _BeatPooler:
    """Pools beats from blocks of token embeddings that arrive in time order."""

    def __init__(self, r_peaks: npt.NDArray[np.int64]) -> None:
        self._starts, self._stops = beat_intervals(r_peaks)
        reach = int((self._stops[:, -1] - self._starts[:, 0]).max()) if r_peaks.size else 0
        self._pooler = IntervalPooler(reach)
        self._done = 0

    def add(self, block: EmbeddedBlock) -> npt.NDArray[np.float16]:
        """Return the beats that are complete with this block: (n_new, n_parts * hidden_size)."""
        first = block.window_starts[block.tokens.window[block.usable]]
        self._pooler.add(
            block.tokens.starts[block.usable] + first,
            block.tokens.stops[block.usable] + first,
            block.tokens.inner[block.usable],
        )
        return self._pool_up_to(int(np.searchsorted(self._stops[:, -1], block.window_stops[-1], side="right")))

    def finish(self) -> npt.NDArray[np.float16]:
        """Return the beats whose end lies beyond the recording, by the part inside."""
        return self._pool_up_to(self._starts.shape[0])

    def _pool_up_to(self, stop: int) -> npt.NDArray[np.float16]:
        pooled = self._pooler.mean(self._starts[self._done : stop], self._stops[self._done : stop])
        self._done = max(self._done, stop)
        return pooled.reshape(pooled.shape[0], pooled.shape[1] * pooled.shape[2]).astype(np.float16)


class _Clock:
    """Adds up the wall time of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def _mask_unscorable(
    tokens: Tokens, window_starts: npt.NDArray[np.int64], block: Block
) -> tuple[Tokens, npt.NDArray[np.bool_]]:
    """Hide tokens from the encoder of which more than half of the samples are unscorable."""
    n_bad = np.concatenate(([0], np.cumsum(block.inner_codes != 0)))
    first = window_starts[tokens.rows_of][:, None] + tokens.offsets[..., 0]
    last = window_starts[tokens.rows_of][:, None] + tokens.offsets[..., 1]
    unusable = 2 * (n_bad[last] - n_bad[first]) > last - first
    return replace(tokens, attention_mask=tokens.attention_mask & ~unusable), unusable


def _window_rows(block: EmbeddedBlock) -> Embeddings:
    vectors, n_tokens = pool_windows(block.tokens, block.usable, block.window_starts.size)
    return Embeddings(block.window_starts / TARGET_FS, block.window_stops / TARGET_FS, n_tokens, vectors)


def _token_rows(block: EmbeddedBlock) -> Embeddings:
    first = block.window_starts[block.tokens.window[block.usable]]
    starts, stops = block.tokens.starts[block.usable] + first, block.tokens.stops[block.usable] + first
    n_tokens = np.ones(starts.size, dtype=np.int64)
    return Embeddings(starts / TARGET_FS, stops / TARGET_FS, n_tokens, block.tokens.last[block.usable])


def _join(rows: list[Embeddings]) -> Embeddings:
    return Embeddings(
        np.concatenate([row.start_s for row in rows]),
        np.concatenate([row.stop_s for row in rows]),
        np.concatenate([row.n_tokens for row in rows]),
        np.concatenate([row.vectors for row in rows]),
    )
