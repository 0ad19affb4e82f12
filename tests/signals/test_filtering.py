"""The filter removes baseline and line noise and leaves every wave where it is."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from heartbert.errors import ConfigError
from heartbert.signals.filtering import BandPass

Sine = Callable[..., npt.NDArray[np.float32]]
# Samples at each end that the reflection touches.
_END = 1000


def _rms(signal: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(signal[_END:-_END] ** 2)))


@pytest.mark.parametrize(("frequency_hz", "left"), [(0.05, 0.01), (50.0, 0.1), (60.0, 0.01)])
def test_band_removes_drift_and_line_noise(band: BandPass, sine: Sine, frequency_hz: float, left: float) -> None:
    """Breathing and mains would otherwise spend levels and tokens on what is no heart."""
    noise = sine(frequency_hz, 360.0, 60.0)

    filtered = band.apply(noise)

    assert _rms(filtered) < left * _rms(noise)


def test_band_leaves_a_wave_in_place_and_in_height(band: BandPass, sine: Sine) -> None:
    """A shift or a changed height would move R-peaks and levels."""
    wave = sine(10.0, 360.0, 30.0)

    filtered = band.apply(wave)

    assert np.abs(filtered - wave)[_END:-_END].max() < 0.02


def test_band_leaves_the_signal_alone_when_both_filters_are_off() -> None:
    """Settings of 0 promise that nothing is done."""
    signal = np.random.default_rng(0).normal(size=500).astype(np.float32)

    filtered = BandPass(0.0, 0.0).apply(signal)

    assert filtered.tolist() == signal.tolist()


@pytest.mark.parametrize("band", [BandPass(0.5, 40.0), BandPass(0.5, 0.0), BandPass(0.0, 40.0)])
def test_kernel_is_symmetric(band: BandPass) -> None:
    """Symmetry is what gives zero phase."""
    kernel = band.kernel

    assert kernel.tolist() == kernel[::-1].tolist()
    assert kernel.size == 2 * band.margin_samples + 1


def test_band_takes_out_a_constant_but_for_the_noise_filter_alone() -> None:
    """An offset of the amplifier is baseline; the noise filter has to keep it."""
    offset = np.full(4000, 3.0, dtype=np.float32)

    without_baseline, without_noise = BandPass(0.5, 40.0).apply(offset), BandPass(0.0, 40.0).apply(offset)

    assert without_baseline == pytest.approx(np.zeros(4000), abs=1e-4)
    assert without_noise == pytest.approx(offset, abs=1e-4)


@pytest.mark.parametrize("n_samples", [1, 2, 10])
def test_band_keeps_the_shape_of_short_signals(band: BandPass, n_samples: int) -> None:
    """The kernel is longer than these; the reflection has to cover it."""
    filtered = band.apply(np.ones(n_samples, dtype=np.float32))

    assert filtered.shape == (n_samples,)
    assert np.isfinite(filtered).all()


@pytest.mark.parametrize(("low_hz", "high_hz"), [(-0.5, 40.0), (0.5, 180.0), (float("nan"), 40.0), (0.5, 1e4)])
def test_band_refuses_impossible_cut_offs(low_hz: float, high_hz: float) -> None:
    """No filter exists there, and the library's own message does not name the setting."""
    with pytest.raises(ConfigError, match=r"both must lie in \[0, 180\)"):
        BandPass(low_hz, high_hz)


def test_band_refuses_exchanged_cut_offs() -> None:
    """Such a band would remove everything."""
    with pytest.raises(ConfigError, match=r"low_hz is 40.0, not below high_hz, which is 0.5"):
        BandPass(40.0, 0.5)
