"""Stage 2 of 7: Record -> signal. R-peaks and RR intervals."""

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


# RR intervals are described by these numbers, each clipped to [-3, 3]; the last one is multiplied by 4.
RR_FEATURES = (
    "log of the previous RR over the local median",
    "log of the next RR over the local median",
    "log of the next RR over the previous RR",
    "log of the previous RR over the RR before it",
    "log of the local median over 0.8 s",
    "local spread: median absolute deviation of RR over the local median",
)
# Beats on each side whose RR intervals make the local median: about a minute in all.
_LOCAL_BEATS = 32
_BEATS_AT_A_TIME = 4096


def rr_features(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Describe each beat by the RR intervals around it.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_beats,)
        Times of the R-peaks in seconds, increasing.

    Returns
    -------
    features : ndarray of float32, shape (n_beats, 6)
        In the order of `RR_FEATURES`; ratios are natural logarithms, so 0 means "no change". A neighbour that
        does not exist (first and last beats) counts as the local median.

    Examples
    --------
    >>> rr_features(np.array([0.0, 0.8, 1.6, 2.0, 3.2, 4.0]))[3].round(2)
    array([-0.69,  0.41,  1.1 , -0.69,  0.  ,  0.  ], dtype=float32)
    """
    n_beats = times_s.size
    if n_beats < 2:
        return np.zeros((n_beats, len(RR_FEATURES)), dtype=np.float32)
    rr = np.diff(times_s)
    median, spread = _local_median_and_spread(rr)
    previous = np.concatenate(([median[0]], rr))
    following = np.append(rr, median[-1])
    before = np.concatenate(([median[0]], previous[:-1]))
    columns = [previous / median, following / median, following / previous, previous / before, median / 0.8]
    features = np.stack([*np.log(np.maximum(columns, 1e-3)), spread / median * 4.0], axis=1)
    return np.asarray(np.clip(features, -3.0, 3.0), dtype=np.float32)


def _local_median_and_spread(
    rr: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return median and median absolute deviation of the RR intervals around each beat, shape (n_beats,) each."""
    padded = np.pad(rr, (_LOCAL_BEATS, _LOCAL_BEATS), constant_values=np.nan)
    # 32 intervals before each beat and 32 after it, NaN beyond the ends: (n_beats, 64)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _LOCAL_BEATS)
    medians, spreads = [], []
    for start in range(0, around.shape[0], _BEATS_AT_A_TIME):  # medians copy: a day at once takes 0.2 GB
        rows = around[start : start + _BEATS_AT_A_TIME]
        medians.append(np.nanmedian(rows, axis=1))
        spreads.append(np.nanmedian(np.abs(rows - medians[-1][:, None]), axis=1))
    return np.concatenate(medians), np.concatenate(spreads)
