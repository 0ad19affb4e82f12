"""The hot loops of stage 3, compiled by numba; import this module only where `has_numba()` says so."""

import numba
import numpy as np
import numpy.typing as npt

# Cells of the grid that says where the search for a level starts: 8 KB, within the fastest cache. With 256 levels
# on real ECG, 1024 cells hold several thresholds each and cost 6-10 ns a sample, 4096 2.3 ns, 8192 and more 1.3 ns.
_N_GRID = 8192


@numba.njit(cache=True, nogil=True)
def quantize_samples(
    signal: npt.NDArray[np.float32], thresholds: npt.NDArray[np.float32], levels: npt.NDArray[np.uint8]
) -> int:  # pragma: no cover - compiled
    """Write the level of each sample; returns the position of the first one that is not finite, or -1.

    The place of a sample on an even grid gives the lowest level it can have, then thresholds are compared one by
    one. Samples and thresholds find their place by the same rounded arithmetic, and rounding keeps order, so a
    threshold in an earlier place is truly below the sample: the result is exact, whatever the rounding.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    thresholds : ndarray of float32, shape (n_levels - 1,)
        Finite and in order.
    levels : ndarray of uint8, shape (n_samples,)
        Is filled; undefined from the position returned, if any.
    """
    lowest, highest = thresholds[0], thresholds[-1]
    origin = np.float64(lowest)
    extent = np.float64(highest) - origin
    step = (_N_GRID - 1) / extent if extent > 0 else 0.0
    lowest_level = np.empty(_N_GRID, dtype=np.uint8)  # thresholds in all earlier places
    n_filled = 0
    for level in range(thresholds.size):
        place = int((np.float64(thresholds[level]) - origin) * step)
        lowest_level[n_filled : place + 1] = level
        n_filled = place + 1
    for i in range(signal.size):
        sample = signal[i]
        if lowest <= sample < highest:
            level = lowest_level[int((np.float64(sample) - origin) * step)]
            while thresholds[level] <= sample:  # ends: the last threshold is above the sample
                level += 1
            levels[i] = level
        elif -np.inf < sample < lowest:
            levels[i] = 0
        elif highest <= sample < np.inf:
            levels[i] = thresholds.size
        else:
            return i
    return -1


@numba.njit(cache=True, nogil=True)
def best_origins(
    mass: npt.NDArray[np.float64], first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], n_levels: int
) -> npt.NDArray[np.int32]:  # pragma: no cover - compiled
    """Find where the last cell starts, for every number of cells and every stop; see `optimal.best_origins`.

    The same searches in the same arithmetic, one stop after the other instead of a whole generation at once.
    """
    n_points = mass.size - 1
    origins = np.zeros((n_levels, n_points + 1), dtype=np.int32)
    best = np.full(n_points + 1, np.inf)
    for stop in range(1, n_points + 1):
        best[stop] = second[stop] - second[0] - (first[stop] - first[0]) * (first[stop] - first[0]) / mass[stop]
    pending = np.empty((64, 2), dtype=np.int64)  # solved stops on both sides of unsolved ones
    for level in range(1, n_levels):
        origin = origins[level]
        origin[:] = level
        errors = np.full(n_points + 1, np.inf)
        pending[0] = level, n_points + 1
        n_pending = 1
        while n_pending:
            n_pending -= 1
            before, after = pending[n_pending]
            stop = (before + after) // 2
            if stop == before:
                continue
            low = level if before == level else origin[before]
            high = stop - 1 if after > n_points else min(origin[after], stop - 1)
            for start in range(low, high + 1):
                total = first[stop] - first[start]
                error = best[start] + (second[stop] - second[start] - total * total / (mass[stop] - mass[start]))
                if error < errors[stop]:
                    errors[stop], origin[stop] = error, start
            pending[n_pending] = before, stop
            pending[n_pending + 1] = stop, after
            n_pending += 2
        best = errors
    return origins
