"""Stage 6 of 7: tokens -> embeddings. The encoder applied to rows of tokens, and mask-aware pooling."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from heartbert.embeddings.encoder import fast_copy, max_tokens_of
from heartbert.tokens import PAD_ID, Tokens

# Tokens of a batch, padding included: enough to fill two cores, little enough to stay in cache.
_TOKENS_PER_BATCH = 3072
# Rows are filled up to a multiple of this: oneDNN keeps compiled code for every size that it has met.
_LENGTHS_APART = 64


@dataclass(frozen=True)
class TokenEmbeddings:
    """Embeddings of the tokens of consecutive windows, special tokens and padding left out.

    Attributes
    ----------
    window : ndarray of int64, shape (n_tokens,)
        Index of the window that each token belongs to, increasing.
    starts, stops : ndarray of int64, shape (n_tokens,)
        First sample and the sample after the last one that each token covers, in its window.
    inner : ndarray of float32, shape (n_tokens, hidden_size)
        Output of the layer that beats are pooled from.
    last : ndarray of float32, shape (n_tokens, hidden_size)
        Output of the last layer, normalised as the model does it; of no token where it was not asked for.
    """

    window: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    inner: npt.NDArray[np.float32]
    last: npt.NDArray[np.float32]


@torch.inference_mode()
def embed(encoder: PreTrainedModel, tokens: Tokens, *, layer: int, last: bool = True) -> TokenEmbeddings:
    """Apply the encoder to rows of tokens.

    Rows of similar length share a batch, so little is computed on padding; the attention mask keeps the rest
    out, and a row's embeddings do not depend on its neighbours.

    Parameters
    ----------
    encoder : PreTrainedModel
        The base model, without masked-language head.
    tokens : Tokens
    layer : int
        Layer of `TokenEmbeddings.inner`; 0 is the input embedding.
    last : bool, default True
        Whether the last layer is wanted too; without it nothing above `layer` is computed.

    Returns
    -------
    embeddings : TokenEmbeddings
        In the order of `tokens`.
    """
    n_rows, width = tokens.token_ids.shape
    lengths = (tokens.token_ids != PAD_ID).sum(axis=1)  # unscorable tokens are masked, not left out
    hidden_size = int(encoder.config.hidden_size)
    n_layers = int(encoder.config.num_hidden_layers) if last else layer
    applied = fast_copy(encoder, n_layers)
    inner = np.zeros((n_rows, width, hidden_size), dtype=np.float32)
    upper = np.zeros((n_rows, width if last else 0, hidden_size), dtype=np.float32)
    for rows in _batches(lengths):
        longest = int(lengths[rows].max())
        filled = min(-(-longest // _LENGTHS_APART) * _LENGTHS_APART, max_tokens_of(encoder))
        missing = ((0, 0), (0, filled - longest))
        token_ids = np.pad(tokens.token_ids[rows, :longest], missing, constant_values=PAD_ID)
        attention_mask = np.pad(tokens.attention_mask[rows, :longest], missing)
        output = applied(
            input_ids=torch.from_numpy(token_ids).to(encoder.device),
            attention_mask=torch.from_numpy(attention_mask).to(encoder.device),
            output_hidden_states=layer < n_layers,
        )
        states = output.hidden_states[layer] if layer < n_layers else output.last_hidden_state
        inner[rows, :longest] = states[:, :longest].float().cpu().numpy()
        if last:
            upper[rows, :longest] = output.last_hidden_state[:, :longest].float().cpu().numpy()
    pieces = tokens.offsets[..., 1] > tokens.offsets[..., 0]  # special tokens and padding cover nothing
    window = np.broadcast_to(tokens.rows_of[:, None], pieces.shape)[pieces]
    starts, stops = tokens.offsets[pieces, 0], tokens.offsets[pieces, 1]
    return TokenEmbeddings(
        window, starts, stops, inner[pieces], upper[pieces] if last else upper.reshape(0, hidden_size)
    )


def _batches(lengths: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield row indices, longest rows first, so that each batch holds a bounded number of tokens."""
    order = np.argsort(-lengths, kind="stable")
    while order.size:
        n_rows = max(1, _TOKENS_PER_BATCH // int(lengths[order[0]]))
        yield order[:n_rows]
        order = order[n_rows:]


def pool_windows(
    embeddings: TokenEmbeddings, usable: npt.NDArray[np.bool_], n_windows: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Average the last layer over the usable tokens of each window.

    Parameters
    ----------
    embeddings : TokenEmbeddings
    usable : ndarray of bool, shape (n_tokens,)
        False for tokens of unscorable signal.
    n_windows : int

    Returns
    -------
    vectors : ndarray of float32, shape (n_windows, hidden_size)
        NaN where no token is usable.
    n_tokens : ndarray of int64, shape (n_windows,)
        Tokens that were averaged.
    """
    window = embeddings.window[usable]
    n_tokens = np.bincount(window, minlength=n_windows)
    sums = np.zeros((n_windows, embeddings.last.shape[1]))
    np.add.at(sums, window, embeddings.last[usable])
    with np.errstate(invalid="ignore"):
        return (sums / n_tokens[:, None]).astype(np.float32), n_tokens


@dataclass
class IntervalPooler:
    """Averages token embeddings over intervals of time, from tokens that arrive in order.

    An interval's embedding is the mean over its usable samples of the embedding of the token that covers each
    sample, so a token that reaches over the edge counts by the part inside.

    Attributes
    ----------
    keep_samples : int
        How far back from the newest token an interval may reach.
    """

    keep_samples: int
    _starts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    _stops: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    _vectors: npt.NDArray[np.float32] | None = None

    @property
    def n_held(self) -> int:
        """Number of tokens in memory."""
        return int(self._starts.size)

    def add(
        self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]
    ) -> None:
        """Add tokens, in time order and after all earlier ones; tokens out of reach are forgotten.

        Parameters
        ----------
        starts, stops : ndarray of int64, shape (n_tokens,)
            Samples that the tokens cover, counted from the start of the recording; gaps are allowed.
        vectors : ndarray of float32, shape (n_tokens, hidden_size)
        """
        if self._vectors is None:
            self._vectors = np.empty((0, vectors.shape[1]), dtype=np.float32)
        reached = int(self._stops[-1]) - self.keep_samples if self._stops.size else 0
        kept = self._stops > reached
        self._starts = np.concatenate([self._starts[kept], starts])
        self._stops = np.concatenate([self._stops[kept], stops])
        self._vectors = np.concatenate([self._vectors[kept], vectors])

    def mean(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Average over intervals.

        Parameters
        ----------
        starts, stops : ndarray of int64, any equal shape
            Intervals in samples from the start of the recording.

        Returns
        -------
        means : ndarray of float32, shape (..., hidden_size)
            Zero where no usable token lies in the interval.
        """
        if self._vectors is None:
            raise RuntimeError("mean() was called before add(); add tokens first")
        shares = self._shares(starts.ravel(), stops.ravel())
        sums = torch.sparse.mm(shares, torch.from_numpy(self._vectors)).numpy()
        return np.asarray(sums, dtype=np.float32).reshape(*starts.shape, self._vectors.shape[1])

    def _shares(self, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> torch.Tensor:
        """Return the share of each token in the covered samples of each interval, sparse: (n_intervals, n_tokens)."""
        firsts = np.searchsorted(self._stops, starts, side="right")
        counts = np.maximum(np.searchsorted(self._starts, stops) - firsts, 0)
        edges = np.append(0, np.cumsum(counts))
        tokens = np.arange(edges[-1]) + np.repeat(firsts - edges[:-1], counts)
        inside = np.minimum(self._stops[tokens], np.repeat(stops, counts))
        inside -= np.maximum(self._starts[tokens], np.repeat(starts, counts))
        rows = np.repeat(np.arange(starts.size), counts)
        shares = (inside / np.bincount(rows, inside, minlength=starts.size)[rows]).astype(np.float32)
        places = torch.from_numpy(np.stack([rows, tokens]))
        size = (starts.size, self._starts.size)
        return torch.sparse_coo_tensor(places, torch.from_numpy(shares), size, is_coalesced=True, check_invariants=True)
