"""Stage 2 of 7: Record -> signal. Beat times -> accepted RR intervals, and the heart rate on a regular grid."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Samples a second of the interpolated RR intervals: above twice the fastest breathing that is looked for.
TACHOGRAM_FS = 4.0
# Shortest and longest interval between two normal beats in seconds: 200 and 30 beats a minute.
_SHORTEST_S, _LONGEST_S = 0.3, 2.0
# An interval is accepted if it differs from the median of the 11 around it by at most this share.
_LARGEST_CHANGE, _MEDIAN_INTERVALS = 0.3, 11
# Farthest in seconds that an interpolated value may lie from an accepted interval and still count as known.
_REACH_S = 3.0
# RR in seconds that stands where a recording has no accepted interval at all.
_USUAL_RR_S = 0.9


@dataclass(frozen=True)
class Intervals:
    """Accepted RR intervals of a night.

    Attributes
    ----------
    ends : ndarray of float64, shape (n_intervals,)
        Time in seconds of the beat that ends each accepted interval.
    rr : ndarray of float64, shape (n_intervals,)
        Length in seconds.
    order : ndarray of int64, shape (n_intervals,)
        Number of each among all intervals, so that neighbours can be told.
    all_ends : ndarray of float64, shape (n_beats - 1,)
        End of every interval, the refused ones included.
    """

    ends: Array
    rr: Array
    order: npt.NDArray[np.int64]
    all_ends: Array

    def slices(self, middles: Array, window_s: float) -> list[tuple[int, int]]:
        """Return first and last index (exclusive) of the intervals that end in a window around each middle."""
        starts = np.searchsorted(self.ends, middles - window_s / 2)
        stops = np.searchsorted(self.ends, middles + window_s / 2)
        return list(zip(starts.tolist(), stops.tolist(), strict=True))

    def successive_differences(self, start: int, stop: int) -> Array:
        """Return the differences in seconds of neighbouring accepted intervals in a slice."""
        neighbours = np.diff(self.order[start:stop]) == 1
        return np.asarray(np.diff(self.rr[start:stop])[neighbours])


@dataclass(frozen=True)
class Tachogram:
    """RR intervals on a grid of 4 Hz.

    Attributes
    ----------
    rr : ndarray of float64, shape (n_samples,)
        RR in seconds, linearly interpolated at ``(k + 0.5) / 4`` seconds.
    known : ndarray of bool, shape (n_samples,)
        False where no accepted interval is near.
    """

    rr: Array
    known: npt.NDArray[np.bool_]


def beat_intervals_of(times_s: Array) -> Intervals:
    """Return the RR intervals that lie between two normal beats, as far as their lengths tell.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_beats,)
        Increasing, in seconds.
    """
    rr = np.diff(times_s)
    half = _MEDIAN_INTERVALS // 2
    if rr.size == 0:
        return Intervals(rr, rr, np.empty(0, dtype=np.int64), rr)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(rr, half, mode="edge"), _MEDIAN_INTERVALS)
    usual = np.median(around, axis=1)
    plausible = (rr >= _SHORTEST_S) & (rr <= _LONGEST_S)
    accepted = np.flatnonzero(plausible & (np.abs(rr - usual) <= _LARGEST_CHANGE * usual))
    return Intervals(times_s[1:][accepted], rr[accepted], accepted, times_s[1:])


def interpolate_heart_rate(intervals: Intervals, duration_s: float) -> Tachogram:
    """Put the accepted intervals on a grid of 4 Hz from 0 to `duration_s`."""
    grid = (np.arange(round(duration_s * TACHOGRAM_FS)) + 0.5) / TACHOGRAM_FS
    if intervals.rr.size == 0:
        return Tachogram(np.full(grid.size, _USUAL_RR_S), np.zeros(grid.size, dtype=np.bool_))
    after = np.clip(np.searchsorted(intervals.ends, grid), 0, intervals.ends.size - 1)
    before = np.maximum(after - 1, 0)
    distance = np.minimum(np.abs(intervals.ends[after] - grid), np.abs(intervals.ends[before] - grid))
    return Tachogram(np.interp(grid, intervals.ends, intervals.rr), distance <= _REACH_S)
