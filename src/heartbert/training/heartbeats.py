"""Annotated recordings -> heartbeat head: frozen embeddings of beats, then a small BiLSTM."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError, RecordFormatError
from heartbert.evaluation.heartbeats import NO_BEAT, compare_beats, match_beats, reference_beats, summarise
from heartbert.pipeline import HeartBert
from heartbert.predictions.bilstm import BeatSequenceHead
from heartbert.predictions.calibration import Calibration, calibrate
from heartbert.predictions.given_beats import beats_in, r_peaks_at_360hz
from heartbert.predictions.heartbeats import (
    WAVEFORM_SAMPLES,
    HeartbeatHead,
    build_network,
    classify_heartbeats,
    describe_sequence,
    sequences,
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

Floats = npt.NDArray[np.float32]
BeatSource = Literal["detected", "reference"]
# Label of a beat that no reference beat answers to: not trained on.
UNLABELLED = -1
# Beats of a training sequence, and sequences of a batch.
_CROP_BEATS, _CROPS_PER_BATCH = 128, 16
# Steps of a training epoch at least: few labels have to be seen often, too.
_FEWEST_STEPS = 12


@dataclass(frozen=True)
class AnnotatedBeats:
    """The beats of one recording as the head sees them.

    Attributes
    ----------
    record : str
    r_peaks : ndarray of int64, shape (n_beats,)
        At 360 Hz: detected, or those of the annotation.
    embeddings : ndarray of float16, shape (n_beats, n_embedding)
        What the head reads of each beat; its last `n_waveform` numbers are the waveform.
    labels : ndarray of int64, shape (n_beats,)
        `AamiClass` of the reference beat within 150 ms, or -1; of the beat itself where beats are the reference's.
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
    n_waveform: int = 0


def reads_waveform(config: HeartbeatsConfig) -> bool:
    """Say whether a head reads the waveform of each beat beside its embedding."""
    return config.reads == "encoder-and-waveform"


def n_waveform_of(config: HeartbeatsConfig) -> int:
    """Return how many numbers of the waveform a head reads beside the embedding of each beat."""
    return WAVEFORM_SAMPLES.size if reads_waveform(config) else 0


def label_beats(
    preprocessing: Preprocessing, path: Path, *, annotator: str = "atr", beats: BeatSource = "detected"
) -> tuple[AnnotatedBeats, Scaling]:
    """Place the beats of an annotated recording and label them by the annotation, without embeddings.

    Parameters
    ----------
    preprocessing : Preprocessing
    path : Path
    annotator : str
        Suffix of the annotation file without dot.
    beats : {"detected", "reference"}
        Who places them: the detector, which misses some and finds some that are none, or the annotation; see
        `heartbert.predictions.given_beats` for what is done with those.

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
    ConfigError
        If reference beats lie outside the recording, or two of them at one sample.
    """
    record = read_record(path)
    annotations = read_annotations(path, annotator)
    reference_samples, reference_classes = reference_beats(annotations)
    if reference_samples.size == 0:
        raise RecordFormatError(f"'{path.stem}.{annotator}' annotates no beat; give a recording with beat annotations.")
    reference_s = reference_samples / annotations.fs
    lead = record.lead()
    survey = survey_lead(preprocessing.stream(lead))
    if beats == "reference":
        whose = f"the beats of '{path.stem}.{annotator}'"
        r_peaks, labels = r_peaks_at_360hz(beats_in(annotations, lead), lead, whose=whose), reference_classes
    else:
        r_peaks, labels = survey.r_peaks, np.full(survey.r_peaks.size, UNLABELLED)
        reference_index, found_index = match_beats(reference_s, r_peaks / TARGET_FS)
        labels[found_index] = reference_classes[reference_index]
    none = np.empty((r_peaks.size, 0), dtype=np.float16)
    annotated = AnnotatedBeats(record.name, r_peaks, none, labels, reference_s, reference_classes)
    return annotated, preprocessing.scaling_rule.fit(survey.ranges)


def embed_annotated(
    bundle: Bundle,
    path: Path,
    *,
    layer: int,
    n_waveform: int = 0,
    annotator: str = "atr",
    beats: BeatSource = "detected",
) -> AnnotatedBeats:
    """Place and embed the beats of an annotated recording, and label them by the annotation; see `label_beats`.

    With `n_waveform` numbers the waveform of each beat stands behind its embedding.

    Raises
    ------
    RecordFormatError
        If the annotation file holds no beat.
    ConfigError
        If reference beats lie outside the recording, or two of them at one sample.
    """
    labelled, scaling = label_beats(bundle.preprocessing, path, annotator=annotator, beats=beats)
    lead = read_record(path).lead()
    embeddings = HeartBert(bundle).beat_embeddings(lead, scaling, labelled.r_peaks, layer=layer, n_waveform=n_waveform)
    return replace(labelled, embeddings=embeddings, n_waveform=n_waveform)


@dataclass(frozen=True)
class TrainedHead:
    """A head and what it scores on the validation recordings.

    Attributes
    ----------
    head : HeartbeatHead
        Its temperature was fitted on the validation recordings.
    scores : dict of str to float
    curve : tuple of float
        Macro-F1 by training epoch; empty where no epoch was chosen.
    calibration : Calibration or None
        What its probabilities are worth on the validation recordings.
    """

    head: HeartbeatHead
    scores: dict[str, float]
    curve: tuple[float, ...]
    calibration: Calibration | None = None


def train_head(
    training: Sequence[AnnotatedBeats],
    validation: Sequence[AnnotatedBeats],
    config: HeartbeatsConfig,
    *,
    seed: int,
) -> TrainedHead:
    """Train one head to the end of its schedule, and score it on the validation recordings.

    Nothing is chosen by those but the temperature, which leaves every beat in its class. Recordings in which no beat
    was placed are not trained on; among the validation recordings all their beats count as missed.

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
    training = [beats for beats in training if beats.r_peaks.size]
    if not training or not validation or config.n_training_epochs < 1:
        raise ConfigError(
            f"{len(training)} training and {len(validation)} validation recordings and {config.n_training_epochs} "
            "training epochs; at least one of each is needed."
        )
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(
            training[0].embeddings.shape[1],
            n_units=config.n_units,
            dropout=config.dropout,
            n_directions=config.n_directions,
            n_waveform=training[0].n_waveform,
        )
        _train(network, training, config, rng)
    head = HeartbeatHead(network.eval(), config.layer)
    calibration = calibrate_head(head, validation)
    return TrainedHead(
        replace(head, temperature=calibration.temperature), score_head(head, validation), (), calibration
    )


def calibrate_head(head: HeartbeatHead, recordings: Sequence[AnnotatedBeats]) -> Calibration:
    """Fit the temperature of a head and measure what its probabilities are worth, on labelled beats."""
    untempered = replace(head, temperature=1.0)
    scored = []
    for beats in recordings:
        labelled = beats.labels != UNLABELLED
        probabilities = classify_heartbeats(untempered, beats.embeddings, beats.r_peaks)
        scored.append((probabilities[labelled], beats.labels[labelled]))
    return calibrate(scored)


def _train(
    network: BeatSequenceHead, training: Sequence[AnnotatedBeats], config: HeartbeatsConfig, rng: np.random.Generator
) -> None:
    """Train a network in place; what it reads of a beat is computed once, as when classifying."""
    described = _described(network, training)
    labels = [beats.labels for beats in training]
    loss_of = nn.CrossEntropyLoss(weight=class_weights(training, config.class_balance), ignore_index=UNLABELLED)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=0.01)
    n_batches = max(_FEWEST_STEPS, sum(one.size for one in labels) // (_CROP_BEATS * _CROPS_PER_BATCH))
    n_steps = n_batches * config.n_training_epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=n_steps)
    network.train()
    for _ in range(n_steps):
        beats, wanted = _draw_batch(described, labels, rng)
        loss = loss_of(network.score(beats).flatten(0, 1), wanted.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def score_head(head: HeartbeatHead, recordings: Sequence[AnnotatedBeats]) -> dict[str, float]:
    """Score detected and classified beats against all reference beats, gross over recordings."""
    classified = [
        (beats, np.argmax(classify_heartbeats(head, beats.embeddings, beats.r_peaks), axis=1)) for beats in recordings
    ]
    return score_classes(classified)


def score_classes(classified: Sequence[tuple[AnnotatedBeats, npt.NDArray[np.int64]]]) -> dict[str, float]:
    """Score recordings and the class given to each of their beats, gross over recordings."""
    counts = np.zeros((NO_BEAT + 1, NO_BEAT + 1), dtype=np.int64)
    for beats, classes in classified:
        counts += compare_beats((beats.reference_s, beats.reference_classes), (beats.r_peaks / TARGET_FS, classes))
    found = counts[:NO_BEAT, :NO_BEAT].sum()
    return {
        **summarise(counts),
        "detector_sensitivity": float(found / counts[:NO_BEAT].sum()),
        "detector_positive_predictivity": float(found / max(counts[:, :NO_BEAT].sum(), 1)),
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


def _described(network: BeatSequenceHead, training: Sequence[AnnotatedBeats]) -> list[Floats]:
    """Set the network's input scales from the training beats, and describe those: (n_beats, n_described) each."""
    _standardise(network.mean, network.scale, [beats.embeddings for beats in training])
    described = [_describe_lead(network, beats) for beats in training]
    _standardise(network.feature_mean, network.feature_scale, [one[:, : network.n_features] for one in described])
    return described


def _describe_lead(network: BeatSequenceHead, beats: AnnotatedBeats) -> Floats:
    rr = rr_features(beats.r_peaks / TARGET_FS)
    runs = [
        describe_sequence(network, beats.embeddings[around].astype(np.float32), rr[around])[
            run.start - around.start : run.stop - around.start
        ].numpy()
        for run, around in sequences(beats.r_peaks.size)
    ]
    return np.concatenate(runs)


def _standardise(mean: torch.Tensor, scale: torch.Tensor, values: Sequence[npt.NDArray[np.floating]]) -> None:
    """Set an input scale from the values of recordings, (n_beats, n_numbers) each; recordings count alike."""
    means = np.stack([one.mean(axis=0, dtype=np.float64) for one in values])
    variances = np.stack([one.var(axis=0, dtype=np.float64) for one in values])
    mean.copy_(torch.from_numpy(means.mean(axis=0)))
    scale.copy_(torch.from_numpy(np.sqrt(variances.mean(axis=0) + means.var(axis=0)) + 1e-4))


def class_weights(training: Sequence[AnnotatedBeats], balance: float) -> torch.Tensor:
    """Return the weight of each class: (most frequent / own count) to the power `balance`."""
    labels = np.concatenate([beats.labels for beats in training])
    counts = np.bincount(labels[labels >= 0], minlength=len(AamiClass))
    # A class of a handful of beats would get a weight that only teaches noise: counted as at least 100.
    weights = (counts.max() / np.maximum(counts, 100)) ** balance
    return torch.from_numpy(weights.astype(np.float32))


def _draw_batch(
    described: Sequence[Floats], labels: Sequence[npt.NDArray[np.int64]], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw sequences of consecutive beats, each recording as often as another; a short one is filled up."""
    crops = []
    for number in rng.integers(len(described), size=_CROPS_PER_BATCH).tolist():
        n_beats = min(_CROP_BEATS, labels[number].size)
        start = int(rng.integers(labels[number].size - n_beats + 1))
        rows, padding = slice(start, start + n_beats), (0, _CROP_BEATS - n_beats)
        beats = np.pad(described[number][rows], [padding, (0, 0)])
        crops.append((beats, np.pad(labels[number][rows], padding, constant_values=UNLABELLED)))
    beats_of, labels_of = (np.stack(part) for part in zip(*crops, strict=True))
    return torch.from_numpy(beats_of), torch.from_numpy(labels_of)
