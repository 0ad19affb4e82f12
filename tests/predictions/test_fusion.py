import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from heartbert.predictions.fusion import LeadFusion

ROWS = arrays.arrays(np.float32, (4, 5), elements=st.floats(0.015625, 1, width=32))


def normalised(rows: np.ndarray) -> np.ndarray:
    """Return rows that sum to 1."""
    return rows / rows.sum(axis=1, keepdims=True)


@given(ROWS)
def test_one_lead_keeps_its_opinion(rows: np.ndarray) -> None:
    """Whatever its quality, there is nothing to weigh it against; also where it cannot be scored."""
    fusion = LeadFusion(4, 5)

    fusion.add(normalised(rows), np.array([1.0, 0.3, 1e-6, 0.0]))

    np.testing.assert_allclose(fusion.probabilities, normalised(rows), rtol=1e-4)


@given(ROWS, ROWS)
def test_order_of_leads_does_not_matter_where_each_can_be_scored(first: np.ndarray, second: np.ndarray) -> None:
    """An average has no order."""
    one, other = LeadFusion(4, 5), LeadFusion(4, 5)
    weights = np.array([0.2, 0.5, 0.8, 1.0])

    for fusion, leads in ((one, (first, second)), (other, (second, first))):
        for rows in leads:
            fusion.add(normalised(rows), weights if rows is first else 1 - weights / 2)

    np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-4)
    np.testing.assert_allclose(one.probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_lead_without_quality_has_no_say() -> None:
    """A loose electrode in one lead must not change what the others say."""
    fusion = LeadFusion(1, 2)

    fusion.add(np.array([[0.99, 0.01]], dtype=np.float32), np.array([0.0]))
    fusion.add(np.array([[0.3, 0.7]], dtype=np.float32), np.array([0.4]))

    np.testing.assert_allclose(fusion.probabilities, [[0.3, 0.7]], atol=1e-6)


def test_two_leads_meet_at_the_geometric_mean() -> None:
    """By hand: sqrt(0.9 * 0.4) to sqrt(0.1 * 0.6)."""
    fusion = LeadFusion(1, 2)

    for rows in ([[0.9, 0.1]], [[0.4, 0.6]]):
        fusion.add(np.array(rows, dtype=np.float32), np.array([1.0]))

    expected = np.sqrt([0.36, 0.06])
    np.testing.assert_allclose(fusion.probabilities[0], expected / expected.sum(), rtol=1e-5)


def test_certain_lead_leaves_probabilities_finite() -> None:
    """A probability of 0 has no logarithm."""
    fusion = LeadFusion(1, 2)

    fusion.add(np.array([[1.0, 0.0]], dtype=np.float32), np.array([1.0]))
    fusion.add(np.array([[0.0, 1.0]], dtype=np.float32), np.array([1.0]))

    np.testing.assert_allclose(fusion.probabilities, [[0.5, 0.5]])


def test_fusion_of_nothing_says_so() -> None:
    """A mistake of the caller must not look like a result."""
    with pytest.raises(RuntimeError, match="add a lead first"):
        _ = LeadFusion(1, 2).probabilities
    fusion = LeadFusion(0, 5)
    fusion.add(np.empty((0, 5), dtype=np.float32), np.empty(0))
    assert fusion.probabilities.shape == (0, 5)
