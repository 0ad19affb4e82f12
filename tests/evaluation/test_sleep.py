"""Scores and statistics of sleep stages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from heartbert.evaluation.bootstrap import bootstrap
from heartbert.evaluation.sleep import scores_by_class, sleep_statistics, stage_counts, stage_scores


@given(st.integers(0, 2**16), st.integers(2, 5))
def test_scores_are_those_of_scikit_learn(seed: int, n_classes: int) -> None:
    """An independent implementation of the same definitions must agree."""
    rng = np.random.default_rng(seed)
    reference = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=40)])
    found = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=40)])

    scores = stage_scores(stage_counts(reference, found, n_classes))

    assert scores["accuracy"] == pytest.approx(accuracy_score(reference, found))
    assert scores["kappa"] == pytest.approx(cohen_kappa_score(reference, found))
    assert scores["macro_f1"] == pytest.approx(f1_score(reference, found, average="macro"))


def test_unscored_and_open_epochs_do_not_count() -> None:
    """Movement time has no right answer, and an abstention is not a wrong one."""
    counts = stage_counts(np.array([0, -1, 1, 1]), np.array([0, 0, -1, 1]), 2)

    assert counts.tolist() == [[1, 0], [0, 1]]


def test_kappa_is_zero_where_chance_agrees_wholly() -> None:
    """One class on both sides proves nothing, and nothing is divided by zero."""
    assert stage_scores(np.array([[5, 0], [0, 0]]))["kappa"] == 0
    assert stage_scores(np.zeros((2, 2)))["accuracy"] == 0


def test_scores_fit_the_bootstrap() -> None:
    """Intervals are over persons, so tables come one a person and seed."""
    counts = np.array([[[[8, 2], [1, 9]], [[5, 5], [5, 5]]]])

    accuracy = bootstrap(counts, stage_scores, n_resamples=50)["accuracy"]

    assert accuracy.mean == pytest.approx(27 / 40)
    assert accuracy.low <= accuracy.mean <= accuracy.high


def test_scores_by_class_are_those_computed_by_hand() -> None:
    """Sensitivity over the row, positive predictivity over the column."""
    scores = scores_by_class(np.array([[6, 2], [3, 9]]), ("W", "S"))

    assert scores["W"]["sensitivity"] == pytest.approx(6 / 8)
    assert scores["W"]["positive_predictivity"] == pytest.approx(6 / 9)
    assert scores["S"]["n_epochs"] == 12


def test_statistics_of_a_night_counted_by_hand() -> None:
    """Every number of a hypnogram of nine epochs, one of them unscored."""
    night = sleep_statistics(np.array([0, 0, 1, 2, -1, 3, 0, 4, 0]))

    assert night.recorded_min == 4.0
    assert night.sleep_min == 2.0
    assert night.efficiency == 0.5
    assert night.onset_latency_min == 1.0
    assert night.rem_latency_min == 2.5
    assert night.wake_after_onset_min == 0.5
    assert night.shares == {"N1": 0.25, "N2": 0.25, "N3": 0.25, "R": 0.25}
    assert night.n_transitions == 6
    assert night.n_awakenings == 2


def test_statistics_of_a_night_awake() -> None:
    """Without sleep there is no latency, and nothing is divided by zero."""
    night = sleep_statistics(np.zeros(20, dtype=np.int64))

    assert (night.sleep_min, night.efficiency) == (0, 0)
    assert night.onset_latency_min is None
    assert night.rem_latency_min is None
    assert night.n_transitions == 0
