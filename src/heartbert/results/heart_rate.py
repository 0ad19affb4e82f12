"""What a person reads: beats -> RR intervals and heart rate, never across a part that was not scored."""

import numpy as np
import numpy.typing as npt

from heartbert.analysis import Analysis

# Beats over which a heart rate is averaged: long enough that one early beat does not look like a tachycardia.
WINDOW_BEATS = 10


def rr_intervals_s(analysis: Analysis) -> npt.NDArray[np.float64]:
    """Return the time from the previous beat to each beat.

    Returns
    -------
    rr_s : ndarray of float64, shape (n_beats,)
        Seconds; NaN for the first beat and where an unscorable stretch, which may hide beats, lies between.
    """
    times_s = analysis.beats.times_s
    rr_s = np.full(times_s.size, np.nan)
    starts = np.array([stretch.start_s for stretch in analysis.unscorable], dtype=np.float64)
    stops = np.array([stretch.stop_s for stretch in analysis.unscorable], dtype=np.float64)
    n_begun = np.searchsorted(starts, times_s[1:], side="left")
    n_over = np.searchsorted(stops, times_s[:-1], side="right")
    rr_s[1:] = np.where(n_begun > n_over, np.nan, np.diff(times_s))
    return rr_s


def heart_rate(analysis: Analysis) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the heart rate over each run of `WINDOW_BEATS` beats.

    Returns
    -------
    times_s : ndarray of float64, shape (n_runs,)
        Middle of each run in seconds from the start of the recording.
    rate_bpm : ndarray of float64, shape (n_runs,)
        Beats a minute; NaN where an unscorable stretch interrupts the run.
    """
    times_s = analysis.beats.times_s
    if times_s.size < WINDOW_BEATS:
        return np.empty(0), np.empty(0)
    n_gaps = np.cumsum(np.isnan(rr_intervals_s(analysis)))
    first, last = slice(0, 1 - WINDOW_BEATS), slice(WINDOW_BEATS - 1, None)
    rate_bpm = 60.0 * (WINDOW_BEATS - 1) / (times_s[last] - times_s[first])
    interrupted = n_gaps[last] > n_gaps[first]
    return (times_s[first] + times_s[last]) / 2, np.where(interrupted, np.nan, rate_bpm)
