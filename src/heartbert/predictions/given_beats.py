"""Stage 7 of 7: embeddings -> predictions. Beats that somebody else placed, in place of the detector's.

What is done with them is the same for analysing and for training:

- Every beat counts, the first and the last included. A part of a beat that lies outside the recording, or in an
  unscorable stretch, is left out of its embedding; a part without any scorable sample is 0. An RR interval that does
  not exist counts as the local median.
- A beat in an unscorable stretch is kept and classified from what is left of it and from its RR intervals: who placed
  it may have seen it in another lead.
- A pause stays a long RR interval: no beat is put into it.
- Paced beats (symbols ``/`` and ``f``) are beats of class Q like any other.
- A mark outside the recording, two beats at one sample, and an annotation file without any beat are errors.
"""

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.predictions.labels import BEAT_CLASS_OF_SYMBOL
from heartbert.records.record import Annotations, Channel, Record
from heartbert.records.wfdb_annotations import read_annotations
from heartbert.signals.resampling import TARGET_FS, n_resampled, rate_ratio


def check_r_peaks(r_peaks: npt.NDArray[np.int64], n_samples: int, *, whose: str) -> npt.NDArray[np.int64]:
    """Return beats as they were given if they can be beats of a recording.

    Parameters
    ----------
    r_peaks : ndarray of int, shape (n_beats,)
        Sample indices.
    n_samples : int
        Samples of the recording, at the same rate.
    whose : str
        Where they come from, for the message.

    Returns
    -------
    r_peaks : ndarray of int64, shape (n_beats,)

    Raises
    ------
    ConfigError
        If they are no whole numbers in one dimension, lie outside the recording, or do not increase.
    """
    beats = np.asarray(r_peaks)
    if beats.size == 0:
        return np.empty(0, dtype=np.int64)
    if beats.ndim != 1 or not np.issubdtype(beats.dtype, np.integer):
        raise ConfigError(
            f"{whose} are an array of shape {beats.shape} and type {beats.dtype}; whole numbers of shape (n_beats,), "
            "the sample indices of the R-peaks, are needed. Multiply times by fs and round them"
        )
    outside = np.flatnonzero((beats < 0) | (beats >= n_samples))
    if outside.size:
        raise ConfigError(
            f"{whose}: beat {outside[0]} is at sample {beats[outside[0]]}, the lead has samples 0 to {n_samples - 1}. "
            "Give the beats of this recording at its own sampling frequency"
        )
    stuck = np.flatnonzero(np.diff(beats) <= 0)
    if stuck.size:
        first, second = beats[stuck[0] : stuck[0] + 2]
        raise ConfigError(
            f"{whose}: beat {stuck[0]} is at sample {first} and the next at {second}; beats must be in time order, "
            "one at a sample. Sort them and drop repeats"
        )
    return beats.astype(np.int64)


def r_peaks_at_360hz(r_peaks: npt.NDArray[np.int64], channel: Channel, *, whose: str) -> npt.NDArray[np.int64]:
    """Return beats given in samples of a lead as samples at 360 Hz.

    Parameters
    ----------
    r_peaks : ndarray of int, shape (n_beats,)
        Sample indices at the lead's sampling frequency.
    channel : Channel
    whose : str
        Where they come from, for the message.

    Raises
    ------
    ConfigError
        If they cannot be beats of the lead, or two of them fall on one sample at 360 Hz.
    """
    beats = check_r_peaks(r_peaks, channel.n_samples, whose=whose)
    ratio = rate_ratio(channel.fs)
    last = n_resampled(channel.n_samples, ratio) - 1
    resampled = np.minimum(np.round(beats * float(ratio)).astype(np.int64), last)
    return check_r_peaks(resampled, last + 1, whose=f"{whose} at {TARGET_FS:g} Hz")


def beats_in(annotations: Annotations, channel: Channel) -> npt.NDArray[np.int64]:
    """Return the annotated beats as samples of a lead.

    Returns
    -------
    r_peaks : ndarray of int64, shape (n_beats,)
        Sample indices at the lead's sampling frequency, of every mark whose symbol is a beat.
    """
    is_beat = np.array([symbol in BEAT_CLASS_OF_SYMBOL for symbol in annotations.symbols], dtype=np.bool_)
    samples = annotations.samples[is_beat]
    return np.round(samples * (channel.fs / annotations.fs)).astype(np.int64)


def annotated_r_peaks(record: Record, channel: Channel, annotator: str) -> npt.NDArray[np.int64]:
    """Read the beats of a recording from its annotation file.

    Parameters
    ----------
    record : Record
        Read from a file that has the annotation file beside it.
    channel : Channel
        The lead in whose samples they are wanted.
    annotator : str
        Suffix of the annotation file without dot.

    Returns
    -------
    r_peaks : ndarray of int64, shape (n_beats,)

    Raises
    ------
    RecordFormatError
        If the file is missing or damaged, or annotates no beat.
    """
    r_peaks = beats_in(read_annotations(record.path, annotator), channel)
    if r_peaks.size == 0:
        raise RecordFormatError(
            f"'{record.path.stem}.{annotator}' annotates no beat; give an annotator of beats, or let them be detected."
        )
    return r_peaks
