"""Stage 2 of 7: Record -> signal. Baseline wander and line noise, removed without moving a wave."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import signal as dsp

from heartbert.errors import ConfigError
from heartbert.signals.resampling import TARGET_FS

# Half-lengths of the two windowed-sinc kernels in seconds. 2.5 s makes the baseline cut-off about 0.6 Hz
# wide; 0.05 s makes the upper cut-off about 30 Hz wide, wide enough that a QRS complex does not ring.
_BASELINE_HALF_S = 2.5
_NOISE_HALF_S = 0.05


@dataclass(frozen=True)
class BandPass:
    """A symmetric FIR filter at 360 Hz: zero phase, finite support, so blocks of a long signal join exactly.

    Attributes
    ----------
    low_hz : float
        Cut-off of the baseline filter in Hz (-6 dB); 0 leaves the baseline in.
    high_hz : float
        Cut-off of the noise filter in Hz (-6 dB); 0 leaves the noise in.

    Notes
    -----
    0.5-40 Hz is the band of ECG monitoring. It leaves 8 % of 50 Hz, 0.3 % of 60 Hz and less than 0.1 % of what
    lies below 0.05 Hz, and brings databases that were stored filtered (PTB-XL excerpts, the 2017 challenge) and
    unfiltered (MIT-BIH) into one band.
    """

    low_hz: float
    high_hz: float

    def __post_init__(self) -> None:
        if not (0 <= self.low_hz < TARGET_FS / 2 and 0 <= self.high_hz < TARGET_FS / 2):
            raise ConfigError(
                f"filter cut-offs are {self.low_hz} and {self.high_hz} Hz; both must lie in [0, 180). "
                "Use 0 to leave one out."
            )
        if self.high_hz and self.low_hz >= self.high_hz:
            raise ConfigError(
                f"filter: low_hz is {self.low_hz}, not below high_hz, which is {self.high_hz}. Exchange them."
            )

    @cached_property
    def kernel(self) -> npt.NDArray[np.float32]:
        """Impulse response, symmetric, shape (n_taps,) with `n_taps` odd."""
        kernel = np.ones(1)
        if self.low_hz:
            half = round(_BASELINE_HALF_S * TARGET_FS)
            kernel = -dsp.firwin(2 * half + 1, self.low_hz, fs=TARGET_FS)
            kernel[half] += 1.0
        if self.high_hz:
            half = round(_NOISE_HALF_S * TARGET_FS)
            kernel = np.convolve(kernel, dsp.firwin(2 * half + 1, self.high_hz, fs=TARGET_FS))
        return kernel.astype(np.float32)

    @property
    def margin_samples(self) -> int:
        """Samples at 360 Hz on each side that a filtered sample depends on."""
        return self.kernel.size // 2

    def apply(self, signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Filter a whole signal at 360 Hz, extended at its ends by odd reflection.

        Parameters
        ----------
        signal : ndarray of float32, shape (n_samples,)
            Finite samples at 360 Hz.

        Returns
        -------
        filtered : ndarray of float32, same shape
        """
        mode = {"mode": "reflect", "reflect_type": "odd"} if signal.size > 1 else {"mode": "edge"}
        return self.apply_padded(np.pad(signal, self.margin_samples, **mode))  # type: ignore[call-overload]

    def apply_padded(self, padded: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Filter a signal that brings `margin_samples` of context on both sides; these are cut off."""
        if self.kernel.size == 1:
            return padded
        return np.asarray(dsp.oaconvolve(padded, self.kernel, mode="valid"), dtype=np.float32)
