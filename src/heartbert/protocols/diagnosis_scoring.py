"""Probabilities of several labels -> AUROC and F1 with intervals over persons, and the difference of two rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError
from heartbert.evaluation.bootstrap import bootstrap

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scored:
    """What a row gave the scored recordings.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (n_seeds, n_records, n_labels)
    thresholds : ndarray of float64, shape (n_seeds, n_labels)
        A label is given from there on.
    """

    probabilities: Scores
    thresholds: Floats


def best_thresholds(targets: Scores, probabilities: Scores) -> Floats:
    """Return for each label the threshold with the highest F1; 0.5 for a label that nobody has.

    Parameters
    ----------
    targets, probabilities : ndarray of float32, shape (n_records, n_labels)

    Examples
    --------
    >>> best_thresholds(np.array([[0], [1], [1]]), np.array([[0.3], [0.2], [0.9]])).round(2)
    array([0.2])
    """
    return np.array([_best_threshold(*label) for label in zip(targets.T, probabilities.T, strict=True)])


def _best_threshold(targets: Scores, probabilities: Scores) -> float:
    if not targets.any():
        return 0.5
    tried = np.unique(probabilities)
    given = probabilities >= tried[:, None]  # (n_thresholds, n_records)
    hits = (given & (targets > 0)).sum(axis=1)
    f1 = 2 * hits / (given.sum(axis=1) + targets.sum())
    return float(tried[np.argmax(f1)])


def auroc(targets: Scores, scores: Scores, weights: Floats) -> Floats:
    """Return the area under the receiver operating characteristic, ties counted half.

    Parameters
    ----------
    targets, scores : ndarray, shape (n_records,)
    weights : ndarray of float64, shape (..., n_records)
        How often each recording counts.

    Returns
    -------
    areas : ndarray of float64, shape (...,)
        NaN where only one kind of recording counts.

    Examples
    --------
    >>> auroc(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.8]), np.ones(4))
    array(0.875)
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    present, absent = (
        np.add.reduceat(weights[..., order] * kind[order], starts, axis=-1) for kind in (targets > 0, targets <= 0)
    )  # (..., n_different_scores)
    below = np.cumsum(absent, axis=-1) - absent
    pairs = present.sum(axis=-1) * absent.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(pairs > 0, (present * (below + absent / 2)).sum(axis=-1) / pairs, np.nan))


def score_rows(
    targets: Scores, persons: Sequence[str], rows: Mapping[str, Scored], names: Sequence[str], *, ours: str
) -> dict[str, Any]:
    """Score all rows on the same recordings.

    Parameters
    ----------
    targets : ndarray of float32, shape (n_records, n_labels)
        0 or 1.
    persons : sequence of str
        Of each recording; drawn as wholes for the intervals.
    rows : mapping of str to Scored
    names : sequence of str
        Of the labels.
    ours : str
        The row that the others are compared with.

    Returns
    -------
    scores : dict
        ``rows``: for each ``macro_auroc``, ``auroc`` by label, ``macro_f1``, ``f1`` by label, 95 % intervals by
        bootstrap over persons, mean over seeds. ``best_other`` and ``differences``: macro-AUROC of `ours` minus that of
        each other row, on the same draws of persons. ``labels_scored``: those that some have and some have not.

    Raises
    ------
    ConfigError
        If no label can be scored.
    """
    scored = [number for number in range(len(names)) if 0 < targets[:, number].sum() < len(targets)]
    if not scored:
        raise ConfigError("no label can be scored: all recordings have the same. Give more recordings.")
    units, unit_of = np.unique(np.asarray(persons), return_inverse=True)
    # Each person counts once as itself, so that summed counts are how often each was drawn.
    counts = np.eye(units.size)[None]  # (1, n_persons, n_persons)

    def statistics(totals: Floats) -> dict[str, Floats]:
        weights = totals[:, 0][:, unit_of]  # (n_draws, n_records)
        values: dict[str, Floats] = {}
        for row, found in rows.items():
            values |= {f"{row}/{name}": value for name, value in _values(targets, found, weights, scored).items()}
        our_mean = _mean(values[f"{ours}/macro_auroc"])
        return values | {f"{row}/difference": our_mean - _mean(values[f"{row}/macro_auroc"]) for row in rows}

    estimates = {name: asdict(found) for name, found in bootstrap(counts, statistics).items()}
    others = [row for row in rows if row != ours]
    table = {row: _row(estimates, row, [(number, names[number]) for number in scored]) for row in rows}
    return {
        "n_records": len(targets),
        "n_persons": int(units.size),
        "labels_scored": [names[number] for number in scored],
        "rows": {row: {"n_seeds": len(rows[row].probabilities), **table[row]} for row in rows},
        "best_other": max(others, key=lambda row: table[row]["macro_auroc"]["mean"]),
        "differences": {row: estimates[f"{row}/difference"] for row in others},
    }


def _values(targets: Scores, row: Scored, weights: Floats, scored: Sequence[int]) -> dict[str, Floats]:
    """Return every score of a row for every draw and seed, shape (n_draws, n_seeds) each."""
    areas = np.stack(
        [[auroc(targets[:, label], seed[:, label], weights) for seed in row.probabilities] for label in scored]
    )  # (n_labels, n_seeds, n_draws)
    given = row.probabilities >= row.thresholds[:, None]  # (n_seeds, n_records, n_labels)
    f1 = np.stack([[_f1(targets[:, label], seed[:, label], weights) for seed in given] for label in scored])
    values = {"macro_auroc": areas.mean(axis=0).T, "macro_f1": f1.mean(axis=0).T}
    for number, label in enumerate(scored):
        values |= {f"auroc {label}": areas[number].T, f"f1 {label}": f1[number].T}
    return values


def _f1(targets: Scores, given: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the F1 of a label for every draw; 0 where neither side has it."""
    present = targets > 0
    hits, both = weights @ (present & given), weights @ present + weights @ given
    return np.asarray(2 * hits / np.maximum(both, 1.0))


def _mean(values: Floats) -> Floats:
    return np.asarray(values.mean(axis=1, keepdims=True))


def _row(estimates: Mapping[str, Any], row: str, labels: Sequence[tuple[int, str]]) -> dict[str, Any]:
    return {
        "macro_auroc": estimates[f"{row}/macro_auroc"],
        "auroc": {name: estimates[f"{row}/auroc {number}"] for number, name in labels},
        "macro_f1": estimates[f"{row}/macro_f1"],
        "f1": {name: estimates[f"{row}/f1 {number}"] for number, name in labels},
    }
