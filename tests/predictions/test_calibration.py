import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from heartbert.predictions.calibration import (
    CONFIDENCE_LIMITS,
    HIGHEST_TEMPERATURE,
    N_BINS,
    apply_temperature,
    calibrate,
    calibration_from_json,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    risk_coverage,
)

Beats = tuple[np.ndarray, np.ndarray]


def beats_of(*, temperature: float, n_beats: int = 20_000, seed: int = 0) -> Beats:
    """Return probabilities that are right after division of their logarithms by a temperature, and true classes."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n_beats, 5))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) > rng.random((n_beats, 1))).argmax(axis=1)
    return apply_temperature(true.astype(np.float32), 1 / temperature), labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_fit_temperature_finds_the_one_that_was_put_in(temperature: float) -> None:
    """The scores were multiplied by it; dividing by it must restore them."""
    assert fit_temperature(*beats_of(temperature=temperature)) == pytest.approx(temperature, rel=0.05)


def test_fit_temperature_stays_finite_where_every_beat_is_right_or_none_is() -> None:
    """A small validation set may be all right, and then no temperature is low enough."""
    certain = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (5, 1))

    assert fit_temperature(certain, np.zeros(5, dtype=int)) < 0.1
    assert fit_temperature(certain, np.ones(5, dtype=int)) == pytest.approx(HIGHEST_TEMPERATURE, rel=0.01)
    assert fit_temperature(certain[:0], np.zeros(0, dtype=int)) == 1.0


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(0, 20), st.integers(2, 5)), elements=st.floats(0, 1, width=32)),
    st.floats(0.1, 10),
)
def test_apply_temperature_keeps_the_order_and_gives_probabilities(weights: np.ndarray, temperature: float) -> None:
    """A temperature changes how sure a class is, never which one."""
    rows = (weights + np.float32(0.01)) / (weights + np.float32(0.01)).sum(axis=1, keepdims=True)

    changed = apply_temperature(rows, temperature)

    np.testing.assert_allclose(changed.sum(axis=1), 1.0, atol=1e-5)
    best = np.argmax(rows, axis=1)
    np.testing.assert_allclose(changed[np.arange(len(rows)), best], changed.max(axis=1, initial=0), atol=1e-6)


def test_reliability_bins_count_every_beat_once() -> None:
    """Also the beats at the edges, 0 and 1, and no bin that is empty."""
    rows = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.62, 0.38]], dtype=np.float32)

    bins = reliability_bins(rows, np.array([0, 1, 0, 0]))

    assert [row.n_beats for row in bins] == [1, 1, 2]
    assert [row.accuracy for row in bins] == [0.0, 1.0, 0.5]
    assert bins[-1].confidence == 1.0
    assert len(bins) <= N_BINS


def test_expected_calibration_error_by_hand() -> None:
    """Two beats at 0.9 of which one is right, and two at 0.6 that are both right: (2 * 0.4 + 2 * 0.4) / 4."""
    rows = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]], dtype=np.float32)

    assert expected_calibration_error(reliability_bins(rows, np.array([0, 1, 0, 0]))) == pytest.approx(0.4)
    assert expected_calibration_error(()) == 0.0


def test_risk_falls_and_coverage_shrinks_with_the_limit() -> None:
    """Abstaining is worth something only if the beats given up are the doubtful ones."""
    points = risk_coverage(*beats_of(temperature=1.0))

    assert [point.min_confidence for point in points] == list(CONFIDENCE_LIMITS)
    assert points[0].coverage == 1.0
    assert np.all(np.diff([point.coverage for point in points]) <= 0)
    assert points[0].risk is not None
    assert points[-1].risk is not None
    assert points[-1].risk < points[0].risk / 5


def test_calibrate_lowers_the_error_also_on_recordings_left_out() -> None:
    """The number that is not fitted on the beats it is measured on is the honest one."""
    calibration = calibrate([beats_of(temperature=3.0, seed=seed) for seed in range(3)])

    assert calibration.n_beats == 60_000
    assert calibration.temperature == pytest.approx(3.0, rel=0.05)
    assert calibration.ece < 0.02 < calibration.ece_uncalibrated
    assert calibration.ece_left_out is not None
    assert calibration.ece_left_out < 0.02
    assert sum(row.n_beats for row in calibration.reliability) == 60_000


def test_calibrate_without_beats_changes_nothing() -> None:
    """Validation recordings may have no labelled beat."""
    calibration = calibrate([(np.empty((0, 5), np.float32), np.empty(0, int))])

    assert (calibration.temperature, calibration.n_beats, calibration.ece_left_out) == (1.0, 0, None)
    assert calibration.reliability == ()
    assert {point.risk for point in calibration.risk_coverage} == {None}


def test_calibration_survives_json() -> None:
    """It is stored in the manifest of a bundle."""
    calibration = calibrate([beats_of(temperature=2.0, n_beats=100)])

    assert calibration.ece_left_out is None
    assert calibration_from_json(json.loads(json.dumps(calibration.as_json(), allow_nan=False))) == calibration
