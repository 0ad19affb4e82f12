"""HeartBERT's own heartbeat task: windows of 3 s with the class of their gravest beat, dealt to folds in two ways.

Windows of one person resemble each other. With a random split, a classifier is asked about people it has learnt from,
and its score says nothing about new ones. The difference between the two splits is what that leak was worth.

The encoder reads a recording as everywhere else, in windows of up to 4000 samples; the tokens of a window of 3 s have
seen up to 11 s around them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError
from heartbert.evaluation.leakage import Examples
from heartbert.predictions.heartbeats import BEAT_PARTS_S, samples_around
from heartbert.predictions.labels import AamiClass
from heartbert.protocols.beat_records import Encoders, Input
from heartbert.records import read_record
from heartbert.signals.resampling import TARGET_FS
from heartbert.training.heartbeats import label_beats

# As published: 3 s at 360 Hz.
WINDOW_SAMPLES = 1080
# A window takes the class of its gravest beat; one of unclassifiable beats alone is unclassifiable.
_GRAVEST_FIRST = (AamiClass.V, AamiClass.F, AamiClass.S, AamiClass.N, AamiClass.Q)
# The encoder's tokens are averaged over 12 stretches of a window: the three parts of a beat around each of 4 places.
N_PLACES = 4
_PART_SAMPLES = round((BEAT_PARTS_S[-1][1] - BEAT_PARTS_S[0][0]) * TARGET_FS)
_FIRST_PLACE = round(-BEAT_PARTS_S[0][0] * TARGET_FS)
N_FOLDS = 5
_FOLD_SEED = 0
Scheme = Literal["random_windows", "by_person"]
SCHEMES: tuple[Scheme, ...] = ("by_person", "random_windows")


@dataclass(frozen=True)
class WindowRecord:
    """The windows of one recording that hold a beat.

    Attributes
    ----------
    examples : Examples
        With the times of the windows.
    labels : ndarray of int64, shape (n_windows,)
        `AamiClass` of the gravest beat.
    inputs : mapping of Input to ndarray of float16, shape (n_windows, n_numbers)
    """

    examples: Examples
    labels: npt.NDArray[np.int64]
    inputs: Mapping[Input, npt.NDArray[np.float16]]


def read_windows(encoders: Encoders, path: Path, examples: Examples, *, annotator: str = "atr") -> WindowRecord:
    """Cut an annotated recording into windows of 3 s, one after the other, and drop those without a beat.

    Raises
    ------
    RecordFormatError
        If the annotation file holds no beat.
    """
    preprocessing = encoders.bundles["encoder"].preprocessing
    beats, scaling = label_beats(preprocessing, path, annotator=annotator)
    blocks = preprocessing.stream(read_record(path).lead())
    signal = np.concatenate([scaling.apply(block.inner_signal) for block in blocks])
    windows, labels = label_windows(beats.reference_s, beats.reference_classes, signal.size // WINDOW_SAMPLES)
    starts = windows * WINDOW_SAMPLES
    places = (starts[:, None] + _FIRST_PLACE + np.arange(N_PLACES) * _PART_SAMPLES).ravel()
    embedded: dict[Input, npt.NDArray[np.float16]] = {
        name: encoders.embed(name, path, scaling, places).reshape(starts.size, -1) for name in encoders.bundles
    }
    times = replace(examples, starts_s=starts / TARGET_FS, stops_s=np.asarray((starts + WINDOW_SAMPLES) / TARGET_FS))
    cut = samples_around(signal, starts, np.arange(0, WINDOW_SAMPLES, 3))
    return WindowRecord(times, labels, {**embedded, "signal": cut})


def label_windows(
    times_s: npt.NDArray[np.float64], classes: npt.NDArray[np.int64], n_windows: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give each window of 3 s the class of its gravest beat: V, else F, S, N, Q.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_beats,)
    classes : ndarray of int64, shape (n_beats,)
        `AamiClass` of each.
    n_windows : int
        Whole windows of the recording; beats behind them are dropped.

    Returns
    -------
    windows, labels : ndarray of int64, shape (n_labelled,)
        Numbers of the windows with a beat, increasing, and their `AamiClass`.

    Examples
    --------
    >>> label_windows(np.array([0.5, 1.2, 7.0]), np.array([0, 2, 1]), 3)
    (array([0, 2]), array([2, 1]))
    """
    window_of = np.round(times_s * TARGET_FS).astype(np.int64) // WINDOW_SAMPLES
    rank_of = np.argsort(np.array(_GRAVEST_FIRST))
    gravest = np.full(n_windows, len(_GRAVEST_FIRST))
    inside = window_of < n_windows
    np.minimum.at(gravest, window_of[inside], rank_of[classes[inside]])
    windows = np.flatnonzero(gravest < len(_GRAVEST_FIRST))
    return windows, np.array(_GRAVEST_FIRST, dtype=np.int64)[gravest[windows]]


def deal_windows(records: Sequence[WindowRecord], scheme: Scheme) -> list[npt.NDArray[np.int64]]:
    """Deal the windows to folds: each for itself, or all of a person together.

    Returns
    -------
    folds : list of ndarray of int64, shape (n_windows,)
        Of each record.

    Raises
    ------
    ConfigError
        If there are fewer persons than folds.
    """
    rng = np.random.default_rng(_FOLD_SEED)
    if scheme == "random_windows":
        sizes = [one.labels.size for one in records]
        return np.split(rng.permutation(sum(sizes)) % N_FOLDS, np.cumsum(sizes)[:-1])
    persons = sorted({one.examples.person for one in records})
    if len(persons) < N_FOLDS:
        raise ConfigError(f"{len(persons)} persons for {N_FOLDS} folds; at least {N_FOLDS} are needed. Give more.")
    fold_of = dict(zip(rng.permutation(persons).tolist(), np.arange(len(persons)) % N_FOLDS, strict=True))
    return [np.full(one.labels.size, fold_of[one.examples.person]) for one in records]
