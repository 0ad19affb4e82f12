"""Stage 2 of 7: Record -> signal. Heart-rate variability of the minutes around each 30-s epoch, from beat times.

Everything is computed from the times of the beats alone, so reference beats and detected ones are treated alike.
Bands follow the Task Force (Circulation 93(5):1043-1065, 1996).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from heartbert.signals.hrv_complexity import COMPLEXITY, complexity
from heartbert.signals.hrv_intervals import (
    TACHOGRAM_FS,
    Intervals,
    Tachogram,
    beat_intervals_of,
    interpolate_heart_rate,
)
from heartbert.signals.hrv_spectra import SPECTRAL, spectral

Array = npt.NDArray[np.float64]

_EPOCH_S = 30.0
# Widths in seconds of the windows around the middle of an epoch in which intervals are described.
INTERVAL_WINDOWS_S = (30.0, 90.0, 300.0, 900.0)
# Widths of the windows in which spectra are taken: breathing is followed in a minute, slow waves need five.
SPECTRAL_WINDOWS_S = (60.0, 300.0)
COMPLEXITY_WINDOW_S = 300.0
# Epochs on each side whose spread says how steady a quantity is.
_STEADY_EPOCHS = 5
_INTERVAL = ("log mean RR", "log SDNN", "log RMSSD", "pNN50", "log SD1/SD2", "log range of RR")
_BURST = ("highest rise", "deepest fall", "fastest rise", "fastest fall", "rate against 5 min", "rate against 15 min")
_STEADY = ("spread of mean RR", "spread of breathing frequency", "spread of log HF")

HRV_FEATURES: tuple[str, ...] = (
    *(f"{name}, {window:g} s" for window in INTERVAL_WINDOWS_S for name in _INTERVAL),
    *(f"{name}, {window:g} s" for window in SPECTRAL_WINDOWS_S for name in SPECTRAL),
    *COMPLEXITY,
    *_BURST,
    *_STEADY,
)
"""What each column of `NightVariability.features` is."""


@dataclass(frozen=True)
class NightVariability:
    """Heart-rate variability of a night, epoch by epoch.

    Attributes
    ----------
    features : ndarray of float32, shape (n_epochs, n_features)
        In the order of `HRV_FEATURES`; NaN where there are too few beats.
    quality : ndarray of float32, shape (n_epochs, 2)
        Share of the epoch's 30 s inside accepted RR intervals, and share of its RR intervals that were accepted.
    """

    features: npt.NDArray[np.float32]
    quality: npt.NDArray[np.float32]


def night_variability(times_s: Array, n_epochs: int) -> NightVariability:
    """Describe the heart-rate variability around each epoch of a night.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_beats,)
        Times of the beats in seconds from the start of the first epoch, increasing.
    n_epochs : int
        Epochs of 30 s, at least 1.

    Returns
    -------
    variability : NightVariability

    Examples
    --------
    >>> night_variability(np.arange(0.0, 1200.0, 0.8), 40).features.shape[0]
    40
    """
    intervals = beat_intervals_of(times_s)
    tachogram = interpolate_heart_rate(intervals, n_epochs * _EPOCH_S)
    middles: Array = (np.arange(n_epochs, dtype=np.float64) + 0.5) * _EPOCH_S
    by_window = [_interval_features(intervals, middles, window) for window in INTERVAL_WINDOWS_S]
    spectra = [spectral(tachogram, middles, window) for window in SPECTRAL_WINDOWS_S]
    columns = [
        *by_window,
        *spectra,
        complexity(intervals, middles, COMPLEXITY_WINDOW_S),
        _burst_features(tachogram, n_epochs),
        _steadiness(by_window[0][:, 0], spectra[0]),
    ]
    features = np.concatenate(columns, axis=1).astype(np.float32)
    return NightVariability(features, _quality(intervals, middles).astype(np.float32))


def _interval_features(intervals: Intervals, middles: Array, window_s: float) -> Array:
    """Describe the accepted intervals in a window around each middle, shape (n_epochs, 6)."""
    features = np.full((middles.size, len(_INTERVAL)), np.nan)
    for row, (start, stop) in enumerate(intervals.slices(middles, window_s)):
        rr, steps = intervals.rr[start:stop], intervals.successive_differences(start, stop)
        if rr.size < 8 or steps.size < 5:
            continue
        rmssd = float(np.sqrt(np.mean(steps**2))) + 1e-3
        sdnn = float(rr.std()) + 1e-3
        sd2 = np.sqrt(max(2 * sdnn**2 - rmssd**2 / 2, 1e-6))
        low, high = np.percentile(rr, (5, 95))
        features[row] = (
            np.log(rr.mean()),
            np.log(sdnn),
            np.log(rmssd),
            np.mean(np.abs(steps) > 0.05),
            np.log(rmssd / np.sqrt(2) / sd2),
            np.log(high - low + 1e-3),
        )
    return features


def _burst_features(tachogram: Tachogram, n_epochs: int) -> Array:
    """Describe bursts of the heart rate as movements and arousals cause them, shape (n_epochs, 6)."""
    rate = np.log(60.0 / tachogram.rr)
    smooth = _moving_mean(rate, round(4 * TACHOGRAM_FS))
    five, fifteen = (_moving_mean(rate, round(60 * minutes * TACHOGRAM_FS)) for minutes in (5, 15))
    above = (smooth - five).reshape(n_epochs, -1)
    lag = round(6 * TACHOGRAM_FS)
    change = np.concatenate((np.zeros(lag), smooth[lag:] - smooth[:-lag])).reshape(n_epochs, -1)
    local = rate.reshape(n_epochs, -1).mean(axis=1)
    features = np.stack(
        [
            above.max(axis=1),
            above.min(axis=1),
            change.max(axis=1),
            change.min(axis=1),
            local - five.reshape(n_epochs, -1).mean(axis=1),
            local - fifteen.reshape(n_epochs, -1).mean(axis=1),
        ],
        axis=1,
    )
    known = tachogram.known.reshape(n_epochs, -1).mean(axis=1) > 0.5
    return np.where(known[:, None], features, np.nan)


def _moving_mean(values: Array, width: int) -> Array:
    """Average over `width` samples around each; at the ends over those that exist."""
    cumulative = np.concatenate(([0.0], np.cumsum(values)))
    middle = np.arange(values.size)
    start, stop = np.maximum(middle - width // 2, 0), np.minimum(middle + width // 2 + 1, values.size)
    return np.asarray((cumulative[stop] - cumulative[start]) / (stop - start))


def _steadiness(mean_rr: Array, spectra: Array) -> Array:
    """Return the spread over the epochs around each of mean RR, breathing frequency and log HF power."""
    frequency, power = SPECTRAL.index("breathing frequency"), SPECTRAL.index("log HF")
    columns = np.stack([mean_rr, spectra[:, frequency], spectra[:, power]], axis=1)
    padded = np.pad(columns, ((_STEADY_EPOCHS, _STEADY_EPOCHS), (0, 0)), constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _STEADY_EPOCHS + 1, axis=0)
    known = np.isfinite(around)
    n_known = known.sum(axis=-1)
    filled = np.where(known, around, 0.0)
    mean = filled.sum(axis=-1) / np.maximum(n_known, 1)
    spread = np.sqrt((np.where(known, around - mean[..., None], 0.0) ** 2).sum(axis=-1) / np.maximum(n_known, 1))
    return np.where(n_known >= 3, np.log(spread + 1e-3), np.nan)


def _quality(intervals: Intervals, middles: Array) -> Array:
    """Return what share of each epoch lies in accepted intervals, and what share of its intervals was accepted."""
    edges = np.append(middles - _EPOCH_S / 2, middles[-1] + _EPOCH_S / 2)
    ends = intervals.ends
    rows = [
        (intervals.rr[start:stop].sum() / _EPOCH_S, (stop - start) / max(n_all, 1))
        for (start, stop), n_all in zip(
            pairwise(np.searchsorted(ends, edges).tolist()),
            np.diff(np.searchsorted(intervals.all_ends, edges)).tolist(),
            strict=True,
        )
    ]
    return np.clip(np.array(rows, dtype=np.float64), 0.0, 1.0)
