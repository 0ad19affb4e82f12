"""Stage 3 of 7: signal -> levels. The Lloyd-Max quantiser: fit, quantize, dequantize."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, SignalValueError

# Bins of the histogram that a codebook is fitted on. On 62 million real samples 2^12 bins come within
# 0.012 dB of 2^16.
N_BINS = 1 << 14


@dataclass(frozen=True)
class Codebook:
    """A scalar quantiser of [0, 1]: where the cells end, and what each cell decodes to.

    Attributes
    ----------
    thresholds : tuple of float, length n_levels - 1
        Decision thresholds, strictly increasing, unitless (amplitude after scaling).
    values : tuple of float, length n_levels
        Reconstruction value of each cell: the mean of the training samples in it.
    """

    thresholds: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.values) <= 256 or len(self.thresholds) != len(self.values) - 1:
            raise ConfigError(
                f"codebook has {len(self.values)} values and {len(self.thresholds)} thresholds; it needs 2 "
                "to 256 values and one threshold fewer. Fit it again."
            )
        if not (np.diff(self.thresholds) > 0).all() or not (np.diff(self.values) > 0).all():
            raise ConfigError("codebook thresholds and values must be strictly increasing. Fit it again.")

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.values)

    @cached_property
    def _thresholds(self) -> npt.NDArray[np.float32]:
        return np.asarray(self.thresholds, dtype=np.float32)

    @cached_property
    def _values(self) -> npt.NDArray[np.float32]:
        return np.asarray(self.values, dtype=np.float32)

    def quantize(self, signal: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Give each sample of a scaled signal the index of its cell; see `quantize`."""
        return quantize(signal, self._thresholds)

    def dequantize(self, levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Decode levels to amplitudes in [0, 1]; see `dequantize`."""
        return dequantize(levels, self._values)


def quantize(signal: npt.NDArray[np.float32], thresholds: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Give each sample of a scaled signal the index of its quantiser cell.

    Level ``k`` covers ``thresholds[k - 1] <= x < thresholds[k]``; the outermost cells are open, so every
    finite sample has a level. The thresholds come from a codebook fitted once on training records, never
    from the signal being quantised.

    Parameters
    ----------
    signal : ndarray of float32, any shape
        Amplitude after scaling, unitless, nominally in [0, 1].
    thresholds : ndarray of float32, shape (n_levels - 1,)
        Decision thresholds, strictly increasing; ``2 <= n_levels <= 256``.

    Returns
    -------
    levels : ndarray of uint8, same shape as `signal`

    Raises
    ------
    SignalValueError
        If `signal` contains NaN or infinite samples; the message gives the first position.

    References
    ----------
    S. P. Lloyd, IEEE Trans. Inf. Theory 28(2):129-137, 1982. J. Max, IRE Trans. 6(1):7-12, 1960.

    Examples
    --------
    >>> quantize(np.array([0.1, 0.5, 0.9], dtype=np.float32), np.array([0.25, 0.75], dtype=np.float32))
    array([0, 1, 2], dtype=uint8)
    """
    finite = np.isfinite(signal)
    if not finite.all():
        position = int(np.flatnonzero(~finite.ravel())[0])
        raise SignalValueError(
            f"the signal is {signal.ravel()[position]} first at sample {position}; only finite samples "
            "have a level. Interpolate or cut it before quantising."
        )
    return np.searchsorted(thresholds, signal, side="right").astype(np.uint8)


def dequantize(levels: npt.NDArray[np.uint8], values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Decode levels to the reconstruction values of their cells.

    Parameters
    ----------
    levels : ndarray of uint8, any shape
    values : ndarray of float32, shape (n_levels,)

    Returns
    -------
    signal : ndarray of float32, same shape as `levels`

    Raises
    ------
    SignalValueError
        If a level is not below `n_levels`.

    Examples
    --------
    >>> dequantize(np.array([0, 2], dtype=np.uint8), np.array([0.1, 0.5, 0.9], dtype=np.float32))
    array([0.1, 0.9], dtype=float32)
    """
    if levels.size and int(levels.max()) >= values.size:
        raise SignalValueError(
            f"level {int(levels.max())} found; the codebook has levels 0 to {values.size - 1}. "
            "Use the codebook that made them."
        )
    return values[levels]


class Histogram:
    """Counts of scaled amplitudes, added block by block; the same in any order and for any number of parts.

    Attributes
    ----------
    counts : ndarray of int64, shape (n_bins,)
        Bin ``k`` covers ``[k, k + 1) / n_bins``; the last one includes 1.
    """

    def __init__(self, n_bins: int = N_BINS) -> None:
        self.counts = np.zeros(n_bins, dtype=np.int64)

    def add(self, signal: npt.NDArray[np.float32]) -> None:
        """Count the samples of a scaled signal, any shape, all in [0, 1]."""
        n_bins = self.counts.size
        bins = np.minimum((signal.ravel() * np.float32(n_bins)).astype(np.int32), n_bins - 1)
        self.counts += np.bincount(bins, minlength=n_bins)


def fit_lloyd_max(counts: npt.NDArray[np.int64], n_levels: int) -> Codebook:
    """Fit the quantiser of least mean squared error to a histogram of scaled amplitudes.

    Lloyd's iteration stops in local optima (on ECG 2 to 3 dB below the best). Here the cells come from
    dynamic programming over the bins, which finds the global optimum of the histogram (Bruce 1965; the
    row minima are found by divide and conquer, as their positions are monotone). The result satisfies both
    of Max's conditions up to the width of a bin: each value is the mean of its cell, each threshold lies
    halfway between two values.

    Parameters
    ----------
    counts : ndarray of int64, shape (n_bins,)
        Histogram over [0, 1].
    n_levels : int
        2 to 256.

    Returns
    -------
    codebook : Codebook
        With fewer distinct amplitudes than levels, the left-over levels are spread evenly over [0, 1] between
        the others and are never used on the histogram's own samples.

    Raises
    ------
    ConfigError
        If `n_levels` is out of range.
    SignalValueError
        If the histogram is empty.

    References
    ----------
    J. D. Bruce, Optimum Quantization, MIT Tech. Rep. 429, 1965. J. Max, IRE Trans. 6(1):7-12, 1960.
    """
    if not 2 <= n_levels <= 256:
        raise ConfigError(f"n_levels is {n_levels}; a codebook has 2 to 256 levels.")
    used = np.flatnonzero(counts)
    if used.size == 0:
        raise SignalValueError("the histogram is empty; add at least one scorable signal before fitting a codebook.")
    centres = (used + 0.5) / counts.size
    weights = counts[used].astype(np.float64)
    if used.size <= n_levels:
        values = _fill_up(centres, n_levels)
    else:
        edges = _optimal_edges(centres, weights, n_levels)
        mass = np.add.reduceat(weights, edges[:-1])
        values = np.add.reduceat(weights * centres, edges[:-1]) / mass
    thresholds = (values[1:] + values[:-1]) / 2
    return Codebook(tuple(thresholds.tolist()), tuple(values.tolist()))


def _fill_up(values: npt.NDArray[np.float64], n_levels: int) -> npt.NDArray[np.float64]:
    """Add evenly spread values in the widest gaps of [0, 1] until there are `n_levels`."""
    found = list(values)
    while len(found) < n_levels:
        ends = np.array([0.0, *found, 1.0])
        widest = int(np.argmax(np.diff(ends)))
        found.insert(widest, float(ends[widest] + ends[widest + 1]) / 2)
    return np.array(found)


Cost = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.float64]]
"""Squared error of one cell from `start` to `stop`, for arrays of both."""


def _optimal_edges(
    centres: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], n_levels: int
) -> npt.NDArray[np.int64]:
    """Cut sorted weighted points into `n_levels` runs of least squared error; returns n_levels + 1 edges."""
    moments = np.stack([weights, weights * centres, weights * centres**2])
    mass, first, second = np.concatenate([np.zeros((3, 1)), np.cumsum(moments, axis=1)], axis=1)
    n_points = centres.size

    def cost(start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        total = mass[stop] - mass[start]
        return np.asarray(second[stop] - second[start] - (first[stop] - first[start]) ** 2 / total)

    stops = np.arange(1, n_points + 1)
    best = np.full(n_points + 1, np.inf)
    best[1:] = cost(np.zeros_like(stops), stops)  # one cell
    origin = np.zeros((n_levels, n_points + 1), dtype=np.int32)
    for level in range(1, n_levels):
        best, origin[level] = _add_cell(best, cost, level)
    edges = [n_points]
    for level in range(n_levels - 1, 0, -1):
        edges.append(int(origin[level, edges[-1]]))
    return np.array([0, *edges[:0:-1], n_points])


def _add_cell(
    best: npt.NDArray[np.float64], cost: Cost, level: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Allow one more cell: one step of the dynamic programme over all stops at once.

    Parameters
    ----------
    best : ndarray of float64, shape (n_points + 1,)
        Least error of the points before each stop in `level` cells; infinite where there are too few points.
    cost : Cost
    level : int
        Index of the cell that is added.

    Returns
    -------
    errors : ndarray of float64, shape (n_points + 1,)
        The same in ``level + 1`` cells.
    origin : ndarray of int64, shape (n_points + 1,)
        Where the last cell starts.
    """
    n_points = best.size - 1
    errors = np.full(n_points + 1, np.inf)
    origin = np.full(n_points + 1, level, dtype=np.int64)
    # Stops are solved coarse to fine; each searches only between the origins of its solved neighbours.
    solved = np.array([level, n_points + 1])
    lowest, highest = np.array([level]), np.array([n_points])
    while True:
        middles = (solved[:-1] + solved[1:]) // 2
        todo = middles > solved[:-1]
        if not todo.any():
            return errors, origin
        stops = middles[todo]
        high = np.minimum(highest[todo], stops - 1)
        errors[stops], origin[stops] = _best_starts(best, cost, stops, (lowest[todo], high))
        solved = np.union1d(solved, stops)
        ends = np.clip(solved, level + 1, n_points)
        lowest = np.where(solved[:-1] <= level, level, origin[ends[:-1]])
        highest = np.where(solved[1:] > n_points, n_points, origin[ends[1:]])


def _best_starts(
    best: npt.NDArray[np.float64],
    cost: Cost,
    stops: npt.NDArray[np.int64],
    bounds: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Try every start of a last cell within the bounds of each stop; returns least errors and starts."""
    low, high = bounds
    lengths = high - low + 1
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    # The searches of all stops lie one after the other: row k is candidates offsets[k] to offsets[k + 1] - 1.
    starts = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - low, lengths)
    values = best[starts] + cost(starts, np.repeat(stops, lengths))
    minima = np.minimum.reduceat(values, offsets[:-1])
    candidates = np.flatnonzero(values == np.repeat(minima, lengths))
    # Of equal minima the first one counts: candidates increase, and so do the offsets of the rows.
    first = candidates[np.searchsorted(candidates, offsets[:-1])]
    return minima, starts[first]
