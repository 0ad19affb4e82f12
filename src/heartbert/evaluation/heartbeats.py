"""Predictions -> scores: heartbeats compared with reference annotations."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.predictions.labels import BEAT_CLASS_OF_SYMBOL, AamiClass
from heartbert.records.record import Annotations

# A detected beat and a reference beat at most this far apart are the same beat (ANSI/AAMI EC57).
MATCH_S = 0.15
# Sample indices divided by fs differ from the distance meant by rounding; the border itself still matches.
_ROUNDING_S = 1e-9
# Row or column of a confusion matrix that stands for "no beat": missed beats and false detections.
NO_BEAT = len(AamiClass)
# Classes whose F1 values are averaged: Q has 8 beats in DS1 and 7 in DS2.
SCORED_CLASSES = (AamiClass.N, AamiClass.S, AamiClass.V, AamiClass.F)


def reference_beats(annotations: Annotations) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pick the beats out of annotations.

    Returns
    -------
    samples : ndarray of int64, shape (n_beats,)
        At the annotations' sampling frequency.
    classes : ndarray of int64, shape (n_beats,)
        `AamiClass` of each.
    """
    kept = [index for index, symbol in enumerate(annotations.symbols) if symbol in BEAT_CLASS_OF_SYMBOL]
    classes = [BEAT_CLASS_OF_SYMBOL[annotations.symbols[index]] for index in kept]
    return annotations.samples[kept], np.array(classes, dtype=np.int64)


def match_beats(
    reference_s: npt.NDArray[np.float64], found_s: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pair each found beat with the nearest reference beat within 150 ms, each used once.

    Parameters
    ----------
    reference_s, found_s : ndarray of float64, shape (n_reference,), (n_found,)
        Times in seconds, increasing.

    Returns
    -------
    reference_index, found_index : ndarray of int64, shape (n_pairs,)

    Examples
    --------
    >>> match_beats(np.array([1.0, 2.0]), np.array([1.1, 1.5, 2.2]))
    (array([0]), array([0]))
    """
    pairs: dict[int, tuple[float, int]] = {}
    if reference_s.size:
        after = np.clip(np.searchsorted(reference_s, found_s), 0, reference_s.size - 1)
        before = np.maximum(after - 1, 0)
        nearer_before = np.abs(found_s - reference_s[before]) <= np.abs(found_s - reference_s[after])
        nearest = np.where(nearer_before, before, after)
        for index, reference in enumerate(nearest.tolist()):
            distance = abs(float(found_s[index] - reference_s[reference]))
            if distance <= MATCH_S + _ROUNDING_S and distance < pairs.get(reference, (np.inf, 0))[0]:
                pairs[reference] = (distance, index)
    reference_index = np.array(sorted(pairs), dtype=np.int64)
    return reference_index, np.array([pairs[index][1] for index in reference_index.tolist()], dtype=np.int64)


def confusion_matrix(reference: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count beats by reference class (row) and found class (column).

    Parameters
    ----------
    reference, found : ndarray of int64, shape (n_beats,)
        `AamiClass` values, or `NO_BEAT`.

    Returns
    -------
    counts : ndarray of int64, shape (6, 6)
    """
    n_rows = NO_BEAT + 1
    return np.bincount(reference * n_rows + found, minlength=n_rows * n_rows).reshape(n_rows, n_rows)


@dataclass(frozen=True)
class ClassScores:
    """Sensitivity, positive predictivity and F1 of one class; 0 where a denominator is 0."""

    sensitivity: float
    positive_predictivity: float
    f1: float


def class_scores(counts: npt.NDArray[np.int64], aami_class: AamiClass) -> ClassScores:
    """Score one class of a confusion matrix; missed beats and false detections count."""
    hits = int(counts[aami_class, aami_class])
    n_reference, n_found = int(counts[aami_class].sum()), int(counts[:, aami_class].sum())
    return ClassScores(
        hits / n_reference if n_reference else 0.0,
        hits / n_found if n_found else 0.0,
        2 * hits / (n_reference + n_found) if n_reference + n_found else 0.0,
    )


def score_tables(tables: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Score many confusion matrices at once.

    Parameters
    ----------
    tables : ndarray of float64, shape (..., 6, 6)
        As from `confusion_matrix`.

    Returns
    -------
    scores : dict of str to ndarray of float64, shape (...)
        ``accuracy``, the share of reference beats that were found and classified rightly; ``macro_f1`` over those of N,
        S, V and F that the reference has; and, as ``sensitivity.N``, ``positive_predictivity.N`` and ``f1.N``, the
        scores of N, S, V and F. NaN for a class that the reference has not, 0 for one that was never found.
    """
    n_reference, n_found = tables[..., :NO_BEAT, :].sum(axis=-1), tables[..., :, :NO_BEAT].sum(axis=-2)
    hits = np.diagonal(tables, axis1=-2, axis2=-1)[..., :NO_BEAT]
    scores = {"accuracy": hits.sum(axis=-1) / np.maximum(n_reference.sum(axis=-1), 1)}
    present = n_reference > 0
    by_class = {
        "sensitivity": hits / np.where(present, n_reference, np.nan),
        "positive_predictivity": np.where(present, hits / np.maximum(n_found, 1), np.nan),
        "f1": 2 * hits / np.where(present, n_reference + n_found, np.nan),
    }
    scored = present[..., list(SCORED_CLASSES)]
    sums = np.where(scored, by_class["f1"][..., list(SCORED_CLASSES)], 0).sum(axis=-1)
    scores["macro_f1"] = sums / np.maximum(scored.sum(axis=-1), 1)
    names = {f"{name}.{one.name}": values[..., one] for name, values in by_class.items() for one in SCORED_CLASSES}
    return scores | names


def table_of_pairs(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Turn the pairs of an EC57 comparison, shape (..., 7, 7), into confusion matrices, shape (..., 6, 6).

    Its two ways of having no beat, one of them excused by a shutdown, are one here.
    """
    merged = np.concatenate([pairs[..., :NO_BEAT, :], pairs[..., NO_BEAT:, :].sum(axis=-2, keepdims=True)], axis=-2)
    return np.concatenate([merged[..., :NO_BEAT], merged[..., NO_BEAT:].sum(axis=-1, keepdims=True)], axis=-1)


def macro_f1(reference: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> float:
    """Return the mean F1 of N, S, V and F over beats that are all found; a class without beats counts as 0."""
    scores = []
    for beat_class in SCORED_CLASSES:
        hits = np.sum((reference == beat_class) & (found == beat_class))
        n_beats = np.sum(reference == beat_class) + np.sum(found == beat_class)
        scores.append(2 * hits / n_beats if n_beats else 0.0)
    return float(np.mean(scores))


def summarise(counts: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return accuracy, macro-F1 over N, S, V and F, and the F1 of each class.

    Accuracy is the share of reference beats that were found and classified rightly.
    """
    by_class = {aami_class: class_scores(counts, aami_class).f1 for aami_class in SCORED_CLASSES}
    n_reference = int(counts[:NO_BEAT].sum())
    return {
        "accuracy": float(np.trace(counts[:NO_BEAT, :NO_BEAT])) / max(n_reference, 1),
        "macro_f1": float(np.mean(list(by_class.values()))),
        **{f"f1_{aami_class.name}": value for aami_class, value in by_class.items()},
    }


def compare_beats(
    reference: tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]],
    found: tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> npt.NDArray[np.int64]:
    """Compare found beats with reference beats, beat by beat.

    Parameters
    ----------
    reference, found : (times_s, classes)
        Times in seconds, increasing, and `AamiClass` values, shapes (n_beats,).

    Returns
    -------
    counts : ndarray of int64, shape (6, 6)
        Confusion matrix with missed beats in column `NO_BEAT` and false detections in row `NO_BEAT`.
    """
    reference_index, found_index = match_beats(reference[0], found[0])
    seen = np.full(reference[0].size, NO_BEAT)
    seen[reference_index] = found[1][found_index]
    extra = np.delete(found[1], found_index)
    return confusion_matrix(np.concatenate([reference[1], np.full(extra.size, NO_BEAT)]), np.concatenate([seen, extra]))
