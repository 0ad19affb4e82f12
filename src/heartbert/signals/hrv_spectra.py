"""Stage 2 of 7: Record -> signal. Spectra of the RR intervals around each epoch: slow waves, LF, HF and breathing."""

import numpy as np
import numpy.typing as npt
from scipy.signal import detrend

from heartbert.signals.hrv_intervals import TACHOGRAM_FS, Tachogram

Array = npt.NDArray[np.float64]

# Bands in Hz. Cyclic variation of the heart rate in sleep apnoea lies in 0.01-0.04 Hz.
_BANDS = ((0.0033, 0.01), (0.01, 0.04), (0.04, 0.15), (0.15, 0.4))
# Where breathing is looked for, in Hz: 8 to 30 breaths a minute.
_BREATHING_HZ = (0.13, 0.5)
SPECTRAL = (
    "log ULF",
    "log VLF",
    "log LF",
    "log HF",
    "log LF/HF",
    "HF share",
    "breathing frequency",
    "breathing concentration",
    "breathing entropy",
    "LF frequency",
)
"""What each column of `spectral` is."""
# Windows computed at once: the spectra of a day at once would take 0.3 GB.
_AT_A_TIME = 256
_N_FFT = 2048


def spectral(tachogram: Tachogram, middles: Array, window_s: float) -> Array:
    """Describe the spectrum of RR in a window around each middle.

    Parameters
    ----------
    tachogram : Tachogram
    middles : ndarray of float64, shape (n_epochs,)
        In seconds.
    window_s : float
        At the ends of a recording the window is moved inside.

    Returns
    -------
    features : ndarray of float64, shape (n_epochs, 10)
        In the order of `SPECTRAL`; NaN where less than half of the window is known.
    """
    n_window = min(round(window_s * TACHOGRAM_FS), tachogram.rr.size)
    features = np.full((middles.size, len(SPECTRAL)), np.nan)
    if n_window == 0:
        return features
    starts = np.clip(np.round(middles * TACHOGRAM_FS - n_window / 2), 0, tachogram.rr.size - n_window).astype(np.int64)
    for first in range(0, middles.size, _AT_A_TIME):
        rows = slice(first, first + _AT_A_TIME)
        index = starts[rows, None] + np.arange(n_window)
        known = tachogram.known[index].mean(axis=1) >= 0.5
        features[rows] = np.where(known[:, None], _describe(tachogram.rr[index]), np.nan)
    return features


def _describe(pieces: Array) -> Array:
    """Return the features of pieces of RR, shape (n_pieces, n_window)."""
    tapered = detrend(pieces, axis=1) * np.hanning(pieces.shape[1])
    power = np.abs(np.fft.rfft(tapered, _N_FFT, axis=1)) ** 2 / np.sum(np.hanning(pieces.shape[1]) ** 2)
    frequency: Array = np.fft.rfftfreq(_N_FFT, 1 / TACHOGRAM_FS).astype(np.float64)
    bands = [power[:, (frequency >= low) & (frequency < high)].sum(axis=1) + 1e-6 for low, high in _BANDS]
    lf, hf = bands[2], bands[3]
    breathing = (frequency >= _BREATHING_HZ[0]) & (frequency < _BREATHING_HZ[1])
    peak, concentration, entropy = _peak(power[:, breathing], frequency[breathing])
    slow = (frequency >= 0.04) & (frequency < 0.15)
    slow_peak, _, _ = _peak(power[:, slow], frequency[slow])
    logs = [np.log(band) for band in bands]
    return np.stack([*logs, np.log(lf / hf), hf / (lf + hf), peak, concentration, entropy, slow_peak], axis=1)


def _peak(power: Array, frequency: Array) -> tuple[Array, Array, Array]:
    """Return frequency of the peak in Hz, share of the power within 0.03 Hz of it, and entropy in [0, 1]."""
    share = (power + 1e-12) / (power + 1e-12).sum(axis=1, keepdims=True)
    peak = frequency[np.argmax(power, axis=1)]
    near = np.abs(frequency[None] - peak[:, None]) <= 0.03
    entropy = -(share * np.log(share)).sum(axis=1) / np.log(frequency.size)
    return peak, (share * near).sum(axis=1), entropy
