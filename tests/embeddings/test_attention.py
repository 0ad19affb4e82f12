from dataclasses import replace

import pytest
import torch
from torch import nn

from heartbert.embeddings.attention import RotaryAttention, attend_by_row
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


@pytest.mark.parametrize("reach", [1, 30, 63, 64, N_TOKENS, None])
@pytest.mark.parametrize("masked", [True, False])
def test_attend_by_row_is_attention(reach: int | None, *, masked: bool) -> None:
    """Runs, reused memory and hidden tokens are for speed: the result is that of torch, for any number of tokens."""
    query, key, value = heads(3)
    mask = some_hidden(3) if masked else None
    place = torch.arange(N_TOKENS)
    pairs = torch.ones(3, 1, N_TOKENS, N_TOKENS, dtype=torch.bool) if mask is None else mask[:, None, None]
    if reach is not None:
        pairs = pairs & ((place[:, None] - place).abs() <= reach)
    expected = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=pairs, scale=0.3)

    with torch.inference_mode():
        found, _ = attend_by_row(
            nn.Module(), query, key, value, mask, scaling=0.3, sliding_window=None if reach is None else reach + 1
        )

    sees_any = pairs.expand(3, 1, N_TOKENS, N_TOKENS).any(dim=-1)[:, 0]
    torch.testing.assert_close(found[sees_any], expected.transpose(1, 2)[sees_any], atol=1e-5, rtol=1e-5)


def test_attend_by_row_gives_numbers_where_nothing_is_seen() -> None:
    """A hidden token far from all others must not spread NaN over its row in the next layer."""
    mask = torch.ones(1, N_TOKENS, dtype=torch.bool)
    mask[0, 10:90] = False

    with torch.inference_mode():
        found, _ = attend_by_row(nn.Module(), *heads(1), mask, sliding_window=5)

    assert found.isfinite().all()


@pytest.mark.parametrize("layer", [0, 1])
def test_rotary_attention_is_that_of_modernbert(layer: int) -> None:
    """A whole row in the first layer, near tokens in the second."""
    config = replace(read_config("tiny").encoder, family="modernbert", n_layers=3, max_tokens=N_TOKENS)
    encoder = build_encoder(config, 50, seed=0).base_model.eval()
    attention = encoder.layers[layer].attn
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, N_TOKENS, config.hidden_size, generator=generator)
    positions = encoder.rotary_emb(hidden, torch.arange(N_TOKENS)[None], encoder.config.layer_types[layer])
    mask = some_hidden(2)
    place = torch.arange(N_TOKENS)
    pairs = mask[:, None, None]
    if attention.sliding_window is not None:
        pairs = pairs & ((place[:, None] - place).abs() < attention.sliding_window)

    with torch.inference_mode():
        expected, _ = attention(hidden, positions, pairs)
        found, _ = RotaryAttention(attention)(hidden, positions, mask)

    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
