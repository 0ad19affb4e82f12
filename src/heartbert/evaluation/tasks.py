"""Predictions -> scores: classes, labels or numbers of a task of one's own, with intervals over the persons."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from heartbert.evaluation.bootstrap import Estimate, Floats, bootstrap

Values = npt.NDArray[np.float32]
# Probability from which a label of several counts as present.
_PRESENT = 0.5


def score_classes(
    values: Values, targets: npt.NDArray[np.int64], persons: Sequence[str], classes: Sequence[str]
) -> dict[str, Estimate]:
    """Score one of several classes.

    Parameters
    ----------
    values : ndarray of float32, shape (n_units, n_classes)
        Probabilities.
    targets : ndarray of int64, shape (n_units,)
    persons : sequence of str
        Person of each unit.
    classes : sequence of str

    Returns
    -------
    scores : dict of str to Estimate
        ``accuracy``, ``macro_f1`` over the classes that occur, and ``f1 NAME`` of each class.
    """
    n_classes = len(classes)
    number, n_persons = _numbered(persons)
    counts = np.zeros((1, n_persons, n_classes, n_classes))
    np.add.at(counts[0], (number, targets, np.argmax(values, axis=1).astype(np.int64)), 1)

    def statistics(totals: Floats) -> dict[str, Floats]:
        right = np.einsum("...cc->...c", totals)
        f1 = _f1(right, totals.sum(axis=-1), totals.sum(axis=-2))
        with np.errstate(invalid="ignore"):
            accuracy = right.sum(axis=-1) / totals.sum(axis=(-2, -1))
        by_class = {f"f1 {name}": f1[..., index] for index, name in enumerate(classes)}
        return {"accuracy": accuracy, "macro_f1": _mean_of_known(f1), **by_class}

    return bootstrap(counts, statistics)


def score_labels(
    values: Values, targets: Values, persons: Sequence[str], classes: Sequence[str]
) -> dict[str, Estimate]:
    """Score any number of labels.

    Parameters
    ----------
    values, targets : ndarray of float32, shape (n_units, n_classes)
        Probabilities; 0 or 1.
    persons : sequence of str
    classes : sequence of str

    Returns
    -------
    scores : dict of str to Estimate
        ``macro_auroc``, ``auroc NAME`` of each label, ``macro_f1`` and ``f1 NAME`` at a probability of 0.5.
    """
    number, n_persons = _numbered(persons)
    present, found = targets > 0, values >= _PRESENT

    def statistics(weights: Floats) -> dict[str, Floats]:
        of_units = weights[:, 0][:, number]  # (n_draws, n_units)
        aurocs = np.stack([_auroc(of_units, values[:, k], present[:, k]) for k in range(len(classes))], axis=-1)
        right, true, given = (of_units @ part.astype(np.float64) for part in (present & found, present, found))
        f1 = _f1(right, true, given)
        rows = {"macro_auroc": _mean_of_known(aurocs), "macro_f1": _mean_of_known(f1)}
        rows |= {f"auroc {name}": aurocs[:, index] for index, name in enumerate(classes)}
        rows |= {f"f1 {name}": f1[:, index] for index, name in enumerate(classes)}
        return {name: column[:, None] for name, column in rows.items()}

    # Each person adds one to a place of its own, so the totals of a draw say how often each was drawn.
    return bootstrap(np.eye(n_persons)[None], statistics)


def score_numbers(values: Values, targets: Values, persons: Sequence[str]) -> dict[str, Estimate]:
    """Score a number.

    Parameters
    ----------
    values, targets : ndarray of float32, shape (n_units,)
    persons : sequence of str

    Returns
    -------
    scores : dict of str to Estimate
        ``mae``, ``rmse``, ``r2`` against the mean of the tested units, ``correlation`` (Pearson).
    """
    number, n_persons = _numbered(persons)
    true, found = targets.astype(np.float64), values.astype(np.float64)
    middle = true.mean()  # sums of squares lose no digits around it
    true, found = true - middle, found - middle
    error = found - true
    columns = np.stack([np.ones(true.size), np.abs(error), error**2, true, true**2, found, found**2, true * found])
    counts = np.zeros((1, n_persons, len(columns)))
    np.add.at(counts[0], number, columns.T)

    def statistics(totals: Floats) -> dict[str, Floats]:
        n, absolute, square, x, xx, y, yy, xy = np.moveaxis(totals, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread, spread_found = _spread(n, x, xx), _spread(n, y, yy)
            return {
                "mae": absolute / n,
                "rmse": np.sqrt(square / n),
                "r2": 1 - square / spread,
                "correlation": (xy - x * y / n) / np.sqrt(spread * spread_found),
            }

    return bootstrap(counts, statistics)


def _spread(n: Floats, total: Floats, squares: Floats) -> Floats:
    """Return the sum of squares around the mean; NaN where all values are one, up to rounding."""
    spread = squares - total**2 / n
    return np.where(spread > 1e-9 * squares, spread, np.nan)


def _numbered(persons: Sequence[str]) -> tuple[npt.NDArray[np.int64], int]:
    names, number = np.unique(np.array(persons), return_inverse=True)
    return number.astype(np.int64), names.size


def _f1(right: Floats, true: Floats, given: Floats) -> Floats:
    """Return F1; NaN where a class does not occur, 0 where it occurs and is never found."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(true > 0, 2 * right / (true + given), np.nan)


def _mean_of_known(values: Floats) -> Floats:
    """Return the mean over the last axis without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1))


def _auroc(weights: Floats, values: Values, present: npt.NDArray[np.bool_]) -> Floats:
    """Return the area under the ROC curve for each row of weights; equal values count half.

    Parameters
    ----------
    weights : ndarray of float64, shape (n_draws, n_units)
    values : ndarray of float32, shape (n_units,)
    present : ndarray of bool, shape (n_units,)
    """
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.concatenate(([True], np.diff(values[order]) > 0)))
    positive = np.add.reduceat((weights * present)[:, order], starts, axis=1)
    negative = np.add.reduceat((weights * ~present)[:, order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1)))
