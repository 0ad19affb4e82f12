"""Scores of tasks equal those of scikit-learn, and their intervals are over persons."""

import numpy as np
import pytest
from sklearn import metrics

from heartbert.evaluation.tasks import score_classes, score_labels, score_numbers

RNG = np.random.default_rng(0)
PERSONS = [f"p{number}" for number in RNG.integers(0, 12, 200)]


def test_classes_are_scored_as_scikit_learn_does() -> None:
    """Accuracy and F1 have one definition."""
    values = RNG.dirichlet(np.ones(3), 200).astype(np.float32)
    targets = RNG.integers(0, 3, 200)

    scores = score_classes(values, targets, PERSONS, ("a", "b", "c"))

    found = values.argmax(axis=1)
    assert scores["accuracy"].mean == pytest.approx(metrics.accuracy_score(targets, found))
    assert scores["macro_f1"].mean == pytest.approx(metrics.f1_score(targets, found, average="macro"))
    assert scores["f1 b"].mean == pytest.approx(metrics.f1_score(targets, found, average=None)[1])
    assert scores["accuracy"].low < scores["accuracy"].mean < scores["accuracy"].high


def test_labels_are_scored_as_scikit_learn_does() -> None:
    """Equal probabilities count half in the area."""
    targets = (RNG.random((200, 2)) < 0.3).astype(np.float32)
    values = np.round(0.3 * targets + RNG.random((200, 2)) * 0.7, 1).astype(np.float32)

    scores = score_labels(values, targets, PERSONS, ("a", "b"))

    assert scores["auroc a"].mean == pytest.approx(metrics.roc_auc_score(targets[:, 0], values[:, 0]))
    assert scores["macro_auroc"].mean == pytest.approx(metrics.roc_auc_score(targets, values, average="macro"))
    assert scores["f1 b"].mean == pytest.approx(metrics.f1_score(targets[:, 1], values[:, 1] >= 0.5))
    assert scores["macro_auroc"].low < scores["macro_auroc"].mean < scores["macro_auroc"].high


def test_numbers_are_scored_as_scikit_learn_does() -> None:
    """Also far from zero, where squares lose digits."""
    targets = (1e4 + RNG.normal(size=200)).astype(np.float32)
    values = (targets + RNG.normal(scale=0.5, size=200)).astype(np.float32)

    scores = score_numbers(values, targets, PERSONS)

    true, found = targets.astype(np.float64), values.astype(np.float64)
    assert scores["mae"].mean == pytest.approx(metrics.mean_absolute_error(true, found))
    assert scores["rmse"].mean == pytest.approx(metrics.root_mean_squared_error(true, found))
    assert scores["r2"].mean == pytest.approx(metrics.r2_score(true, found))
    assert scores["correlation"].mean == pytest.approx(np.corrcoef(true, found)[0, 1])


def test_class_that_does_not_occur_has_no_score() -> None:
    """0 would pull the mean down, 1 up."""
    scores = score_classes(
        np.eye(3, dtype=np.float32)[[0, 1, 1]], np.array([0, 1, 0]), ["p", "q", "q"], ("a", "b", "c")
    )

    assert "f1 c" not in scores
    assert scores["macro_f1"].mean == pytest.approx(2 / 3)


def test_many_units_of_few_persons_make_a_wide_interval() -> None:
    """A hundred windows of one person are one person."""
    right = np.repeat([1, 0], 100)
    values = np.eye(2, dtype=np.float32)[right]
    targets = np.ones(200, dtype=np.int64)

    few = score_classes(values, targets, ["p"] * 100 + ["q"] * 100, ("a", "b"))["accuracy"]
    many = score_classes(values, targets, [str(number) for number in range(200)], ("a", "b"))["accuracy"]

    assert few.high - few.low > 4 * (many.high - many.low)


def test_draws_of_equal_numbers_are_left_out() -> None:
    """Nothing can be explained where nothing varies; rounding must not make a score of it."""
    targets = np.array([20.5, 20.5, 38.1, 38.1, 38.1], dtype=np.float32)

    scores = score_numbers(targets + np.float32(0.1), targets, ["p", "p", "q", "q", "r"])
    constant = score_numbers(np.full(5, 30.1, dtype=np.float32), targets, ["p", "p", "q", "q", "r"])

    assert 0.9 < scores["r2"].low <= scores["r2"].mean <= 1.0
    assert "correlation" not in constant
