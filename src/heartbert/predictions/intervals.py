"""Stage 6 of 7: tokens -> embeddings. A tokenized lead, averaged over any intervals of time."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from heartbert.embeddings.embed import IntervalPooler, TokenEmbeddings, embed
from heartbert.predictions.beat_windows import TokenReader
from heartbert.tokens import Tokens
from heartbert.tokens.leads import LeadTokens
from heartbert.tokens.rows import arrange

Samples = npt.NDArray[np.int64]

# Windows given to the encoder together: about six minutes.
_WINDOWS_AT_A_TIME = 32


def embed_intervals(
    lead: LeadTokens, reader: TokenReader, intervals: tuple[Samples, Samples], *, window_samples: int, layer: int
) -> npt.NDArray[np.float32]:
    """Average the embeddings of a lead over intervals; only windows that one of them touches are embedded.

    Parameters
    ----------
    lead : LeadTokens
    reader : TokenReader
    intervals : (starts, stops), ndarrays of int64, each shape (n_intervals, n_parts)
        Samples at 360 Hz; what lies outside the lead is left out.
    window_samples : int
        Samples of the windows that the lead was tokenized in.
    layer : int
        Layer of the encoder that is averaged, 0 for its input.

    Returns
    -------
    vectors : ndarray of float32, shape (n_intervals, n_parts, hidden_size)
        Each token counts by its samples inside the interval. 0 where nothing of an interval can be scored.
    """
    starts, stops = intervals
    vectors = np.zeros((*starts.shape, int(reader.encoder.config.hidden_size)), dtype=np.float32)
    if not starts.size:
        return vectors
    order = np.argsort(stops.max(axis=1), kind="stable")
    last_stops = stops.max(axis=1)[order]
    pooler = IntervalPooler(int((stops.max(axis=1) - starts.min(axis=1)).max()))
    windows = _touched(intervals, window_samples, lead.n_samples)
    done = 0
    for first in range(0, windows.size, _WINDOWS_AT_A_TIME):
        taken = windows[first : first + _WINDOWS_AT_A_TIME]
        tokens, usable = window_rows(lead, reader, taken, window_samples=window_samples)
        embedded = embed(reader.encoder, tokens, layer=layer, last=False)
        _add(pooler, embedded, usable, taken * window_samples)
        is_last = first + _WINDOWS_AT_A_TIME >= windows.size
        complete = (
            order.size if is_last else int(np.searchsorted(last_stops, (taken[-1] + 1) * window_samples, "right"))
        )
        rows = order[done:complete]
        vectors[rows] = pooler.mean(starts[rows], stops[rows])
        done = max(done, complete)
    return vectors


def window_rows(
    lead: LeadTokens, reader: TokenReader, windows: Samples, *, window_samples: int
) -> tuple[Tokens, npt.NDArray[np.bool_]]:
    """Return some windows of a lead as rows for the encoder.

    Parameters
    ----------
    lead : LeadTokens
    reader : TokenReader
    windows : ndarray of int64, shape (n_windows,)
        Numbers of the windows, increasing.
    window_samples : int

    Returns
    -------
    tokens : Tokens
        Unscorable ones are out of the attention mask.
    usable : ndarray of bool, shape (n_tokens,)
        Which tokens can be scored, special tokens and padding left out.
    """
    edges = np.searchsorted(lead.starts, np.stack([windows, windows + 1]) * window_samples)
    counts = edges[1] - edges[0]
    taken = np.arange(counts.sum()) + np.repeat(edges[0] - (np.cumsum(counts) - counts), counts)
    token_ids, usable = lead.token_ids[taken].astype(np.int64), lead.usable[taken]
    tokens = arrange(token_ids, counts, reader.tokenizer.token_lengths, max_tokens=reader.max_tokens)
    shown = tokens.attention_mask.copy()
    shown[tokens.offsets[..., 1] > tokens.offsets[..., 0]] = usable
    return replace(tokens, attention_mask=shown), usable


def usable_share(lead: LeadTokens, starts: Samples, stops: Samples) -> npt.NDArray[np.float32]:
    """Return the share of each interval that can be scored; what lies outside the lead cannot.

    Parameters
    ----------
    lead : LeadTokens
    starts, stops : ndarray of int64, shape (n_intervals,)
        Samples at 360 Hz, ``starts < stops``.

    Returns
    -------
    shares : ndarray of float32, shape (n_intervals,)
    """
    edges = np.append(lead.starts, lead.n_samples)
    usable = np.concatenate(([0.0], np.cumsum(np.diff(edges) * lead.usable)))
    inside = np.interp(stops, edges, usable) - np.interp(starts, edges, usable)
    return np.asarray(inside / (stops - starts), dtype=np.float32)


def _touched(intervals: tuple[Samples, Samples], window_samples: int, n_samples: int) -> Samples:
    """Return the numbers of the windows that an interval touches, at least one, increasing."""
    last = (n_samples - 1) // window_samples
    first_touched = np.clip(intervals[0].ravel() // window_samples, 0, last)
    last_touched = np.clip((intervals[1].ravel() - 1) // window_samples, 0, last)
    changes = np.bincount(first_touched, minlength=last + 2) - np.bincount(last_touched + 1, minlength=last + 2)
    return np.flatnonzero(np.cumsum(changes)[:-1] > 0)


def _add(pooler: IntervalPooler, embedded: TokenEmbeddings, usable: npt.NDArray[np.bool_], firsts: Samples) -> None:
    """Hand scorable tokens to the pooler; `firsts` are the first samples of the windows."""
    first = firsts[embedded.window[usable]]
    pooler.add(embedded.starts[usable] + first, embedded.stops[usable] + first, embedded.inner[usable])
