"""R-peaks are found where they are, and RR intervals say what a cardiologist would."""

import numpy as np
import pytest

from heartbert.signals.beats import RR_FEATURES, detect_r_peaks, drop_repeats, rr_features
from tests.synthetic import synthetic_ecg


@pytest.mark.parametrize("sign", [1, -1])
def test_detector_finds_every_beat_within_50_ms(sign: int) -> None:
    """Each beat is classified at its R-peak; a lead may be upside down."""
    signal, true_peaks, _ = synthetic_ecg(30.0, 360.0)

    found = detect_r_peaks(np.float32(sign) * signal)

    assert found.size == true_peaks.size
    assert np.abs(found - true_peaks).max() <= 18


@pytest.mark.parametrize("n_samples", [0, 1, 359])
def test_detector_finds_nothing_in_less_than_a_second(n_samples: int) -> None:
    """The detector's own filters fail on so few samples."""
    found = detect_r_peaks(np.random.default_rng(0).normal(size=n_samples).astype(np.float32))

    assert found.size == 0
    assert found.dtype == np.int64


@pytest.mark.parametrize("n_samples", [360, 5000])
def test_detector_finds_nothing_in_a_constant(n_samples: int) -> None:
    """A loose lead has no beats, and adaptive thresholds must not make some up."""
    assert detect_r_peaks(np.full(n_samples, 0.3, dtype=np.float32)).size == 0


def test_detector_works_on_one_second() -> None:
    """The shortest signal that is tried at all must not crash."""
    signal, _, _ = synthetic_ecg(1.0, 360.0)

    found = detect_r_peaks(signal)

    assert (np.diff(found) > 0).all()
    assert ((found >= 0) & (found < 360)).all()


def test_drop_repeats_keeps_the_first_of_two_close_peaks() -> None:
    """Two blocks may find one beat some samples apart."""
    kept = drop_repeats(np.array([0, 300, 371, 700, 772], dtype=np.int64))

    assert kept.tolist() == [0, 300, 700, 772]


def test_drop_repeats_accepts_no_peaks() -> None:
    """A lead without beats is a result."""
    assert drop_repeats(np.empty(0, dtype=np.int64)).size == 0


@pytest.mark.parametrize("n_beats", [0, 1])
def test_rr_features_are_zero_without_an_interval(n_beats: int) -> None:
    """One beat has no RR interval; zero means that nothing is known to change."""
    features = rr_features(np.arange(n_beats, dtype=np.float64))

    assert features.shape == (n_beats, len(RR_FEATURES))
    assert not features.any()


def test_rr_features_of_two_beats_take_the_only_interval_as_usual() -> None:
    """First and last beats lack a neighbour, which must not look like a pause."""
    features = rr_features(np.array([5.0, 6.0]))

    steady = np.log(0.1)  # no change is seen: as little as there can be
    assert features == pytest.approx(np.tile([*[0] * 8, np.log(1 / 0.8), steady, steady], (2, 1)), abs=1e-6)


def test_rr_features_mark_a_premature_beat_by_their_signs() -> None:
    """A short interval followed by a pause is what makes a beat premature."""
    times_s = np.concatenate([np.arange(10) * 0.8, [7.7], 8.8 + np.arange(10) * 0.8])

    features = rr_features(times_s)

    for previous, following in (features[10, :2], features[10, 2:4]):
        assert previous < 0 < following
    change, previous_change = features[10, 4:6]
    assert change > 0 > previous_change
    assert features[11, 5] > 0
    assert features[12, 6] > 0 > features[8, 7]  # the pause before the previous beat, the short interval after the next
    assert features[10, 8] == pytest.approx(0.0, abs=0.01)


def test_rr_features_show_premature_beats_against_the_mean_where_they_are_the_rule() -> None:
    """Where most beats are premature the median interval is theirs, and only the mean tells them apart."""
    intervals = np.tile([0.6, 0.6, 0.6, 0.6, 1.8], 30)

    features = rr_features(np.cumsum(intervals))

    premature, pause = features[70], features[74]
    assert premature[2] == pytest.approx(0.0, abs=1e-6)
    assert premature[0] == pytest.approx(np.log(0.6 / 0.84), abs=0.02)
    assert pause[0] > 0


def test_rr_features_tell_fibrillation_from_a_steady_rhythm() -> None:
    """In fibrillation every second interval is short for the mean, and none of those beats is premature."""
    rng = np.random.default_rng(0)

    steady, irregular = (rr_features(np.cumsum(0.8 + width * rng.uniform(-1, 1, 200))) for width in (0.01, 0.25))

    assert (irregular[:, 9] > steady[:, 9] + 1.5).all()
    assert (irregular[:, 10] > steady[:, 10] + 1.0).all()


def test_rr_features_of_first_and_last_beat_use_the_local_median() -> None:
    """Every recording has them, and the head must not learn that they are special."""
    times_s = np.arange(20) * 0.8

    features = rr_features(times_s)

    assert features[:, :9] == pytest.approx(np.zeros((20, 9)), abs=1e-5)


def test_rr_features_follow_a_change_of_rate_within_a_minute() -> None:
    """At exercise the usual interval changes; a beat is premature against its own minute."""
    times_s = np.cumsum(np.concatenate([np.full(200, 1.0), np.full(200, 0.5)]))

    features = rr_features(times_s)

    assert features[100, :8] == pytest.approx(np.zeros(8), abs=1e-6)
    assert features[300, :8] == pytest.approx(np.zeros(8), abs=1e-6)
    assert features[100, 8] > 0 > features[300, 8]


def test_rr_features_stay_within_their_bounds() -> None:
    """One long gap between beats must not dominate the head's input."""
    features = rr_features(np.array([0.0, 0.3, 0.6, 500.0, 500.3, 2000.0]))

    assert np.abs(features).max() == 3.0
