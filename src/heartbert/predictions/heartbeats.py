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
# Beats classified at a time, and beats of context on each side that are read and not scored: about 8 minutes and 1.
BEATS_PER_SEQUENCE, CONTEXT_BEATS = 512, 64


@dataclass(frozen=True)
class HeartbeatHead:
    """A trained head.

    Attributes
    ----------
    network : BeatSequenceHead
        In evaluation mode.
    layer : int
        Encoder layer that it reads.
    """

    network: BeatSequenceHead
    layer: int


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


def usual_beat(embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the median beat, shape (n_embedding,), of beats of shape (n_beats, n_embedding)."""
    return np.asarray(np.median(embeddings, axis=0), dtype=np.float32)


@torch.inference_mode()
def classify_heartbeats(
    head: HeartbeatHead, embeddings: npt.NDArray[np.float16], r_peaks: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Give each beat of one lead the probability of each AAMI class.

    Long recordings are classified in runs of 512 beats with 64 beats of context on both sides, each against
    its own median beat, so a position of the body that changes in the night does not matter.

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
    n_beats = r_peaks.size
    rr = rr_features(r_peaks / TARGET_FS)
    probabilities = np.empty((n_beats, len(AamiClass)), dtype=np.float32)
    for start in range(0, n_beats, BEATS_PER_SEQUENCE):
        stop = min(start + BEATS_PER_SEQUENCE, n_beats)
        first, last = max(0, start - CONTEXT_BEATS), min(n_beats, stop + CONTEXT_BEATS)
        sequence = embeddings[first:last].astype(np.float32)
        logits = head.network(
            torch.from_numpy(sequence)[None],
            torch.from_numpy(usual_beat(sequence))[None, None],
            torch.from_numpy(rr[first:last])[None],
        )[0]
        probabilities[start:stop] = torch.softmax(logits, dim=-1).numpy()[start - first : stop - first]
    return probabilities


def build_network(n_embedding: int, *, n_units: int, dropout: float) -> BeatSequenceHead:
    """Build an untrained heartbeat network for embeddings of `n_embedding` numbers."""
    return BeatSequenceHead(n_embedding, len(RR_FEATURES), len(AamiClass), n_units=n_units, dropout=dropout)
