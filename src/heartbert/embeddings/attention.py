"""Stage 6 of 7: tokens -> embeddings. Attention on a processor, one row of tokens after the other.

What a row needs fits into the second cache, and its memory is used again for the next row, so that nothing but the
products and the exponentials takes time. `transformers` calls these functions under the name `BY_ROW`.
"""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

BY_ROW = "heartbert_by_row"
# Queries that share the keys they may see.
_RUN_TOKENS = 64


def attend_by_row(  # noqa: PLR0913 - as transformers calls it
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attend as `transformers` does with "sdpa", for inference.

    Parameters
    ----------
    module : Module
        Not used.
    query, key, value : Tensor, shape (n_rows, n_heads, n_tokens, head_size)
    attention_mask : Tensor of bool, shape (n_rows, n_tokens), or None
        False for tokens that no other sees; None if there are none.
    scaling : float, optional
        Factor of the products; by default one over the square root of the head size.
    sliding_window : int, optional
        Distance between tokens from which on they do not see each other; by default none is too far.

    Returns
    -------
    attended : Tensor, shape (n_rows, n_tokens, n_heads, head_size)
    weights : None
    """
    n_rows, n_heads, n_tokens, head_size = query.shape
    scaling = head_size**-0.5 if scaling is None else scaling
    # Low enough to hide a token, and two of them are still a number: a query that sees nothing gives no NaN.
    hidden = torch.finfo(query.dtype).min / 4
    seen = torch.zeros(n_rows, n_tokens, dtype=query.dtype)
    if attention_mask is not None:
        seen.masked_fill_(~attention_mask, hidden)
    if sliding_window is None or sliding_window > n_tokens:
        run, n_keys = n_tokens, n_tokens
        bias = seen[:, None, None]
    else:
        reach, run = sliding_window - 1, _RUN_TOKENS
        n_keys = run + 2 * reach
        missing = -n_tokens % run
        around = (reach, reach + missing)
        query = nn.functional.pad(query, (0, 0, 0, missing))
        key, value = (nn.functional.pad(one, (0, 0, *around)) for one in (key, value))
        apart = torch.arange(n_keys) - reach - torch.arange(run)[:, None]
        far = torch.zeros(run, n_keys, dtype=query.dtype).masked_fill_(apart.abs() > reach, hidden)
        bias = nn.functional.pad(seen, around, value=hidden).unfold(1, n_keys, run)[:, :, None] + far
    n_runs = query.shape[2] // run
    attended = query.new_empty(n_rows, n_runs * run, n_heads, head_size)
    scores = query.new_empty(n_heads * n_runs, run, n_keys)
    shares = torch.empty_like(scores)
    for row in range(n_rows):
        queries = query[row].reshape(-1, run, head_size)
        keys, values = (
            one[row].unfold(1, n_keys, run).transpose(2, 3).reshape(-1, n_keys, head_size) for one in (key, value)
        )
        torch.baddbmm(scores, queries, keys.transpose(1, 2), beta=0, alpha=scaling, out=scores)
        scores.view(n_heads, n_runs, run, n_keys).add_(bias[row])
        torch.softmax(scores, -1, out=shares)
        found = torch.bmm(shares, values)
        attended[row] = found.view(n_heads, n_runs * run, head_size).transpose(0, 1)
    return attended[:, :n_tokens], None


class RotaryAttention(nn.Module):
    """What the attention of a layer of ModernBERT computes, for inference; the weights are shared.

    Positions are turned in the precision of the weights, where `transformers` goes through 32 bits, and queries and
    keys at once.

    Parameters
    ----------
    attention : Module
        The ``attn`` of a layer of `transformers.ModernBertModel`.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.Wqkv: nn.Module = attention.Wqkv
        self.Wo: nn.Module = attention.Wo
        self.head_dim = int(attention.head_dim)
        self.sliding_window: int | None = attention.sliding_window

    def forward(
        self,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None = None,
        **_: object,
    ) -> tuple[torch.Tensor, None]:
        """Attend; arguments and result are those of the attention in whose place this stands."""
        n_rows, n_tokens, hidden_size = hidden_states.shape
        parts = self.Wqkv(hidden_states).view(n_rows, n_tokens, 3, -1, self.head_dim)
        value = parts[:, :, 2].transpose(1, 2)
        half = self.head_dim // 2
        cos, sin = (one[:, :, None, None, :half] for one in position_embeddings)
        first, second = parts[:, :, :2, :, :half], parts[:, :, :2, :, half:]
        turned = parts.new_empty(n_rows, 2, value.shape[1], n_tokens, self.head_dim)
        by_token = turned.permute(0, 3, 1, 2, 4)
        torch.sub(first * cos, second * sin, out=by_token[..., :half])
        torch.add(second * cos, first * sin, out=by_token[..., half:])
        attended = attend_by_row(
            self,
            turned[:, 0],
            turned[:, 1],
            value,
            attention_mask,
            scaling=self.head_dim**-0.5,
            sliding_window=self.sliding_window,
        )[0]
        return self.Wo(attended.reshape(n_rows, n_tokens, hidden_size)), None


def _mask_of_tokens(*, attention_mask: torch.Tensor | None = None, **_: object) -> torch.Tensor | None:
    """Give `attend_by_row` the mask of the tokens, where others get one of pairs of tokens."""
    return attention_mask


AttentionInterface.register(BY_ROW, attend_by_row)
AttentionMaskInterface.register(BY_ROW, _mask_of_tokens)
