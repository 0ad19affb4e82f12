"""Stage 7 of 7: embeddings -> predictions. Beats of a recording -> AAMI classes with probabilities."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from heartbert.predictions.bilstm import BeatSequenceHead
from heartbert.predictions.labels import AamiClass
from heartbert.signals.beats import RR_FEATURES, rr_features
from heartbert.signals.resampling import TARGET_FS

# Parts of a beat whose token embeddings are averaged apart, in seconds from the R-peak: P wave, QRS complex, T wave.
BEAT_PARTS_S = ((-0.28, -0.06), (-0.06, 0.08), (0.08, 0.44))
# A beat's waveform: as many samples at 360 Hz of each of its parts, which heads compare apart.
WAVEFORM_SAMPLES = np.concatenate(
    [np.linspace(start, stop, 22, endpoint=False) for start, stop in np.array(BEAT_PARTS_S) * TARGET_FS]
).astype(np.int64)
# Beats classified at a time, and beats of context on each side that are read and not scored: about 8 minutes and 1.
BEATS_PER_SEQUENCE, CONTEXT_BEATS = 512, 64
_PREVIOUS_OVER_MEAN = "log of the previous RR over the local mean"
# The median of fewer late beats is no usual beat.
_FEWEST_LATE = 8


@dataclass(frozen=True)
class HeartbeatHead:
    """A trained head.

    Attributes
    ----------
    network : BeatSequenceHead
        In evaluation mode.
    layer : int
        Encoder layer that it reads.
    temperature : float
        What its scores are divided by, see `heartbert.predictions.calibration`.
    """

    network: BeatSequenceHead
    layer: int
    temperature: float = 1.0


def beat_intervals(r_peaks: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return first and last sample (at 360 Hz) of each part of each beat.

    Parameters
    ----------
    r_peaks : ndarray of int64, shape (n_beats,)

    Returns
    -------
    starts, stops : ndarray of int64, shape (n_beats, n_parts)
        May lie before 0 or after the end of the recording.
    """
    parts = np.round(np.array(BEAT_PARTS_S) * TARGET_FS).astype(np.int64)  # (n_parts, 2)
    return r_peaks[:, None] + parts[:, 0], r_peaks[:, None] + parts[:, 1]


def late_beats(rr: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell which beats the usual one is the median of: those that come no earlier than beats do on average.

    Where most beats are premature, the median of all is a premature one.

    Parameters
    ----------
    rr : ndarray of float32, shape (n_beats, n_rr)
        See `heartbert.signals.beats.rr_features`.

    Returns
    -------
    late : ndarray of bool, shape (n_beats,)
        All beats if only a few are late.
    """
    late = rr[:, RR_FEATURES.index(_PREVIOUS_OVER_MEAN)] >= 0
    return np.asarray(late if np.count_nonzero(late) >= _FEWEST_LATE else np.ones_like(late))


def usual_beat(embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the median beat, shape (n_embedding,), of beats of shape (n_beats, n_embedding)."""
    # Sorting rows in memory order is vectorised, and twice as fast as the selection in np.median.
    ordered = np.sort(np.ascontiguousarray(embeddings.T), axis=1)
    n_beats = ordered.shape[1]
    return np.asarray((ordered[:, (n_beats - 1) // 2] + ordered[:, n_beats // 2]) / 2, dtype=np.float32)


def sequences(n_beats: int) -> list[tuple[slice, slice]]:
    """Cut the beats of a lead into runs that are classified one after the other.

    Returns
    -------
    runs : list of (slice, slice)
        The beats of each run, and the same with the beats of context around them.
    """
    starts = range(0, n_beats, BEATS_PER_SEQUENCE)
    runs = [slice(start, min(start + BEATS_PER_SEQUENCE, n_beats)) for start in starts]
    return [(run, slice(max(0, run.start - CONTEXT_BEATS), min(n_beats, run.stop + CONTEXT_BEATS))) for run in runs]


@torch.inference_mode()
def describe_sequence(
    network: BeatSequenceHead, embeddings: npt.NDArray[np.float32], rr: npt.NDArray[np.float32]
) -> torch.Tensor:
    """Describe the beats of a sequence by what they are beside its usual beat, as the network reads them.

    Parameters
    ----------
    network : BeatSequenceHead
    embeddings : ndarray of float32, shape (n_beats, n_embedding)
    rr : ndarray of float32, shape (n_beats, n_rr)

    Returns
    -------
    described : Tensor of float32, shape (n_beats, n_described)
    """
    usual = torch.from_numpy(usual_beat(embeddings[late_beats(rr)]))[None, None]
    return network.describe(torch.from_numpy(embeddings)[None], usual, torch.from_numpy(rr)[None])[0]


def samples_around(
    signal: npt.NDArray[np.float32], centres: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.float16]:
    """Take samples around each centre; beyond the ends the first or last sample. Shape (n_centres, n_offsets)."""
    index = np.clip(centres[:, None] + offsets, 0, signal.size - 1)
    return np.asarray(signal[index], dtype=np.float16)


class HeartbeatClassifier:
    """Classifies the beats of one lead while their embeddings arrive.

    Long recordings are classified in runs of 512 beats with 64 beats of context on both sides, each against
    its own median beat, so a position of the body that changes in the night does not matter; embeddings that
    no run needs any more are forgotten.

    Parameters
    ----------
    head : HeartbeatHead
    r_peaks : ndarray of int64, shape (n_beats,)
        All beats of the lead: sample indices at 360 Hz.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (n_beats, 5)
        Filled from the start as embeddings arrive.
    """

    def __init__(self, head: HeartbeatHead, r_peaks: npt.NDArray[np.int64]) -> None:
        self.probabilities = np.zeros((r_peaks.size, len(AamiClass)), dtype=np.float32)
        self._network, self._temperature = head.network, head.temperature
        self._rr = rr_features(r_peaks / TARGET_FS)
        self._held = np.empty((0, head.network.mean.numel()), dtype=np.float16)
        self._runs = sequences(r_peaks.size)
        self._first_held, self._n_scored = 0, 0

    def add(self, embeddings: npt.NDArray[np.float16]) -> None:
        """Add the embeddings of the next beats, shape (n_new, n_parts * hidden_size), and classify what is complete."""
        self._held = np.concatenate([self._held, embeddings])
        for run, around in self._runs[self._n_scored :]:
            if around.stop > self._first_held + self._held.shape[0]:
                return
            sequence = self._held[around.start - self._first_held : around.stop - self._first_held]
            scored = self._score(sequence.astype(np.float32), self._rr[around])
            self.probabilities[run] = scored[run.start - around.start : run.stop - around.start]
            self._n_scored += 1
            self._forget(max(0, run.stop - CONTEXT_BEATS))

    @property
    def n_held(self) -> int:
        """Beats whose embeddings are in memory."""
        return int(self._held.shape[0])

    def _forget(self, first: int) -> None:
        self._held = self._held[first - self._first_held :].copy()
        self._first_held = first

    @torch.inference_mode()
    def _score(self, sequence: npt.NDArray[np.float32], rr: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        logits = self._network.score(describe_sequence(self._network, sequence, rr)[None])[0]
        probabilities: npt.NDArray[np.float32] = torch.softmax(logits / self._temperature, dim=-1).numpy()
        return probabilities


def classify_heartbeats(
    head: HeartbeatHead, embeddings: npt.NDArray[np.float16], r_peaks: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Give each beat of one lead the probability of each AAMI class; see `HeartbeatClassifier`.

    Parameters
    ----------
    head : HeartbeatHead
    embeddings : ndarray of float16, shape (n_beats, n_parts * hidden_size)
        In time order.
    r_peaks : ndarray of int64, shape (n_beats,)
        Sample indices at 360 Hz.

    Returns
    -------
    probabilities : ndarray of float32, shape (n_beats, 5)
    """
    classifier = HeartbeatClassifier(head, r_peaks)
    classifier.add(embeddings)
    return classifier.probabilities


def build_network(
    n_embedding: int, *, n_units: int, dropout: float, n_directions: int = 0, n_waveform: int = 0
) -> BeatSequenceHead:
    """Build an untrained heartbeat network for beats of `n_embedding` numbers, the last ones their waveform."""
    sizes = (n_embedding - n_waveform, n_waveform) if n_waveform else (n_embedding,)
    return BeatSequenceHead(
        sizes, len(RR_FEATURES), len(AamiClass), n_units=n_units, dropout=dropout, n_directions=n_directions
    )


def untrained_like(network: BeatSequenceHead, *, dropout: float) -> BeatSequenceHead:
    """Build an untrained network of the same shape."""
    return build_network(
        network.mean.numel(),
        n_units=network.lstm.hidden_size,
        dropout=dropout,
        n_directions=network.n_directions,
        n_waveform=network.n_waveform,
    )
