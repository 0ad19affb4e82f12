"""The network that weighs windows and leads reads what is there and nothing else."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.predictions.lead_attention import LeadAttention


def _network(*, n_leads: int | None = None) -> LeadAttention:
    torch.manual_seed(0)
    return LeadAttention(5, 3, 8, 0.2, n_leads=n_leads).eval()


@given(seed=st.integers(0, 50), n_leads=st.integers(1, 4), n_windows=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_scores_do_not_depend_on_what_is_masked(seed: int, n_leads: int, n_windows: int) -> None:
    """Padding of recordings with fewer leads or windows must not change their predictions."""
    generator = torch.Generator().manual_seed(seed)
    network = _network()
    embeddings = torch.randn(2, n_leads, n_windows, 5, generator=generator)
    mask = torch.rand(2, n_leads, n_windows, generator=generator) < 0.6
    other = torch.where(mask[..., None], embeddings, torch.tensor(1e4))

    assert torch.allclose(network(embeddings, mask), network(other, mask), atol=1e-6)


def test_order_of_leads_without_names_does_not_matter() -> None:
    """Then any recording can be read, whatever its leads are called."""
    embeddings, mask = torch.randn(2, 4, 5), torch.ones(2, 4, dtype=torch.bool)
    network = _network()

    assert torch.allclose(network(embeddings, mask), network(embeddings.flip(1), mask), atol=1e-6)


def test_leads_with_names_are_told_apart() -> None:
    """An elevation in V1 means something else than in II."""
    network = _network(n_leads=4)
    torch.nn.init.normal_(network.lead_vectors)
    embeddings, mask = torch.randn(2, 4, 5), torch.ones(2, 4, dtype=torch.bool)

    assert not torch.allclose(network(embeddings, mask), network(embeddings.flip(1), mask), atol=1e-3)


def test_recording_without_anything_gets_finite_scores() -> None:
    """One empty recording in a batch must not spoil the others with NaN."""
    scores = _network()(torch.randn(1, 2, 5), torch.zeros(1, 2, dtype=torch.bool))

    assert torch.isfinite(scores).all()


@pytest.mark.parametrize("n_windows", [1, 3])
def test_one_window_a_lead_equals_the_three_dimensional_input(n_windows: int) -> None:
    """A recording of a few seconds is given without an axis of windows; a repeated window changes nothing."""
    embeddings, mask = torch.randn(2, 3, 5), torch.ones(2, 3, dtype=torch.bool)
    network = _network()
    repeated = embeddings[:, :, None].expand(-1, -1, n_windows, -1)

    with_windows = network(repeated, mask[:, :, None].expand(-1, -1, n_windows))

    assert torch.allclose(with_windows, network(embeddings, mask), atol=1e-5)
