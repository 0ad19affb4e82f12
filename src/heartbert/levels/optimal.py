"""The cells of least squared error, found exactly by dynamic programming over the bins of a histogram."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from heartbert.compiled import has_numba

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Cost = Callable[[Indices, Indices], Floats]
"""Squared error of one cell from `start` to `stop`, for arrays of both."""


def optimal_edges(amplitudes: Floats, weights: Floats, n_levels: int) -> Indices:
    """Cut sorted weighted amplitudes into runs of least squared error.

    Bruce (1965) in time ``n_levels * n_points * log(n_points)``: the best starts of a last cell move to the right
    with its stop, so they are found by divide and conquer. Of equally good starts the first one is taken.

    Parameters
    ----------
    amplitudes : ndarray of float64, shape (n_points,)
        Strictly increasing.
    weights : ndarray of float64, shape (n_points,)
        Positive.
    n_levels : int
        At least 2 and below `n_points`.

    Returns
    -------
    edges : ndarray of int64, shape (n_levels + 1,)
        Cell ``k`` holds the points ``edges[k]`` to ``edges[k + 1] - 1``, at least one.
    """
    distances = amplitudes - np.average(amplitudes, weights=weights)  # sums of squares lose fewer digits around 0
    moments = np.stack([weights, weights * distances, weights * distances**2])
    mass, first, second = np.concatenate([np.zeros((3, 1)), np.cumsum(moments, axis=1)], axis=1)
    if has_numba():
        from heartbert.levels import kernels

        origins = kernels.best_origins(mass, first, second, n_levels)
    else:
        origins = best_origins(mass, first, second, n_levels)
    edges = [amplitudes.size]
    for level in range(n_levels - 1, 0, -1):
        edges.append(int(origins[level, edges[-1]]))
    return np.array([0, *edges[:0:-1], amplitudes.size])


def best_origins(mass: Floats, first: Floats, second: Floats, n_levels: int) -> npt.NDArray[np.int32]:
    """Find where the last cell starts, for every number of cells and every stop.

    Parameters
    ----------
    mass, first, second : ndarray of float64, shape (n_points + 1,)
        Sums of the weights, and of weights times amplitudes and squared amplitudes, of the points before each stop.
    n_levels : int

    Returns
    -------
    origins : ndarray of int32, shape (n_levels, n_points + 1)
        ``origins[k, stop]``: first point of the last one of ``k + 1`` best cells for the points before `stop`.
    """
    n_points = mass.size - 1

    def cost(start: Indices, stop: Indices) -> Floats:
        total = first[stop] - first[start]
        return np.asarray(second[stop] - second[start] - total * total / (mass[stop] - mass[start]))

    stops = np.arange(1, n_points + 1)
    best = np.full(n_points + 1, np.inf)
    best[1:] = cost(np.zeros_like(stops), stops)  # one cell
    origins = np.zeros((n_levels, n_points + 1), dtype=np.int32)
    for level in range(1, n_levels):
        best, origins[level] = _add_cell(best, cost, level)
    return origins


def _add_cell(best: Floats, cost: Cost, level: int) -> tuple[Floats, Indices]:
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
    best: Floats,
    cost: Cost,
    stops: Indices,
    bounds: tuple[Indices, Indices],
) -> tuple[Floats, Indices]:
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
