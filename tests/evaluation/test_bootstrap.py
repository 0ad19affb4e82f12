"""Intervals over recordings equal what is known without drawing, and do not shrink with the number of beats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError
from heartbert.evaluation.bootstrap import Estimate, Floats, bootstrap


def accuracy(totals: Floats) -> dict[str, Floats]:
    """Return the share of the first count in the second."""
    return {"accuracy": totals[..., 0] / totals[..., 1]}


def test_mean_is_that_of_all_units_and_of_the_seeds() -> None:
    """The number in the table is the plain score; the interval comes on top."""
    counts = np.array([[[8, 10], [1, 10]], [[6, 10], [3, 10]]])

    assert bootstrap(counts, accuracy)["accuracy"].mean == pytest.approx(0.45)


def test_interval_of_equal_units_is_a_point() -> None:
    """If all recordings score the same, it does not matter which are drawn."""
    assert bootstrap(np.full((2, 5, 2), 3), accuracy)["accuracy"] == Estimate(1.0, 1.0, 1.0)


def test_interval_depends_on_recordings_and_not_on_their_beats() -> None:
    """A thousand beats of one heart are one observation of hearts."""
    counts = np.array([[[9, 10], [5, 10], [2, 10], [7, 10]]])

    assert bootstrap(counts, accuracy) == bootstrap(counts * 1000, accuracy)


def test_normal_theory_is_met_for_many_units() -> None:
    """For 400 units of 0 or 1, the interval is the mean ± 1.96 standard errors within the noise of drawing."""
    right = (np.arange(400) % 2)[None, :, None]
    counts = np.concatenate([right, np.ones_like(right)], axis=2)

    found = bootstrap(counts, accuracy, n_resamples=4000)["accuracy"]

    assert (found.low, found.high) == pytest.approx((0.5 - 0.049, 0.5 + 0.049), abs=0.005)


def test_draws_that_define_no_value_are_left_out() -> None:
    """A rare class may lie in one recording, which half of the draws miss."""
    counts = np.array([[[1, 2], [0, 0], [0, 0]]])

    with np.errstate(invalid="ignore"):
        assert bootstrap(counts, accuracy)["accuracy"] == Estimate(0.5, 0.5, 0.5)


def test_value_that_no_unit_defines_is_not_estimated() -> None:
    """A class that nobody has gets no score."""
    with np.errstate(invalid="ignore"):
        assert bootstrap(np.zeros((1, 3, 2)), accuracy) == {}


def test_single_defined_value_is_its_own_interval_without_resamples() -> None:
    """With nothing drawn there is no spread to show."""
    assert bootstrap(np.ones((1, 1, 2)), accuracy, n_resamples=0)["accuracy"] == Estimate(1.0, 1.0, 1.0)


@pytest.mark.parametrize("shape", [(0, 3, 2), (1, 0, 2)])
def test_nothing_to_draw_from_is_refused(shape: tuple[int, ...]) -> None:
    """An empty table has no score."""
    with pytest.raises(ConfigError, match=r"\d recordings scored from \d seeds; at least one of each is needed"):
        bootstrap(np.zeros(shape), accuracy)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(50, 90)), min_size=1, max_size=20), st.integers(0, 99))
def test_interval_lies_between_the_worst_and_the_best_unit(units: list[tuple[int, int]], seed: int) -> None:
    """No draw can score better than all its recordings."""
    found = bootstrap(np.array([units]), accuracy, n_resamples=50, seed=seed)["accuracy"]

    shares = [right / total for right, total in units]
    assert min(shares) - 1e-12 <= found.low <= found.high <= max(shares) + 1e-12
