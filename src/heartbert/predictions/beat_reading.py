"""Stage 7 of 7: embeddings -> predictions. A head applied to the beats of a lead while its blocks arrive."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from heartbert.embeddings.embed import IntervalPooler, TokenEmbeddings
from heartbert.predictions.beat_windows import LeadLevels, TokenReader, WindowHead, classify_windows
from heartbert.predictions.heartbeats import (
    WAVEFORM_SAMPLES,
    HeartbeatClassifier,
    HeartbeatHead,
    beat_intervals,
    samples_around,
)
from heartbert.predictions.labels import AamiClass


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
    lead : LeadLevels
        The block with some seconds before and after it; beyond the ends of the recording they are reflected.
    signal : ndarray of float32, shape (n_samples,)
        The same samples scaled, before they became levels.
    context_samples : int
        How many on each side.
    """

    window_starts: npt.NDArray[np.int64]
    window_stops: npt.NDArray[np.int64]
    tokens: TokenEmbeddings
    usable: npt.NDArray[np.bool_]
    n_clipped: int
    lead: LeadLevels
    signal: npt.NDArray[np.float32]
    context_samples: int


class BeatPooler:
    """Pools beats from blocks of token embeddings that arrive in time order.

    Parameters
    ----------
    r_peaks : ndarray of int64, shape (n_beats,)
        Increasing sample indices at 360 Hz.
    n_waveform : int
        `WAVEFORM_SAMPLES.size` to put the waveform of each beat behind its embedding, 0 for embeddings alone.
    """

    def __init__(self, r_peaks: npt.NDArray[np.int64], n_waveform: int = 0) -> None:
        self._waveforms = BeatWaveforms(r_peaks) if n_waveform else None
        self._starts, self._stops = beat_intervals(r_peaks)
        reach = int((self._stops[:, -1] - self._starts[:, 0]).max()) if r_peaks.size else 0
        self._pooler = IntervalPooler(reach)
        self._done = 0

    def add(self, block: EmbeddedBlock) -> npt.NDArray[np.float16]:
        """Return the beats that are complete with this block: (n_new, n_parts * hidden_size + n_waveform)."""
        if self._waveforms is not None:
            self._waveforms.add(block)
        first = block.window_starts[block.tokens.window[block.usable]]
        self._pooler.add(
            block.tokens.starts[block.usable] + first,
            block.tokens.stops[block.usable] + first,
            block.tokens.inner[block.usable],
        )
        return self._pool_up_to(int(np.searchsorted(self._stops[:, -1], block.window_stops[-1], side="right")))

    def finish(self) -> npt.NDArray[np.float16]:
        """Return the beats whose end lies beyond the recording, by the part inside."""
        if self._waveforms is not None:
            self._waveforms.finish()
        return self._pool_up_to(self._starts.shape[0])

    def _pool_up_to(self, stop: int) -> npt.NDArray[np.float16]:
        pooled = self._pooler.mean(self._starts[self._done : stop], self._stops[self._done : stop])
        self._done = max(self._done, stop)
        embeddings = pooled.reshape(pooled.shape[0], pooled.shape[1] * pooled.shape[2]).astype(np.float16)
        return embeddings if self._waveforms is None else np.hstack([embeddings, self._waveforms.take(len(embeddings))])


class BeatWaveforms:
    """Cuts the waveforms of beats out of blocks that arrive in time order.

    Parameters
    ----------
    r_peaks : ndarray of int64, shape (n_beats,)
        Increasing sample indices at 360 Hz.
    """

    def __init__(self, r_peaks: npt.NDArray[np.int64]) -> None:
        self._r_peaks, self._n_cut = r_peaks, 0
        self._held = np.empty((0, WAVEFORM_SAMPLES.size), dtype=np.float16)
        self._last: EmbeddedBlock | None = None

    def add(self, block: EmbeddedBlock) -> None:
        """Cut out the beats of the next block."""
        self._last = block
        self._cut(block, int(np.searchsorted(self._r_peaks, block.window_stops[-1])))

    def finish(self) -> None:
        """Cut out beats behind the last sample, if there are any."""
        if self._last is not None:
            self._cut(self._last, self._r_peaks.size)

    def take(self, n_beats: int) -> npt.NDArray[np.float16]:
        """Return the waveforms of the next beats, shape (n_beats, n_waveform)."""
        taken, self._held = self._held[:n_beats], self._held[n_beats:]
        return taken

    def _cut(self, block: EmbeddedBlock, stop: int) -> None:
        centres = self._r_peaks[self._n_cut : stop] - int(block.window_starts[0]) + block.context_samples
        self._held = np.concatenate([self._held, samples_around(block.signal, centres, WAVEFORM_SAMPLES)])
        self._n_cut = max(self._n_cut, stop)


class BeatReader(Protocol):
    """Classifies the beats of a lead while its blocks arrive."""

    probabilities: npt.NDArray[np.float32]

    def add(self, block: EmbeddedBlock) -> None:
        """Take the next block."""
        ...

    def finish(self) -> None:
        """Classify what is left."""
        ...


class SequenceReader:
    """Applies a head that reads the sequence of beats.

    Parameters
    ----------
    head : HeartbeatHead
    r_peaks : ndarray of int64, shape (n_beats,)
        Increasing sample indices at 360 Hz.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (n_beats, 5)
        Complete after `finish`.
    """

    def __init__(self, head: HeartbeatHead, r_peaks: npt.NDArray[np.int64]) -> None:
        self._pooler = BeatPooler(r_peaks, head.network.n_waveform)
        self._classifier = HeartbeatClassifier(head, r_peaks)
        self.probabilities = self._classifier.probabilities

    def add(self, block: EmbeddedBlock) -> None:
        """Take the next block."""
        self._classifier.add(self._pooler.add(block))

    def finish(self) -> None:
        """Classify what is left."""
        self._classifier.add(self._pooler.finish())


class WindowReader:
    """Applies a head that reads a window around each beat.

    Parameters
    ----------
    head : WindowHead
    reader : TokenReader
    r_peaks : ndarray of int64, shape (n_beats,)
        Increasing sample indices at 360 Hz.
    n_samples : int
        Samples of the lead at 360 Hz.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (n_beats, 5)
        Complete after `finish`.
    """

    def __init__(
        self, head: WindowHead, reader: TokenReader, r_peaks: npt.NDArray[np.int64], *, n_samples: int
    ) -> None:
        self._head, self._reader, self._r_peaks, self._n_samples = head, reader, r_peaks, n_samples
        self.probabilities = np.zeros((r_peaks.size, len(AamiClass)), dtype=np.float32)

    def add(self, block: EmbeddedBlock) -> None:
        """Classify the beats of the next block."""
        start, stop = int(block.window_starts[0]), int(block.window_stops[-1])
        beats = slice(*np.searchsorted(self._r_peaks, [start, stop]).tolist())
        context = block.context_samples
        inside = slice(max(context - start, 0), min(self._n_samples, stop + context) - start + context)
        lead = LeadLevels(block.lead.levels[inside], block.lead.unscorable[inside])
        r_peaks = self._r_peaks[beats] - start + context - inside.start
        self.probabilities[beats] = classify_windows(self._head, self._reader, lead, r_peaks)

    def finish(self) -> None:
        """Do nothing: no beat waits for a later block."""
