"""The rows of the heartbeat table: the frozen encoder with its head, and every baseline it has to beat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from torch import nn

from heartbert.errors import ConfigError
from heartbert.evaluation.heartbeats import macro_f1
from heartbert.predictions.heartbeats import classify_heartbeats
from heartbert.predictions.labels import AamiClass
from heartbert.protocols.beat_records import SIGNAL_SAMPLES, BeatRecord, Input
from heartbert.protocols.raw_networks import NetworkTraining, RawCnn, raw_bilstm, train_network
from heartbert.signals.beats import rr_features
from heartbert.signals.resampling import TARGET_FS
from heartbert.training.config import HeartbeatsConfig
from heartbert.training.heartbeats import reads_waveform, train_head

Floats = npt.NDArray[np.float32]
# Gives the beats of a recording their probabilities, shape (n_beats, 5).
Classify = Callable[[BeatRecord], Floats]

OURS, FEW_LABELS, BOOSTING = "heartbert", "heartbert, 10 % of the labels", "RR + waveform, gradient boosting"
WAVEFORM_HEAD = "RR + waveform, same head"
ENCODER_ALONE = "RR + encoder without waveform, same head"
RANDOM_ALONE = "RR + encoder of random weights without waveform, same head"
CLOSE_ROWS = (BOOSTING, WAVEFORM_HEAD, FEW_LABELS, OURS)
"""Rows that are worth their training time in every block of a table."""
# Share of the beats of each training recording whose label is used where labels are few.
FEW_SHARE = 0.1
# Exponents of the class weights among which the boosting's is chosen on the validation recordings.
_BALANCES = (0.0, 0.5)
_BOOSTING_ROUNDS = 150
# Passes of networks that read the raw signal: each takes longer than all passes of a head.
_RAW_EPOCHS = 8
# A class of a handful of beats would get a weight that only teaches noise: counted as at least 100.
_FEWEST = 100


@dataclass(frozen=True)
class Sides:
    """Recordings to train on, and those of other persons on which settings and training epochs are chosen."""

    training: Sequence[BeatRecord]
    validation: Sequence[BeatRecord]


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    reads : Input
        Of a beat, beside RR intervals; beside an encoder also the waveform, if the settings say so.
    train : callable
        Of sides, settings and seed; returns what classifies a recording.
    label_share : float
        Share of the training labels that it sees.
    is_random : bool
        False where every seed gives the same.
    """

    reads: Input
    train: Callable[[Sides, HeartbeatsConfig, int], Classify]
    label_share: float = 1.0
    is_random: bool = True


def train_row(row: Row, sides: Sides, config: HeartbeatsConfig, *, seed: int) -> Classify:
    """Train a row from one seed, on the share of the labels that it may see."""
    rng = np.random.default_rng(seed)
    if row.label_share < 1:
        sides = replace(sides, training=[_keep_labels(one, row.label_share, rng) for one in sides.training])
    return row.train(sides, config, seed)


def _keep_labels(record: BeatRecord, share: float, rng: np.random.Generator) -> BeatRecord:
    """Hide all labels of a recording but a share drawn at random, at least one."""
    labelled = np.flatnonzero(record.beats.labels >= 0)
    kept = rng.permutation(labelled)[: max(1, round(share * labelled.size))]
    labels = np.full_like(record.beats.labels, -1)
    labels[kept] = record.beats.labels[kept]
    return replace(record, beats=replace(record.beats, labels=labels))


def _train_majority(sides: Sides, config: HeartbeatsConfig, seed: int) -> Classify:
    counts = np.bincount(np.concatenate([one.beats.labels for one in sides.training]) + 1)[1:]
    probabilities = np.eye(len(AamiClass), dtype=np.float32)[int(np.argmax(counts))]
    return lambda record: np.tile(probabilities, (record.beats.r_peaks.size, 1))


def _train_head(name: Input, sides: Sides, config: HeartbeatsConfig, seed: int) -> Classify:
    """Train the BiLSTM over the beats, the head that ships, on one of the inputs and the RR intervals.

    Beside what an encoder gives stands the waveform, if the settings say so.
    """
    waveform = reads_waveform(config) and name in ("encoder", "random encoder")
    training, validation = (
        [one.with_input(name, waveform=waveform) for one in side] for side in (sides.training, sides.validation)
    )
    head = train_head(training, validation, config, seed=seed).head

    def classify(record: BeatRecord) -> Floats:
        beats = record.with_input(name, waveform=waveform)
        return classify_heartbeats(head, beats.embeddings, beats.r_peaks)

    return classify


def _train_without_waveform(name: Input, sides: Sides, config: HeartbeatsConfig, seed: int) -> Classify:
    """Train the same head on what an encoder gives alone."""
    return _train_head(name, sides, replace(config, reads="encoder"), seed)


def _train_raw(build: Callable[[], nn.Module], sides: Sides, config: HeartbeatsConfig, seed: int) -> Classify:
    """Train a network that reads three seconds of signal around each beat."""
    training, validation = (
        (np.concatenate([one.inputs["signal"] for one in side]), np.concatenate([one.beats.labels for one in side]))
        for side in (sides.training, sides.validation)
    )
    settings = NetworkTraining(min(config.n_training_epochs, _RAW_EPOCHS), config.class_balance)
    classify = train_network(build, training, validation, settings, seed=seed)
    return lambda record: classify(record.inputs["signal"])


def _train_boosting(name: Input, sides: Sides, config: HeartbeatsConfig, seed: int) -> Classify:
    """Boost trees on RR intervals, an input and its difference from the recording's median beat.

    The class weights are the better of two on the validation recordings. Boosting itself hardly depends on a seed, so
    the training beats are drawn with replacement.
    """
    rows, labels = _labelled(sides.training, name)
    scored, reference = _labelled(sides.validation, name)
    drawn = np.random.default_rng(seed).choice(labels.size, labels.size)
    tried = [_boost(rows[drawn], labels[drawn], balance, seed) for balance in _BALANCES]
    best = max(tried, key=lambda classify: macro_f1(reference, np.argmax(classify(scored), axis=1)))
    return lambda record: best(_features(record, name))


def _features(record: BeatRecord, name: Input) -> Floats:
    numbers = record.inputs[name].astype(np.float32)
    return np.hstack([rr_features(record.beats.r_peaks / TARGET_FS), numbers, numbers - np.median(numbers, axis=0)])


def _labelled(records: Sequence[BeatRecord], name: Input) -> tuple[Floats, npt.NDArray[np.int64]]:
    labels = np.concatenate([one.beats.labels for one in records])
    return np.concatenate([_features(one, name) for one in records])[labels >= 0], labels[labels >= 0]


def _boost(rows: Floats, labels: npt.NDArray[np.int64], balance: float, seed: int) -> Callable[[Floats], Floats]:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        raise ConfigError(
            "gradient boosting needs scikit-learn, which is not installed. Run: pip install scikit-learn"
        ) from error
    counts = np.bincount(labels)
    weights = (counts.max() / np.maximum(counts, _FEWEST))[labels] ** balance
    # Its own early stopping would hold out beats at random, which have siblings in training.
    model = HistGradientBoostingClassifier(max_iter=_BOOSTING_ROUNDS, early_stopping=False, random_state=seed)
    model.fit(rows, labels, sample_weight=weights)
    present = model.classes_.astype(int)

    def classify(given: Floats) -> Floats:
        probabilities = np.zeros((given.shape[0], len(AamiClass)), dtype=np.float32)
        if present.size == 1:  # few labels may be of one class, and then there is nothing to tell apart
            probabilities[:, present] = 1
        elif given.shape[0]:
            probabilities[:, present] = model.predict_proba(given)
        return probabilities

    return classify


def _head_on(reads: Input, label_share: float = 1.0) -> Row:
    return Row(reads, partial(_train_head, reads), label_share)


def _head_without_waveform(reads: Input) -> Row:
    return Row(reads, partial(_train_without_waveform, reads))


def _boosting_on(reads: Input, label_share: float = 1.0) -> Row:
    return Row(reads, partial(_train_boosting, reads), label_share)


ROWS = MappingProxyType(
    {
        "majority class": Row("nothing", _train_majority, is_random=False),
        "RR, gradient boosting": _boosting_on("nothing"),
        BOOSTING: _boosting_on("waveform"),
        "RR, same head": _head_on("nothing"),
        WAVEFORM_HEAD: _head_on("waveform"),
        "CNN on the raw signal": Row("signal", partial(_train_raw, RawCnn)),
        "BiLSTM on the raw signal": Row("signal", partial(_train_raw, partial(raw_bilstm, SIGNAL_SAMPLES.size))),
        "RR + encoder of random weights, same head": _head_on("random encoder"),
        ENCODER_ALONE: _head_without_waveform("encoder"),
        RANDOM_ALONE: _head_without_waveform("random encoder"),
        "RR + waveform, gradient boosting, 10 % of the labels": _boosting_on("waveform", FEW_SHARE),
        FEW_LABELS: _head_on("encoder", FEW_SHARE),
        OURS: _head_on("encoder"),
    }
)
"""Every row by its name; ours last."""
