"""Heart-rate variability around each epoch of a night."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbert.signals.hrv import HRV_FEATURES, night_variability
from heartbert.signals.hrv_complexity import dfa_exponent, sample_entropy
from heartbert.signals.hrv_intervals import beat_intervals_of, interpolate_heart_rate
from heartbert.signals.hrv_spectra import SPECTRAL, spectral


def _breathing_beats(duration_s: float, breathing_hz: float, *, rr_s: float = 0.8) -> np.ndarray:
    times, now = [], 0.0
    while now < duration_s:
        times.append(now)
        now += rr_s + 0.05 * np.sin(2 * np.pi * breathing_hz * now)
    return np.array(times)


def _column(name: str) -> int:
    return HRV_FEATURES.index(name)


@pytest.mark.parametrize("breathing_hz", [0.2, 0.3])
def test_breathing_frequency_is_found_in_the_heart_rate(breathing_hz: float) -> None:
    """Respiratory sinus arrhythmia is what tells quiet sleep."""
    features = night_variability(_breathing_beats(900, breathing_hz), 30).features

    found = features[10:20, _column("breathing frequency, 60 s")]
    np.testing.assert_allclose(found, breathing_hz, atol=0.01)


def test_features_have_known_values_for_a_steady_heart() -> None:
    """A metronome of 0.8 s has that mean and next to no spread."""
    features = night_variability(np.arange(0, 1200, 0.8), 40).features[20]

    assert features[_column("log mean RR, 300 s")] == pytest.approx(np.log(0.8), abs=1e-3)
    assert features[_column("log SDNN, 300 s")] == pytest.approx(np.log(1e-3), abs=0.01)
    assert features[_column("pNN50, 300 s")] == 0


def test_rate_against_five_minutes_shows_an_arousal() -> None:
    """A burst of fast beats stands out against the minutes around it."""
    rr = np.full(1500, 0.8)
    rr[700:725] = 0.62
    features = night_variability(np.cumsum(rr), 40).features

    burst = int(np.argmax(features[:, _column("highest rise")]))
    assert burst == int(np.cumsum(rr)[712] // 30)


def test_epochs_without_beats_are_nan_and_have_quality_zero() -> None:
    """Missing beats must be seen as missing."""
    beats = np.concatenate([np.arange(0, 300, 0.8), np.arange(1500, 1800, 0.8)])

    variability = night_variability(beats, 60)

    assert np.isnan(variability.features[30, _column("log SDNN, 30 s")])
    assert variability.quality[30].tolist() == [0, 0]
    assert variability.quality[5, 0] > 0.95


def test_a_night_without_beats_is_all_nan() -> None:
    """Nothing is invented."""
    variability = night_variability(np.empty(0), 20)

    assert np.isnan(variability.features).all()
    assert (variability.quality == 0).all()


def test_ectopic_intervals_are_not_accepted() -> None:
    """A premature beat and its pause are not variability of the sinus node."""
    times = np.arange(0, 60, 0.8)
    times[30] -= 0.35

    intervals = beat_intervals_of(times)

    assert intervals.rr.size == times.size - 1 - 2
    assert intervals.rr.std() < 1e-9
    assert intervals.successive_differences(0, intervals.rr.size).size == intervals.rr.size - 2


@given(st.integers(0, 2**16), st.integers(20, 200))
def test_intervals_are_those_of_the_beats(seed: int, n_beats: int) -> None:
    """Every accepted interval ends at a beat and has the distance from the one before."""
    times = np.cumsum(np.random.default_rng(seed).uniform(0.25, 2.2, n_beats))

    intervals = beat_intervals_of(times)

    np.testing.assert_allclose(intervals.rr, np.diff(times)[intervals.order])
    np.testing.assert_array_equal(intervals.ends, times[1:][intervals.order])


def test_tachogram_is_unknown_far_from_beats() -> None:
    """A line drawn through a gap is no heart rate."""
    beats = np.concatenate([np.arange(0, 60, 0.8), np.arange(120, 180, 0.8)])

    tachogram = interpolate_heart_rate(beat_intervals_of(beats), 180.0)

    assert not tachogram.known[4 * 90]
    assert tachogram.known[4 * 30]
    assert tachogram.rr.size == 720


def test_spectral_of_an_empty_tachogram_is_nan() -> None:
    """No sample, no spectrum."""
    tachogram = interpolate_heart_rate(beat_intervals_of(np.empty(0)), 0.0)

    assert np.isnan(spectral(tachogram, np.array([15.0]), 60.0)).all()


def test_slow_waves_lie_in_the_slow_band() -> None:
    """Cyclic variation of 50 s, as apnoea makes it, must not be taken for breathing."""
    features = night_variability(_breathing_beats(1200, 0.02), 40).features[20]

    powers = [features[_column(f"{name}, 300 s")] for name in SPECTRAL[:4]]
    assert int(np.argmax(powers)) == SPECTRAL.index("log VLF")


def test_sample_entropy_tells_order_from_noise() -> None:
    """A regular sequence has a low entropy, noise a high one."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(300) / 3) * np.sqrt(2)

    assert sample_entropy(wave) < sample_entropy(rng.normal(size=300)) - 0.5


def test_dfa_exponent_has_its_known_values() -> None:
    """White noise has 0.5, its running sum 1.5."""
    noise = np.random.default_rng(0).normal(size=4000)

    assert dfa_exponent(noise) == pytest.approx(0.5, abs=0.15)
    assert dfa_exponent(np.cumsum(noise)) == pytest.approx(1.5, abs=0.2)
