"""Predictions -> scores: intervals by the bootstrap, whose unit is the recording or the person and never the beat."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError

Floats = npt.NDArray[np.float64]
Statistics = Callable[[Floats], Mapping[str, Floats]]

N_RESAMPLES = 1000
# The interval holds this share of the resamples.
_LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A score with its interval.

    Attributes
    ----------
    mean : float
        Score of all units, the mean over seeds.
    low, high : float
        Percentile interval, 95 %.
    """

    mean: float
    low: float
    high: float


def bootstrap(
    counts: npt.NDArray[np.generic], statistics: Statistics, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """Estimate statistics of summed counts, with percentile intervals over units.

    Units are drawn with replacement; each draw is scored for every seed, and the mean over the seeds is one value of
    the distribution. So the interval shows how the score depends on who was tested, not on luck in training.

    Parameters
    ----------
    counts : ndarray, shape (n_seeds, n_units, ...)
        What each unit adds to the counts, for every training seed.
    statistics : callable
        Turns summed counts, shape (n_draws, n_seeds, ...), into values by name, shape (n_draws, n_seeds) each; NaN
        where a draw does not define a value, which leaves the draw out.
    n_resamples : int
    seed : int
        Of the draws.

    Returns
    -------
    estimates : dict
        By name, those that all units together define.

    Raises
    ------
    ConfigError
        If there is no unit or no seed.

    Examples
    --------
    >>> right_and_all = np.array([[[8, 10], [2, 10]]])  # one seed, two recordings
    >>> bootstrap(right_and_all, lambda totals: {"accuracy": totals[..., 0] / totals[..., 1]})
    {'accuracy': Estimate(mean=0.5, low=0.2, high=0.8)}
    """
    n_seeds, n_units = counts.shape[:2]
    if not n_seeds or not n_units:
        raise ConfigError(f"{n_units} recordings scored from {n_seeds} seeds; at least one of each is needed.")
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_resamples)
    weights = np.concatenate([np.ones((1, n_units), dtype=np.int64), drawn])
    totals = np.tensordot(weights.astype(np.float64), counts.astype(np.float64), axes=(1, 1))  # (n_draws, n_seeds, ...)
    values = {name: by_seed.mean(axis=1) for name, by_seed in statistics(totals).items()}
    return {name: _estimate(value) for name, value in values.items() if np.isfinite(value[0])}


def _estimate(values: Floats) -> Estimate:
    """Return the first value with the interval of the others."""
    resampled = values[1:][np.isfinite(values[1:])]
    tail = 50 * (1 - _LEVEL)
    low, high = np.percentile(resampled, [tail, 100 - tail]) if resampled.size else (values[0], values[0])
    return Estimate(float(values[0]), float(low), float(high))
