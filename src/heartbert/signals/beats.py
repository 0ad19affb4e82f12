"""Stage 2 of 7: Record -> signal. R-peaks and RR intervals."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from heartbert.signals.resampling import TARGET_FS

# Two R-peaks closer than this are one beat seen twice: no heart beats above 300 a minute.
REFRACTORY_S = 0.2
# Shortest piece that the detector's own filters can work on, in seconds.
_SHORTEST_S = 1.0


def detect_r_peaks(signal: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Find the R-peaks of one lead at 360 Hz.

    The detector is SleepECG's (Brunner and Hofer, J. Open Source Softw. 8(86):5411, 2023), after Pan and
    Tompkins.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
        Finite samples at 360 Hz.

    Returns
    -------
    r_peaks : ndarray of int64, shape (n_beats,)
        Sample indices in increasing order; empty where the signal is constant or shorter than a second.
    """
    from sleepecg.heartbeats import detect_heartbeats  # here: a machine that only trains encoders need not have it

    if signal.size < _SHORTEST_S * TARGET_FS or np.ptp(signal) == 0:
        return np.empty(0, dtype=np.int64)
    found = detect_heartbeats(signal.astype(np.float64), TARGET_FS)
    return drop_repeats(np.asarray(found, dtype=np.int64))


def drop_repeats(r_peaks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Drop each R-peak that follows another within the refractory period, at 360 Hz."""
    if r_peaks.size == 0:
        return r_peaks
    apart = np.diff(r_peaks, prepend=-(10**9)) >= REFRACTORY_S * TARGET_FS
    return r_peaks[apart]


# RR intervals are described by these numbers, each clipped to [-3, 3]. Ratios to the mean and to the median differ
# where most beats are premature ones: the median is then a premature beat's, the mean is not (de Chazal 2004 uses it).
RR_FEATURES = (
    "log of the previous RR over the local mean",
    "log of the next RR over the local mean",
    "log of the previous RR over the local median",
    "log of the next RR over the local median",
    "log of the next RR over the previous RR",
    "log of the previous RR over the RR before it",
    "log of the RR before the previous one over the local mean",
    "log of the RR after the next one over the local mean",
    "log of the local mean over 0.8 s",
    "log of the usual change from RR to RR, a share of it, over 0.05",
    "log of the local spread, median absolute deviation of RR over the local median, over 0.05",
)
# Beats on each side whose RR intervals make the local mean, median and spread: about a minute in all.
_LOCAL_BEATS = 32
# Beats on each side whose changes from RR to RR are compared: fibrillation shows in a quarter of a minute.
_CHANGING_BEATS = 16
# A change of RR is measured against this much of it; no rhythm is steadier than a sample in a beat.
_STEADY, _USUAL_CHANGE = 0.005, 0.05
_BEATS_AT_A_TIME = 4096

Floats = npt.NDArray[np.float64]


def rr_features(times_s: Floats) -> npt.NDArray[np.float32]:
    """Describe each beat by the RR intervals around it.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_beats,)
        Times of the R-peaks in seconds, increasing.

    Returns
    -------
    features : ndarray of float32, shape (n_beats, 11)
        In the order of `RR_FEATURES`; ratios are natural logarithms, so 0 means "no change". A neighbour that
        does not exist (first and last beats) counts as the local median. All 0 where there is no interval.

    References
    ----------
    P. de Chazal, M. O'Dwyer, R. B. Reilly, IEEE Trans. Biomed. Eng. 51(7):1196-1206, 2004.

    Examples
    --------
    >>> rr_features(np.array([0.0, 0.8, 1.6, 2.0, 3.2, 4.0]))[3, :6].round(2)
    array([-0.69,  0.41, -0.69,  0.41,  1.1 , -0.69], dtype=float32)
    """
    n_beats = times_s.size
    if n_beats < 2:
        return np.zeros((n_beats, len(RR_FEATURES)), dtype=np.float32)
    rr = np.diff(times_s)
    mean = _local(rr, _LOCAL_BEATS, np.nanmean)
    median = _local(rr, _LOCAL_BEATS, np.nanmedian)
    spread = _local(rr, _LOCAL_BEATS, _median_deviation) / median
    previous, following = np.append(median[0], rr), np.append(rr, median[-1])
    before, after = np.append(median[0], previous[:-1]), np.append(following[1:], median[-1])
    changes = np.abs(np.diff(np.log(np.maximum(rr, 1e-3)))) if n_beats > 2 else np.zeros(1)
    change = _local(changes, _CHANGING_BEATS, np.nanmedian)
    change = np.append(change, change[-1])[:n_beats]
    columns = [
        *(previous / mean, following / mean, previous / median, following / median, following / previous),
        *(previous / before, before / mean, after / mean, mean / 0.8),
        *((change + _STEADY) / _USUAL_CHANGE, (spread + _STEADY) / _USUAL_CHANGE),
    ]
    features = np.log(np.maximum(np.stack(columns, axis=1), 1e-3))
    return np.asarray(np.clip(features, -3.0, 3.0), dtype=np.float32)


def _local(values: Floats, n_beats: int, statistic: Callable[..., Floats]) -> Floats:
    """Apply a statistic that leaves out NaN to the values around each place between two: shape (n_values + 1,)."""
    padded = np.pad(values, (n_beats, n_beats), constant_values=np.nan)
    # As many values before each place as after it, NaN beyond the ends: (n_values + 1, 2 * n_beats)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * n_beats)
    parts = range(0, around.shape[0], _BEATS_AT_A_TIME)  # medians copy: a day at once takes 0.2 GB
    return np.concatenate([statistic(around[start : start + _BEATS_AT_A_TIME], axis=1) for start in parts])


def _median_deviation(values: Floats, *, axis: int) -> Floats:
    """Return the median absolute deviation from the median, NaN left out."""
    medians = np.nanmedian(values, axis=axis, keepdims=True)
    return np.asarray(np.nanmedian(np.abs(values - medians), axis=axis))
