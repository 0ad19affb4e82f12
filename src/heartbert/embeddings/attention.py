"""Stage 6 of 7: tokens -> embeddings. Attention on a processor, one row of tokens after the other.

What a row needs nearly fits into the second cache, and its memory is used again for the next row, so that little but
products and exponentials takes time. `transformers` calls these functions under the name `BY_ROW`.
"""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel
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
    """Attend as `transformers` does with "sdpa", without dropout.

    Where a gradient is wanted, the backward pass computes the weights again, so that they take no memory in between.

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
    reach = None if sliding_window is None or sliding_window > query.shape[2] else sliding_window - 1
    runs = _Runs(query, attention_mask, query.shape[3] ** -0.5 if scaling is None else scaling, reach)
    if torch.is_grad_enabled():
        return _AttendByRow.apply(query, key, value, runs), None  # type: ignore[no-untyped-call]
    return _attend(query, key, value, runs), None


class _Runs:
    """Runs of queries that share the keys they may see, and memory for their weights, used by one row after the other.

    Parameters
    ----------
    query : Tensor, shape (n_rows, n_heads, n_tokens, head_size)
        For shape and precision.
    attention_mask : Tensor of bool, shape (n_rows, n_tokens), or None
    scaling : float
    reach : int or None
        Largest distance between tokens that see each other; None if all do, which makes one run.
    """

    def __init__(
        self, query: torch.Tensor, attention_mask: torch.Tensor | None, scaling: float, reach: int | None
    ) -> None:
        n_rows, self.n_heads, self.n_tokens, _ = query.shape
        self.scaling, self.reach = scaling, reach or 0
        self.run = self.n_tokens if reach is None else _RUN_TOKENS
        self.n_runs = -(-self.n_tokens // self.run)
        self.n_keys = self.run + 2 * self.reach
        self._missing = self.n_runs * self.run - self.n_tokens
        # Low enough to hide a token, and two of them are still a number: a query that sees nothing gives no NaN.
        hidden = torch.finfo(query.dtype).min / 4
        self._bias: torch.Tensor | None = None  # (1 or n_rows, n_runs, 1 or run, n_keys)
        if attention_mask is not None or reach is not None:
            seen = torch.zeros(1 if attention_mask is None else n_rows, self.n_tokens, dtype=query.dtype)
            if attention_mask is not None:
                seen.masked_fill_(~attention_mask, hidden)
            seen = nn.functional.pad(seen, (self.reach, self.reach + self._missing), value=hidden)
            bias = seen.unfold(1, self.n_keys, self.run)[:, :, None]
            self._bias = bias if reach is None else bias + _far(self.run, reach, hidden, query.dtype)
        self._memory = query.new_empty(0)

    def queries(self, row: torch.Tensor) -> torch.Tensor:
        """Cut queries, or what belongs to them, of shape (n_heads, n_tokens, head_size), into runs."""
        return nn.functional.pad(row, (0, 0, 0, self._missing)).reshape(-1, self.run, row.shape[2])

    def keys(self, row: torch.Tensor) -> torch.Tensor:
        """Give each run its keys or values, shape (n_heads * n_runs, n_keys, head_size)."""
        around = nn.functional.pad(row, (0, 0, self.reach, self.reach + self._missing))
        return around.unfold(1, self.n_keys, self.run).transpose(2, 3).reshape(-1, self.n_keys, row.shape[2])

    def join_queries(self, runs: torch.Tensor) -> torch.Tensor:
        """Undo `queries`."""
        return runs.view(self.n_heads, self.n_runs * self.run, -1)[:, : self.n_tokens]

    def add_keys(self, runs: torch.Tensor) -> torch.Tensor:
        """Add up what belongs to the same key in all runs; as `keys` got it."""
        if self.n_runs == 1:
            return runs[:, self.reach : self.reach + self.n_tokens]
        parts = runs.view(self.n_heads, self.n_runs, self.n_keys, -1)
        total = parts.new_zeros(self.n_heads, self.n_runs * self.run + 2 * self.reach, parts.shape[3])
        for number in range(self.n_runs):
            total[:, number * self.run : number * self.run + self.n_keys] += parts[:, number]
        return total[:, self.reach : self.reach + self.n_tokens]

    def weigh(self, row: int, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return how much each query of a row sees of each key, (n_heads * n_runs, run, n_keys), until called again."""
        if not self._memory.numel():
            self._memory = queries.new_empty(2, self.n_heads * self.n_runs, self.run, self.n_keys)
        scores, weights = self._memory
        torch.baddbmm(scores, queries, keys.transpose(1, 2), beta=0, alpha=self.scaling, out=scores)
        if self._bias is not None:
            bias = self._bias[row if self._bias.shape[0] > 1 else 0]
            scores.view(self.n_heads, self.n_runs, self.run, self.n_keys).add_(bias)
        return torch.softmax(scores, -1, out=weights)

    def scores_gradient(self, of_weights: torch.Tensor) -> torch.Tensor:
        """Return the gradient of the scaled products from that of the weights found last, until `weigh` is called."""
        scores: torch.Tensor = self._memory[0]
        weights = self._memory[1]
        torch.ops.aten._softmax_backward_data.out(of_weights, weights, -1, weights.dtype, grad_input=scores)
        scores *= self.scaling
        return scores

    def release(self) -> None:
        """Give the memory of the weights back until they are needed again."""
        self._memory = self._memory.new_empty(0)


def _far(run: int, reach: int, hidden: float, dtype: torch.dtype) -> torch.Tensor:
    """Return what hides the keys of a run that are too far from its queries: (run, run + 2 * reach)."""
    apart = torch.arange(run + 2 * reach) - reach - torch.arange(run)[:, None]
    return torch.zeros(apart.shape, dtype=dtype).masked_fill_(apart.abs() > reach, hidden)


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, runs: _Runs) -> torch.Tensor:
    n_rows, n_heads, n_tokens, head_size = query.shape
    attended = query.new_empty(n_rows, n_tokens, n_heads, head_size)
    for row in range(n_rows):
        weights = runs.weigh(row, runs.queries(query[row]), runs.keys(key[row]))
        attended[row] = runs.join_queries(torch.bmm(weights, runs.keys(value[row]))).transpose(0, 1)
    return attended


class _AttendByRow(torch.autograd.Function):
    """`_attend` with a gradient."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, runs: _Runs) -> torch.Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.runs = runs
        attended = _attend(query, key, value, runs)
        runs.release()
        return attended

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, None]:
        (gradient,), (query, key, value), runs = gradients, ctx.saved_tensors, ctx.runs
        of_query, of_key, of_value = (torch.empty_like(one) for one in (query, key, value))
        for row in range(query.shape[0]):
            queries, keys = runs.queries(query[row]), runs.keys(key[row])
            outward = runs.queries(gradient[row].transpose(0, 1))
            weights = runs.weigh(row, queries, keys)
            of_value[row] = runs.add_keys(torch.bmm(weights.transpose(1, 2), outward))
            of_scores = runs.scores_gradient(torch.bmm(outward, runs.keys(value[row]).transpose(1, 2)))
            of_query[row] = runs.join_queries(torch.bmm(of_scores, keys))
            of_key[row] = runs.add_keys(torch.bmm(of_scores.transpose(1, 2), queries))
        return of_query, of_key, of_value, None


class RotaryAttention(nn.Module):
    """What the attention of a layer of ModernBERT computes, without dropout; the weights are shared.

    Positions are turned in the precision of the products, where `transformers` goes through 32 bits, and queries and
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
        cos, sin = (one[:, :, None, None, : self.head_dim // 2].to(parts.dtype) for one in position_embeddings)
        turn = _Turn.apply if torch.is_grad_enabled() else _turn
        query, key = turn(parts[:, :, :2], cos, sin).unbind(1)
        attended = attend_by_row(
            self,
            query,
            key,
            parts[:, :, 2].transpose(1, 2),
            attention_mask,
            scaling=self.head_dim**-0.5,
            sliding_window=self.sliding_window,
        )[0]
        return self.Wo(attended.reshape(n_rows, n_tokens, hidden_size)), None


def _turn(parts: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn queries and keys, (n_rows, n_tokens, 2, n_heads, head_size), by their positions; tokens then come fourth."""
    n_rows, n_tokens, _, n_heads, head_size = parts.shape
    turned = parts.new_empty(n_rows, 2, n_heads, n_tokens, head_size)
    _turn_into(turned.permute(0, 3, 1, 2, 4), parts, cos, sin)
    return turned


def _turn_into(turned: torch.Tensor, parts: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    half = parts.shape[-1] // 2
    first, second = parts[..., :half], parts[..., half:]
    torch.sub(first * cos, second * sin, out=turned[..., :half])
    torch.add(second * cos, first * sin, out=turned[..., half:])


class _Turn(torch.autograd.Function):
    """`_turn` with a gradient: that is turned back."""

    @staticmethod
    def forward(ctx: Any, parts: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(parts, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        by_token = gradients[0].permute(0, 3, 1, 2, 4)
        of_parts = torch.empty_like(by_token, memory_format=torch.contiguous_format)
        _turn_into(of_parts, by_token, cos, -sin)
        return of_parts, None, None


def attend_fast(encoder: PreTrainedModel, *, training: bool = False) -> None:
    """Let a base model attend in the way that took least time by measurement; it computes the same.

    That is by row on a processor, except that RoBERTa, whose rows are longer than a cache, is trained faster with
    explicit attention; elsewhere torch's own.
    """
    if encoder.device.type != "cpu":
        encoder.set_attn_implementation("sdpa")
    elif encoder.config.model_type == "modernbert":
        encoder.set_attn_implementation(BY_ROW)
        for layer in encoder.layers:
            layer.attn = RotaryAttention(layer.attn)
    else:
        encoder.set_attn_implementation("eager" if training else BY_ROW)


def _mask_of_tokens(*, attention_mask: torch.Tensor | None = None, **_: object) -> torch.Tensor | None:
    """Give `attend_by_row` the mask of the tokens, where others get one of pairs of tokens."""
    return attention_mask


AttentionInterface.register(BY_ROW, attend_by_row)
AttentionMaskInterface.register(BY_ROW, _mask_of_tokens)
