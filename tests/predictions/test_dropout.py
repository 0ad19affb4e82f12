import pytest
import torch

from heartbert.predictions.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.4, 0.5])
def test_dropout_sets_a_share_to_zero_and_keeps_the_mean(share: float) -> None:
    """A mask from bytes is as good as one from floats; every position of a word must be hit alike."""
    torch.manual_seed(0)
    dropped = Dropout(share)(torch.ones(1000, 803))

    zeros = (dropped == 0).double()
    assert float(zeros.mean()) == pytest.approx(round(256 * share) / 256, abs=0.002)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)
    by_place = zeros.flatten()[: 803_000 // 8 * 8].view(-1, 8).mean(dim=0)
    assert float((by_place - zeros.mean()).abs().max()) < 0.006


def test_dropout_lets_gradients_through_where_values_pass() -> None:
    """What was dropped learns nothing in that step."""
    torch.manual_seed(0)
    values = torch.randn(5, 7, requires_grad=True)
    dropped = Dropout(0.5)(values)
    dropped.sum().backward()

    assert values.grad is not None
    torch.testing.assert_close(values.grad, torch.where(dropped == 0, 0.0, 2.0))
    assert 0 < int((dropped == 0).sum()) < values.numel()


def test_dropout_is_repeated_by_its_seed_and_absent_from_evaluation() -> None:
    """Training must be repeatable, and predictions must not depend on chance."""
    layer, values = Dropout(0.5), torch.randn(3, 50)
    torch.manual_seed(1)
    first = layer(values)
    torch.manual_seed(1)

    assert torch.equal(layer(values), first)
    assert not torch.equal(layer(values), first)
    assert torch.equal(layer.eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)
    assert layer.train()(values[:0]).shape == (0, 50)
