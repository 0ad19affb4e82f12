"""Predictions -> scores: sleep stages against those that a person scored, and what a hypnogram says of a night."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.predictions.sleep_labels import EPOCH_S, SleepStage

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def stage_counts(reference: npt.NDArray[np.int64], found: npt.NDArray[np.int64], n_classes: int) -> Counts:
    """Count epochs by reference class (row) and found class (column).

    Parameters
    ----------
    reference, found : ndarray of int64, shape (n_epochs,)
        Epochs in which either is -1 (unscored, abstained) do not count.
    n_classes : int

    Returns
    -------
    counts : ndarray of int64, shape (n_classes, n_classes)

    Examples
    --------
    >>> stage_counts(np.array([0, 1, 1, -1]), np.array([0, 1, 0, 0]), 2)
    array([[1, 0],
           [1, 1]])
    """
    both = (reference >= 0) & (found >= 0)
    flat = reference[both] * n_classes + found[both]
    return np.bincount(flat, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def stage_scores(counts: npt.NDArray[np.generic]) -> dict[str, Floats]:
    """Return accuracy, Cohen's kappa and macro-F1 of tables of counts, as `bootstrap` takes them.

    Kappa is agreement beyond chance (Cohen, Educ. Psychol. Meas. 20(1):37-46, 1960), 0 where chance alone agrees
    wholly. Macro-F1 is the mean over all classes; a class that neither side has counts 0.

    Parameters
    ----------
    counts : ndarray, shape (..., n_classes, n_classes)

    Returns
    -------
    scores : dict of str to ndarray of float64, shape (...,)

    Examples
    --------
    >>> {name: float(value.round(2)) for name, value in stage_scores(np.array([[20, 5], [10, 15]])).items()}
    {'accuracy': 0.7, 'kappa': 0.4, 'macro_f1': 0.7}
    """
    tables = counts.astype(np.float64)
    total = np.maximum(tables.sum(axis=(-2, -1)), 1.0)
    observed = np.trace(tables, axis1=-2, axis2=-1) / total
    expected = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1) / total**2
    beyond_chance = np.maximum(1.0 - expected, 1e-12)
    kappa = np.where(expected < 1.0, (observed - expected) / beyond_chance, 0.0)
    return {"accuracy": observed, "kappa": kappa, "macro_f1": class_f1(tables).mean(axis=-1)}


def class_f1(counts: npt.NDArray[np.generic]) -> Floats:
    """Return the F1 of each class of tables of counts, shape (..., n_classes); 0 for a class that neither side has."""
    tables = counts.astype(np.float64)
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    f1: Floats = 2 * hits / np.maximum(tables.sum(axis=-1) + tables.sum(axis=-2), 1.0)
    return f1


def scores_by_class(counts: Counts, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return sensitivity, positive predictivity, F1 and number of reference epochs of each class."""
    hits, reference, found = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    f1 = class_f1(counts)
    return {
        name: {
            "sensitivity": float(hits[number] / max(int(reference[number]), 1)),
            "positive_predictivity": float(hits[number] / max(int(found[number]), 1)),
            "f1": float(f1[number]),
            "n_epochs": int(reference[number]),
        }
        for number, name in enumerate(names)
    }


@dataclass(frozen=True)
class SleepStatistics:
    """What a hypnogram says of a night; see `sleep_statistics` for the definitions.

    Attributes
    ----------
    recorded_min, sleep_min : float
        Time of all staged epochs, and total sleep time (TST): that of all epochs that are not W; in minutes.
    efficiency : float
        TST over the time recorded.
    onset_latency_min : float or None
        From the start of the recording to the first epoch of sleep; None without sleep.
    rem_latency_min : float or None
        From the first epoch of sleep to the first of R; None without R.
    wake_after_onset_min : float
        Time awake between the first and the last epoch of sleep (WASO).
    shares : dict of str to float
        Of N1, N2, N3 and R in TST.
    n_transitions : int
        Changes between one stage and the next, unscored epochs left out.
    n_awakenings : int
        Changes from sleep to W.
    """

    recorded_min: float
    sleep_min: float
    efficiency: float
    onset_latency_min: float | None
    rem_latency_min: float | None
    wake_after_onset_min: float
    shares: dict[str, float]
    n_transitions: int
    n_awakenings: int


def sleep_statistics(stages: npt.NDArray[np.int64]) -> SleepStatistics:
    """Derive the usual numbers of a night from its hypnogram.

    Definitions follow the AASM manual with one difference: lights-off and lights-on are not known, so the recording
    stands for the time in bed. Unscored epochs count for nothing but the latencies, which are times on the clock.

    Parameters
    ----------
    stages : ndarray of int64, shape (n_epochs,)
        `SleepStage`, or -1.

    Examples
    --------
    >>> night = sleep_statistics(np.array([0, 0, 1, 2, 2, 0, 4, 2]))
    >>> night.sleep_min, night.efficiency, night.onset_latency_min, night.rem_latency_min, night.n_awakenings
    (2.5, 0.625, 1.0, 2.0, 1)
    """
    epoch_min = EPOCH_S / 60.0
    scored = stages[stages >= 0]
    asleep = np.flatnonzero(stages > SleepStage.W)
    n_asleep = max(asleep.size, 1)
    rem = np.flatnonzero(stages == SleepStage.R)
    changes = np.flatnonzero(np.diff(scored))
    between = stages[asleep[0] : asleep[-1]] if asleep.size else stages[:0]
    return SleepStatistics(
        recorded_min=scored.size * epoch_min,
        sleep_min=asleep.size * epoch_min,
        efficiency=asleep.size / max(scored.size, 1),
        onset_latency_min=float(asleep[0]) * epoch_min if asleep.size else None,
        rem_latency_min=float(rem[0] - asleep[0]) * epoch_min if rem.size else None,
        wake_after_onset_min=float(np.count_nonzero(between == SleepStage.W)) * epoch_min,
        shares={stage.name: float(np.count_nonzero(stages == stage) / n_asleep) for stage in list(SleepStage)[1:]},
        n_transitions=int(changes.size),
        n_awakenings=int(np.count_nonzero(scored[1:][np.diff(scored) != 0] == SleepStage.W)),
    )
