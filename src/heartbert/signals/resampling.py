"""Stage 2 of 7: Record -> signal. One lead at any sampling frequency -> the same lead at 360 Hz."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import soxr

from heartbert.errors import SignalValueError

# Sampling frequency of the language, in Hz: that of MIT-BIH Arrhythmia (HeartBERT, arXiv 2411.11896).
TARGET_FS = 360.0
# Samples on each side, at the lower of the two rates, that soxr's "HQ" filter looks at. With 64 a constant is
# off by 1 in 7,000 at its ends, with 96 by 1 in a million.
_SUPPORT_CYCLES = 96


def rate_ratio(fs: float) -> Fraction:
    """Return 360 Hz / `fs` as a ratio of whole numbers with a denominator up to 10,000.

    Whole-number ratios let a long recording be resampled in blocks whose edges fall on samples of both
    rates. A rate that needs a larger denominator is rounded, by 1 in 20,000 at worst (360.018 Hz is taken
    for 360 Hz) and by less than 1 in 500,000 near 128, 250 or 256 Hz.

    Raises
    ------
    SignalValueError
        If `fs` is not a positive, finite number of Hz.
    """
    if not (np.isfinite(fs) and fs > 0):
        raise SignalValueError(
            f"the sampling frequency is {fs} Hz; it must be positive and finite. Give it with fs=..."
        )
    return Fraction(TARGET_FS / fs).limit_denominator(10_000)


def support_samples(ratio: Fraction) -> int:
    """Return how many input samples beyond a block's edge its resampled samples depend on."""
    return 0 if ratio == 1 else int(np.ceil(_SUPPORT_CYCLES / min(float(ratio), 1.0)))


def resample(signal: npt.NDArray[np.float32], fs: float) -> npt.NDArray[np.float32]:
    """Resample one lead to 360 Hz.

    The ends are extended by odd reflection before soxr's high-quality filter is applied, which
    otherwise takes the signal to be zero outside its ends.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
        Finite samples at `fs`; any unit.
    fs : float
        Sampling frequency of `signal` in Hz.

    Returns
    -------
    resampled : ndarray of float32, shape (round(n_samples * 360 / fs),)
        Sample ``k`` lies at ``k / 360`` seconds.

    Raises
    ------
    SignalValueError
        If `fs` is not a positive, finite number.

    Examples
    --------
    >>> resample(np.ones(500, dtype=np.float32), 250.0).shape
    (720,)
    """
    ratio = rate_ratio(fs)
    n_out = n_resampled(signal.size, ratio)
    if ratio == 1:
        return signal.copy()
    margin = -(-support_samples(ratio) // ratio.denominator) * ratio.denominator
    if signal.size > 1:
        padded = np.pad(signal, margin, mode="reflect", reflect_type="odd")
    else:
        padded = np.pad(signal, margin, mode="edge")
    skip = margin * ratio.numerator // ratio.denominator
    return resample_padded(padded, ratio)[skip : skip + n_out]


def resample_padded(signal: npt.NDArray[np.float32], ratio: Fraction) -> npt.NDArray[np.float32]:
    """Resample without care for the ends; sample ``k`` of the result lies at input index ``k / ratio``."""
    if ratio == 1:
        return signal
    resampled = soxr.resample(signal, ratio.denominator, ratio.numerator, quality="HQ")
    return np.asarray(resampled, dtype=np.float32)


def n_resampled(n_samples: int, ratio: Fraction) -> int:
    """Return how many samples at 360 Hz stand for `n_samples` at the other rate."""
    return max(round(n_samples * ratio), 1)
