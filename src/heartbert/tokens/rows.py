"""Tokens of many texts, arranged as the rows that a model reads."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError
from heartbert.tokens.vocabulary import END_ID, N_AROUND, PAD_ID, START_ID


@dataclass(frozen=True)
class Tokens:
    """Rows of tokens with the samples each one covers.

    Attributes
    ----------
    token_ids : ndarray of int64, shape (n_rows, n_tokens)
        ``<s>``, pieces, ``</s>``, then padding.
    attention_mask : ndarray of bool, same shape
        False on padding.
    offsets : ndarray of int64, shape (n_rows, n_tokens, 2)
        First sample and the sample after the last one that a token covers, counted from the start of its
        text. Special tokens and padding cover nothing: both numbers are equal.
    rows_of : ndarray of int64, shape (n_rows,)
        Index of the text that each row comes from; a text with more tokens than the model has positions
        continues in further rows.
    """

    token_ids: npt.NDArray[np.int64]
    attention_mask: npt.NDArray[np.bool_]
    offsets: npt.NDArray[np.int64]
    rows_of: npt.NDArray[np.int64]


def check_room(max_tokens: int) -> None:
    """Refuse rows that have no room for a token.

    Raises
    ------
    ConfigError
        If `max_tokens` leaves no room for a token between ``<s>`` and ``</s>``.
    """
    if max_tokens <= N_AROUND:
        raise ConfigError(
            f"max_tokens is {max_tokens}; <s>, </s> and one token need at least {N_AROUND + 1}. Raise it."
        )


def arrange(
    pieces: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    token_lengths: npt.NDArray[np.int64],
    *,
    max_tokens: int,
) -> Tokens:
    """Put the pieces of texts into rows of at most `max_tokens` tokens; nothing is dropped.

    Parameters
    ----------
    pieces : ndarray of int64, shape (n_pieces,)
        Token ids of all texts, one after the other.
    counts : ndarray of int64, shape (n_texts,)
        How many each text has.
    token_lengths : ndarray of int64, shape (vocabulary size,)
        Samples that each token covers.
    max_tokens : int
        Positions of the model, ``<s>`` and ``</s>`` included.

    Returns
    -------
    tokens : Tokens
        A text that needs more positions is cut into rows of nearly equal length.
    """
    n_parts = np.maximum(1, -(-counts // (max_tokens - N_AROUND)))
    rows_of = np.repeat(np.arange(counts.size), n_parts)
    part = np.arange(rows_of.size) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    n_pieces = (counts // n_parts)[rows_of] + (part < (counts % n_parts)[rows_of])  # (n_rows,)

    position = np.arange(n_pieces.max(initial=0) + N_AROUND)
    attention_mask = position < (n_pieces + N_AROUND)[:, None]
    inner = (position > 0) & (position <= n_pieces[:, None])
    token_ids = np.where(attention_mask, np.int64(END_ID), np.int64(PAD_ID))
    token_ids[:, 0] = START_ID
    token_ids[inner] = pieces  # both go through the rows in order

    lengths = np.zeros(token_ids.shape, dtype=np.int64)
    lengths[inner] = token_lengths[pieces]
    offsets = np.empty((*lengths.shape, 2), dtype=np.int64)
    np.cumsum(lengths, axis=1, out=offsets[..., 1])
    # A row starts where the one before ended, the first of a text at 0.
    stops = np.cumsum(offsets[:, -1, 1])
    offsets[..., 1] += (np.append(0, stops[:-1]) - np.append(0, stops)[np.searchsorted(rows_of, rows_of)])[:, None]
    np.subtract(offsets[..., 1], lengths, out=offsets[..., 0])
    return Tokens(token_ids, attention_mask, offsets, rows_of)
