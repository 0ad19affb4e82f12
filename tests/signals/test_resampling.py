"""Resampling to 360 Hz moves no wave and changes no amplitude."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import SignalValueError
from heartbert.signals.resampling import TARGET_FS, n_resampled, rate_ratio, resample, support_samples

RATES = [
    50.0,
    100.0,
    125.0,
    128.0,
    200.0,
    250.0,
    256.0,
    257.3,
    300.0,
    1000 / 3,
    360.0,
    500.0,
    999.9,
    1000.0,
    2000.0,
]


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("n_samples", [10, 1000, 4321])
def test_resample_keeps_duration_within_one_sample(fs: float, n_samples: int) -> None:
    """Beat times are sample indices, so a longer or shorter signal would shift every beat."""
    resampled = resample(np.zeros(n_samples, dtype=np.float32), fs)

    assert abs(resampled.size / TARGET_FS - n_samples / fs) <= 1 / TARGET_FS


@pytest.mark.parametrize("fs", RATES)
def test_resample_preserves_frequency_and_phase_of_a_sine(
    fs: float, sine: Callable[..., npt.NDArray[np.float32]]
) -> None:
    """Sample k has to lie at k / 360 s, or waves move against the annotations."""
    resampled = resample(sine(7.0, fs, 10.0), fs)

    inner = slice(180, -180)
    assert resampled[inner] == pytest.approx(sine(7.0, TARGET_FS, resampled.size / TARGET_FS)[inner], abs=2e-3)


@settings(max_examples=15, deadline=None)
@given(fs=st.floats(60.0, 1500.0))
def test_resample_preserves_a_sine_at_any_rate(fs: float) -> None:
    """Recorders use rates that no list of cases foresees."""
    n_samples = round(4 * fs)

    resampled = resample(np.sin(2 * np.pi * 5.0 * np.arange(n_samples) / fs).astype(np.float32), fs)

    wanted = np.sin(2 * np.pi * 5.0 * np.arange(resampled.size) / TARGET_FS)
    assert abs(resampled.size - n_samples * TARGET_FS / fs) <= 1
    assert resampled[180:-180] == pytest.approx(wanted[180:-180], abs=1e-2)


@pytest.mark.parametrize("fs", RATES)
def test_resample_keeps_a_constant(fs: float) -> None:
    """A ripple on a constant would hide that a lead is flat."""
    resampled = resample(np.full(500, 0.7, dtype=np.float32), fs)

    assert resampled == pytest.approx(np.full(resampled.size, 0.7), abs=1e-5)


def test_resample_keeps_the_ends_of_a_straight_line() -> None:
    """The library takes a signal to be zero outside its ends, which would ring there."""
    resampled = resample(np.arange(250, dtype=np.float32), 250.0)

    assert resampled == pytest.approx(np.arange(360) / 1.44, abs=1e-2)


def test_resample_returns_a_copy_at_360_hz() -> None:
    """A result that shares memory with its input changes when the input does."""
    signal = np.arange(10, dtype=np.float32)

    resampled = resample(signal, 360.0)

    assert resampled.tolist() == signal.tolist()
    assert not np.shares_memory(resampled, signal)


def test_resample_accepts_a_single_sample() -> None:
    """One sample has nothing to be reflected at."""
    resampled = resample(np.array([0.5], dtype=np.float32), 180.0)

    assert resampled == pytest.approx([0.5, 0.5], abs=1e-5)


@pytest.mark.parametrize("fs", [0.0, -250.0, float("nan"), float("inf")])
def test_resample_refuses_an_impossible_rate(fs: float) -> None:
    """A wrong rate gives plausible beats at wrong times, so it must not pass."""
    with pytest.raises(SignalValueError, match=r"sampling frequency is .* Hz; it must be positive and finite"):
        resample(np.zeros(10, dtype=np.float32), fs)


@pytest.mark.parametrize(
    ("fs", "ratio"), [(250.0, Fraction(36, 25)), (257.3, Fraction(3600, 2573)), (1000 / 3, Fraction(27, 25))]
)
def test_rate_ratio_is_exact_for_usual_rates(fs: float, ratio: Fraction) -> None:
    """Block edges fall on samples of both rates only if the ratio is exact."""
    assert rate_ratio(fs) == ratio


@settings(max_examples=200, deadline=None)
@given(fs=st.floats(1.0, 100_000.0))
def test_rate_ratio_errs_by_one_in_20000_at_most(fs: float) -> None:
    """The docstring promises this bound, on which the drift of odd rates depends."""
    ratio = rate_ratio(fs)

    assert abs(float(ratio) - TARGET_FS / fs) <= 1 / 20_000
    assert ratio > 0


def test_support_covers_what_a_sample_depends_on() -> None:
    """Blocks bring this much context; less would leave seams between them."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=4000).astype(np.float32)
    ratio = rate_ratio(250.0)
    changed = signal.copy()
    changed[: 2000 - support_samples(ratio)] = 0

    difference = resample(signal, 250.0) - resample(changed, 250.0)

    assert np.abs(difference[n_resampled(2000, ratio) :]).max() < 1e-5
    assert support_samples(rate_ratio(360.0)) == 0
