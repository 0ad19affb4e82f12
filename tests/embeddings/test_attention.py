from dataclasses import replace

import pytest
import torch
from torch import nn

from heartbert.embeddings.attention import BY_ROW, RotaryAttention, attend_by_row, attend_fast
from heartbert.embeddings.encoder import build_encoder
from heartbert.training.config import read_config

N_TOKENS = 150


def heads(n_rows: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return queries, keys and values of 2 heads of 8 numbers."""
    generator = torch.Generator().manual_seed(seed)
    query, key, value = torch.randn(3, n_rows, 2, N_TOKENS, 8, generator=generator)
    return query, key, value


def some_hidden(n_rows: int) -> torch.Tensor:
    """Return a mask with hidden tokens inside and at the end of all rows but the first."""
    mask = torch.ones(n_rows, N_TOKENS, dtype=torch.bool)
    mask[1:, 20:27] = False
    mask[1:, 140:] = False
    return mask


def pairs_of(mask: torch.Tensor | None, reach: int | None, n_rows: int = 3) -> torch.Tensor:
    """Return which query sees which key, (n_rows, 1, n_tokens, n_tokens)."""
    place = torch.arange(N_TOKENS)
    near = (place[:, None] - place).abs() <= (N_TOKENS if reach is None else reach)
    return near.expand(n_rows, 1, -1, -1) if mask is None else mask[:, None, None] & near


def sees_any(pairs: torch.Tensor) -> torch.Tensor:
    """Return which queries see a key at all, (n_rows, n_tokens); what the others get means nothing."""
    return pairs.any(dim=-1)[:, 0]


@pytest.mark.parametrize("reach", [1, 30, 63, 64, N_TOKENS, None])
@pytest.mark.parametrize("masked", [True, False])
def test_attend_by_row_is_attention(reach: int | None, *, masked: bool) -> None:
    """Runs, reused memory and hidden tokens are for speed: the result is that of torch, for any number of tokens."""
    query, key, value = heads(3)
    mask = some_hidden(3) if masked else None
    pairs = pairs_of(mask, reach)
    expected = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=pairs, scale=0.3)

    with torch.inference_mode():
        found, _ = attend_by_row(
            nn.Module(), query, key, value, mask, scaling=0.3, sliding_window=None if reach is None else reach + 1
        )

    compared = sees_any(pairs)
    torch.testing.assert_close(found[compared], expected.transpose(1, 2)[compared], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reach", [30, None])
@pytest.mark.parametrize("masked", [True, False])
def test_attend_by_row_has_the_gradient_of_attention(reach: int | None, *, masked: bool) -> None:
    """The backward pass computes its weights again, and adds up what the runs say of one key."""
    mask = some_hidden(3) if masked else None
    ours, theirs = ([one.requires_grad_() for one in heads(3)] for _ in range(2))
    outward = torch.randn(3, N_TOKENS, 2, 8, generator=torch.Generator().manual_seed(5))
    pairs = pairs_of(mask, reach)
    expected = nn.functional.scaled_dot_product_attention(*theirs, attn_mask=pairs, scale=0.3).transpose(1, 2)
    (expected * outward)[sees_any(pairs)].sum().backward()

    found, _ = attend_by_row(nn.Module(), *ours, mask, scaling=0.3, sliding_window=None if reach is None else reach + 1)
    (found * outward)[sees_any(pairs)].sum().backward()

    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)


def test_attend_by_row_gives_numbers_where_nothing_is_seen() -> None:
    """A hidden token far from all others must not spread NaN over its row in the next layer."""
    mask = torch.ones(1, N_TOKENS, dtype=torch.bool)
    mask[0, 10:90] = False

    with torch.inference_mode():
        found, _ = attend_by_row(nn.Module(), *heads(1), mask, sliding_window=5)

    assert found.isfinite().all()


@pytest.mark.parametrize("layer", [0, 1])
def test_rotary_attention_is_that_of_modernbert(layer: int) -> None:
    """A whole row in the first layer, near tokens in the second; with gradients, for training."""
    config = replace(read_config("tiny").encoder, family="modernbert", n_layers=3, max_tokens=N_TOKENS)
    encoder = build_encoder(config, 50, seed=0).base_model
    attention = encoder.layers[layer].attn
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, N_TOKENS, config.hidden_size, generator=generator, requires_grad=True)
    positions = encoder.rotary_emb(hidden, torch.arange(N_TOKENS)[None], encoder.config.layer_types[layer])
    mask = some_hidden(2)
    reach = None if attention.sliding_window is None else attention.sliding_window - 1

    expected, _ = attention(hidden, positions, pairs_of(mask, reach, n_rows=2))
    expected.square().sum().backward()
    gradients = [hidden.grad, attention.Wqkv.weight.grad, attention.Wo.weight.grad]
    hidden.grad = attention.Wqkv.weight.grad = attention.Wo.weight.grad = None
    found, _ = RotaryAttention(attention)(hidden, positions, mask)
    found.square().sum().backward()
    with torch.inference_mode():
        again, _ = RotaryAttention(attention)(hidden, positions, mask)

    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(again, found.detach(), atol=1e-6, rtol=1e-5)
    for one, other in zip([hidden.grad, attention.Wqkv.weight.grad, attention.Wo.weight.grad], gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("family", "training", "way"),
    [
        ("modernbert", True, BY_ROW),
        ("modernbert", False, BY_ROW),
        ("roberta", True, "eager"),
        ("roberta", False, BY_ROW),
    ],
)
def test_attend_fast_chooses_by_measurement(family: str, way: str, *, training: bool) -> None:
    """Both families keep their weights and names, so that checkpoints load as before."""
    model = build_encoder(replace(read_config("tiny").encoder, family=family), 50, seed=0)
    before = model.state_dict()

    attend_fast(model.base_model, training=training)

    assert model.config._attn_implementation == way
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
