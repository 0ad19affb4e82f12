"""Annotated recordings -> heartbeat head: frozen embeddings of beats, then a small BiLSTM."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError, RecordFormatError
from heartbert.evaluation.heartbeats import NO_BEAT, compare_beats, match_beats, reference_beats, summarise
from heartbert.pipeline import HeartBert
from heartbert.predictions.bilstm import BeatSequenceHead
from heartbert.predictions.heartbeats import (
    BEATS_PER_SEQUENCE,
    CONTEXT_BEATS,
    HeartbeatHead,
    build_network,
    classify_heartbeats,
    usual_beat,
)
from heartbert.predictions.labels import AamiClass
from heartbert.preprocessing import Preprocessing
from heartbert.progress import Progress, no_progress
from heartbert.records import read_annotations, read_record
from heartbert.signals.beats import rr_features
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.scaling import Scaling
from heartbert.signals.survey import survey_lead
from heartbert.training.config import HeartbeatsConfig

# Label of a beat that no reference beat answers to: not trained on.
_UNLABELLED = -1
# Beats of a training sequence, and sequences of a batch.
_CROP_BEATS, _CROPS_PER_BATCH = 256, 8


@dataclass(frozen=True)
class AnnotatedBeats:
    """The beats of one recording as the head sees them.

    Attributes
    ----------
    record : str
    r_peaks : ndarray of int64, shape (n_beats,)
        Detected, at 360 Hz.
    embeddings : ndarray of float16, shape (n_beats, n_embedding)
    labels : ndarray of int64, shape (n_beats,)
        `AamiClass` of the reference beat within 150 ms, or -1.
    reference_s : ndarray of float64, shape (n_reference,)
        Times of all reference beats in seconds, the missed ones included.
    reference_classes : ndarray of int64, shape (n_reference,)
    """

    record: str
    r_peaks: npt.NDArray[np.int64]
    embeddings: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int64]
    reference_s: npt.NDArray[np.float64]
    reference_classes: npt.NDArray[np.int64]


def label_beats(preprocessing: Preprocessing, path: Path, *, annotator: str = "atr") -> tuple[AnnotatedBeats, Scaling]:
    """Detect the beats of an annotated recording and label them by the annotation, without embeddings.

    Returns
    -------
    beats : AnnotatedBeats
        Its `embeddings` have shape (n_beats, 0).
    scaling : Scaling
        Of the lead in which they were found.

    Raises
    ------
    RecordFormatError
        If the annotation file holds no beat.
    """
    record = read_record(path)
    annotations = read_annotations(path, annotator)
    reference_samples, reference_classes = reference_beats(annotations)
    if reference_samples.size == 0:
        raise RecordFormatError(f"'{path.stem}.{annotator}' annotates no beat; give a recording with beat annotations.")
    reference_s = reference_samples / annotations.fs
    survey = survey_lead(preprocessing.stream(record.lead()))
    labels = np.full(survey.r_peaks.size, _UNLABELLED)
    reference_index, found_index = match_beats(reference_s, survey.r_peaks / TARGET_FS)
    labels[found_index] = reference_classes[reference_index]
    none = np.empty((survey.r_peaks.size, 0), dtype=np.float16)
    beats = AnnotatedBeats(record.name, survey.r_peaks, none, labels, reference_s, reference_classes)
    return beats, preprocessing.scaling_rule.fit(survey.ranges)


def embed_annotated(bundle: Bundle, path: Path, *, layer: int, annotator: str = "atr") -> AnnotatedBeats:
    """Detect and embed the beats of an annotated recording, and label them by the annotation.

    Raises
    ------
    RecordFormatError
        If the annotation file holds no beat.
    """
    beats, scaling = label_beats(bundle.preprocessing, path, annotator=annotator)
    reading = HeartBert(replace(bundle, heartbeats=HeartbeatHead(build_network(1, n_units=1, dropout=0.0), layer)))
    return replace(beats, embeddings=reading.beat_embeddings(read_record(path).lead(), scaling, beats.r_peaks))


@dataclass(frozen=True)
class TrainedHead:
    """A head and what it scores on the validation recordings, by training epoch."""

    head: HeartbeatHead
    scores: dict[str, float]
    curve: tuple[float, ...]


def train_head(
    training: Sequence[AnnotatedBeats],
    validation: Sequence[AnnotatedBeats],
    config: HeartbeatsConfig,
    *,
    seed: int,
) -> TrainedHead:
    """Train one head; the training epoch with the best macro-F1 on the validation recordings is kept.

    Parameters
    ----------
    training, validation : sequence of AnnotatedBeats
        Of different persons.
    config : HeartbeatsConfig
    seed : int
        Seed of the initial weights, the crops and the dropout.

    Raises
    ------
    ConfigError
        If there is nothing to train or to validate on.
    """
    if not training or not validation or config.n_training_epochs < 1:
        raise ConfigError(
            f"{len(training)} training and {len(validation)} validation recordings and {config.n_training_epochs} "
            "training epochs; at least one of each is needed."
        )
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(training[0].embeddings.shape[1], n_units=config.n_units, dropout=config.dropout)
        _standardise(network, training)
        epochs = [
            (HeartbeatHead(_copy(network), config.layer), score_head(HeartbeatHead(network, config.layer), validation))
            for network in _training_epochs(network, training, config, rng)
        ]
    curve = tuple(scores["macro_f1"] for _, scores in epochs)
    head, scores = epochs[int(np.argmax(curve))]
    return TrainedHead(head, scores, curve)


def _training_epochs(
    network: BeatSequenceHead,
    training: Sequence[AnnotatedBeats],
    config: HeartbeatsConfig,
    rng: np.random.Generator,
) -> Iterator[BeatSequenceHead]:
    """Train in place; yields the network, in evaluation mode, after each pass over the training beats."""
    loss_of = nn.CrossEntropyLoss(weight=_class_weights(training, config.class_balance), ignore_index=_UNLABELLED)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=0.01)
    n_batches = max(1, sum(beats.r_peaks.size for beats in training) // (_CROP_BEATS * _CROPS_PER_BATCH))
    n_steps = n_batches * config.n_training_epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=n_steps)
    rr = [rr_features(beats.r_peaks / TARGET_FS) for beats in training]
    for _ in range(config.n_training_epochs):
        network.train()
        for _ in range(n_batches):
            embeddings, usual, intervals, labels = _draw_batch(training, rr, rng)
            logits = network(embeddings, usual, intervals)
            loss = loss_of(logits.flatten(0, 1), labels.flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        yield network.eval()


def score_head(head: HeartbeatHead, recordings: Sequence[AnnotatedBeats]) -> dict[str, float]:
    """Score detected and classified beats against all reference beats, gross over recordings."""
    counts = np.zeros((NO_BEAT + 1, NO_BEAT + 1), dtype=np.int64)
    for beats in recordings:
        classes = np.argmax(classify_heartbeats(head, beats.embeddings, beats.r_peaks), axis=1)
        counts += compare_beats((beats.reference_s, beats.reference_classes), (beats.r_peaks / TARGET_FS, classes))
    found = counts[:NO_BEAT, :NO_BEAT].sum()
    return {
        **summarise(counts),
        "detector_sensitivity": float(found / counts[:NO_BEAT].sum()),
        "detector_positive_predictivity": float(found / counts[:, :NO_BEAT].sum()),
    }


def train_heads(
    training: Sequence[AnnotatedBeats],
    validation: Sequence[AnnotatedBeats],
    config: HeartbeatsConfig,
    *,
    progress: Progress = no_progress,
) -> list[TrainedHead]:
    """Train `n_seeds` heads; returned in the order of their validation score, the median in the middle."""
    trained = []
    for number in range(config.n_seeds):
        progress(f"training head {number + 1} of {config.n_seeds}", number / config.n_seeds)
        trained.append(train_head(training, validation, config, seed=config.seed + number))
    return sorted(trained, key=lambda one: one.scores["macro_f1"])


def _standardise(network: BeatSequenceHead, training: Sequence[AnnotatedBeats]) -> None:
    """Set the network's input scale from the training beats; recordings count alike."""
    means = np.stack([beats.embeddings.mean(axis=0, dtype=np.float64) for beats in training])
    variances = np.stack([beats.embeddings.var(axis=0, dtype=np.float64) for beats in training])
    scale = np.sqrt(variances.mean(axis=0) + means.var(axis=0)) + 1e-4
    network.mean.copy_(torch.from_numpy(means.mean(axis=0)))
    network.scale.copy_(torch.from_numpy(scale))


def _class_weights(training: Sequence[AnnotatedBeats], balance: float) -> torch.Tensor:
    labels = np.concatenate([beats.labels for beats in training])
    counts = np.bincount(labels[labels >= 0], minlength=len(AamiClass))
    # A class of a handful of beats would get a weight that only teaches noise: counted as at least 100.
    weights = (counts.max() / np.maximum(counts, 100)) ** balance
    return torch.from_numpy(weights.astype(np.float32))


def _draw_batch(
    training: Sequence[AnnotatedBeats], rr: Sequence[npt.NDArray[np.float32]], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw sequences of beats; each comes with the usual beat of the minutes around it, as when classifying."""
    crops = [_draw_crop(training, rr, rng) for _ in range(_CROPS_PER_BATCH)]
    embeddings, usual, intervals, labels = (torch.stack(part) for part in zip(*crops, strict=True))
    return embeddings, usual, intervals, labels


def _draw_crop(
    training: Sequence[AnnotatedBeats], rr: Sequence[npt.NDArray[np.float32]], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    number = int(rng.integers(len(training)))
    beats = training[number]
    n_beats = min(_CROP_BEATS, beats.r_peaks.size)
    start = int(rng.integers(beats.r_peaks.size - n_beats + 1))
    half = BEATS_PER_SEQUENCE // 2 + CONTEXT_BEATS
    middle = start + n_beats // 2
    around = beats.embeddings[max(0, middle - half) : middle + half].astype(np.float32)
    rows = slice(start, start + n_beats)
    padding = [(0, _CROP_BEATS - n_beats)]
    embeddings = np.pad(beats.embeddings[rows].astype(np.float32), [*padding, (0, 0)])
    intervals = np.pad(rr[number][rows], [*padding, (0, 0)])
    labels = np.pad(beats.labels[rows], padding, constant_values=_UNLABELLED)
    usual = usual_beat(around)[None]
    return tuple(torch.from_numpy(part) for part in (embeddings, usual, intervals, labels))  # type: ignore[return-value]


def _copy(network: BeatSequenceHead) -> BeatSequenceHead:
    copied = build_network(network.mean.numel(), n_units=network.lstm.hidden_size, dropout=0.0)
    copied.load_state_dict(network.state_dict())
    return copied.eval()
