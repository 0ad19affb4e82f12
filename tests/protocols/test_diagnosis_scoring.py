"""AUROC and F1 of several labels, against other libraries and by hand, with persons drawn as wholes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from heartbert.errors import ConfigError
from heartbert.protocols.diagnosis_scoring import Scored, auroc, best_thresholds, score_rows

PAIRS = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=30)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_auroc_equals_that_of_scikit_learn_also_with_ties_and_weights(pairs: list[tuple[bool, int, int]]) -> None:
    """Ours scores a thousand draws of persons at once; the value must be the known one."""
    targets, scores, weights = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    counted = targets[weights > 0]

    found = auroc(targets, scores, np.stack([weights, np.ones_like(weights)]))

    if 0 < counted.sum() < counted.size:
        assert found[0] == pytest.approx(roc_auc_score(targets, scores, sample_weight=weights))
    else:
        assert np.isnan(found[0])
    assert np.isnan(found[1]) == (len(set(targets)) < 2)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_best_threshold_has_the_highest_f1_of_all(pairs: list[tuple[bool, int, int]]) -> None:
    """No threshold that tells the recordings apart does better."""
    targets, scores, _ = (np.array(column, dtype=np.float32) for column in zip(*pairs, strict=True))
    if not targets.any():
        return

    (threshold,) = best_thresholds(targets[:, None], scores[:, None])

    tried = [f1_score(targets, scores >= one) for one in np.unique(scores)]
    assert f1_score(targets, scores >= threshold) == pytest.approx(max(tried))


def test_best_threshold_of_a_label_that_nobody_has_is_a_half() -> None:
    """Thresholds are chosen on other recordings than are scored, which may have it."""
    assert best_thresholds(np.zeros((3, 1), np.float32), np.full((3, 1), 0.2, np.float32)).tolist() == [0.5]


def _scored(*seeds: np.ndarray, threshold: float = 0.5) -> Scored:
    probabilities = np.stack(seeds).astype(np.float32)
    return Scored(probabilities, np.full((len(seeds), probabilities.shape[2]), threshold))


def test_rows_are_scored_by_label_and_compared() -> None:
    """Numbers worked out by hand: one label of ours is perfect, the other turned round in one of two seeds."""
    targets = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.float32)
    right, constant = targets * 0.8 + 0.1, np.full_like(targets, 0.3)
    turned = right * [[1, -1, 1]] + [[0, 1, 0]]
    rows = {"constant": _scored(constant), "ours": _scored(right, turned), "turned": _scored(turned)}

    found = score_rows(targets, ["a", "b", "c", "d"], rows, ("X", "Y", "Z"), ours="ours")

    assert found["labels_scored"] == ["X", "Y"]
    assert (found["n_records"], found["n_persons"]) == (4, 4)
    ours = found["rows"]["ours"]
    assert ours["n_seeds"] == 2
    assert (ours["auroc"]["X"]["mean"], ours["auroc"]["Y"]["mean"]) == (1.0, 0.5)
    assert ours["macro_auroc"]["mean"] == 0.75
    assert (ours["f1"]["X"]["mean"], ours["f1"]["Y"]["mean"]) == (1.0, 0.5)
    assert ours["macro_f1"]["mean"] == 0.75
    assert found["rows"]["constant"]["macro_auroc"] == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert found["rows"]["constant"]["macro_f1"]["mean"] == 0.0
    assert found["best_other"] in {"constant", "turned"}
    assert found["differences"]["constant"]["mean"] == 0.25
    assert set(found["differences"]) == {"constant", "turned"}


def test_intervals_draw_persons_not_recordings() -> None:
    """A hundred recordings of two persons are two observations: the interval is as wide as theirs."""
    rng = np.random.default_rng(0)
    targets = np.tile([[1.0], [0.0]], (100, 1)).astype(np.float32)
    persons = ["good"] * 100 + ["bad"] * 100
    noise = rng.random(targets.shape)
    scores = np.where(np.arange(200)[:, None] < 100, targets + noise * 0.1, 1 - targets + noise * 0.1)
    rows = {"ours": _scored(scores), "other": _scored(np.zeros_like(scores))}

    by_person = score_rows(targets, persons, rows, ("X",), ours="ours")["rows"]["ours"]["macro_auroc"]
    by_record = score_rows(targets, [str(i) for i in range(200)], rows, ("X",), ours="ours")
    by_record = by_record["rows"]["ours"]["macro_auroc"]

    assert by_person["low"] < 0.05
    assert by_person["high"] > 0.95
    assert by_record["high"] - by_record["low"] < 0.3


def test_recordings_without_difference_cannot_be_scored() -> None:
    """An AUROC of one kind of recordings is no number."""
    rows = {"ours": _scored(np.zeros((2, 1))), "other": _scored(np.zeros((2, 1)))}

    with pytest.raises(ConfigError, match="no label can be scored"):
        score_rows(np.ones((2, 1), np.float32), ["a", "b"], rows, ("X",), ours="ours")
