"""Levels -> token ids: the same ids by a compiled encoder and by the tokenizers library."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as BpeTokenizer

from heartbert.compiled import has_numba
from heartbert.text import ALPHABET, from_text, to_text

if TYPE_CHECKING:
    from heartbert.tokens.encoding_kernels import Tables

Pieces = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Token ids of windows, one after the other, and how many each window has."""


class CompiledEncoder:
    """Byte-pair encoding of levels, linear in their number.

    Parameters
    ----------
    tables : Tables
    token_ids : ndarray of int64, shape (n_pieces,)
        Id of each piece as the tables number them.
    """

    def __init__(self, tables: "Tables", token_ids: npt.NDArray[np.int64]) -> None:
        self._tables = tables
        self._token_ids = token_ids

    def encode(self, levels: npt.NDArray[np.uint8], window_lengths: npt.NDArray[np.int64], n_threads: int) -> Pieces:
        """Cut windows into token ids, each thread a share of them."""
        ends = np.append(0, np.cumsum(window_lengths))
        # Windows begin where the samples are shared out most evenly.
        firsts = np.searchsorted(ends, np.linspace(0, ends[-1], n_threads + 1)[:-1]).tolist()
        shares = [
            (levels[ends[first] : ends[stop]], window_lengths[first:stop])
            for first, stop in pairwise([*firsts, window_lengths.size])
        ]
        if n_threads == 1:
            return self._encode_share(shares[0])
        with ThreadPoolExecutor(n_threads) as executor:
            encoded = list(executor.map(self._encode_share, shares))
        return np.concatenate([ids for ids, _ in encoded]), np.concatenate([counts for _, counts in encoded])

    def _encode_share(self, share: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]) -> Pieces:
        from heartbert.tokens.encoding_kernels import encode_windows

        levels, window_lengths = share
        pieces = np.empty(levels.size, dtype=np.int32)
        counts = np.empty(window_lengths.size, dtype=np.int64)
        n_pieces = encode_windows(self._tables, np.ascontiguousarray(levels), window_lengths, (pieces, counts))
        return self._token_ids[pieces[:n_pieces]], counts


def compiled_encoder(bpe: BpeTokenizer) -> CompiledEncoder | None:
    """Prepare the compiled encoder for a vocabulary.

    Returns
    -------
    encoder : CompiledEncoder or None
        None without numba, and for a vocabulary that no training gives: where two pairs merge to the same token, a
        part is merged after the whole, or the text of a token is cut into something else. The tokenizers library
        merges these by rules that this encoder does not follow.
    """
    if not has_numba():
        return None
    from heartbert.tokens.encoding_kernels import MAX_PIECES, build_tables, spells_itself

    model: dict[str, Any] = json.loads(bpe.to_str())["model"]
    letters = [letter for letter in ALPHABET if letter in model["vocab"]]
    merges = [tuple(merge) for merge in model["merges"]]
    spelled = letters + [first + second for first, second in merges]
    number = {text: index for index, text in enumerate(spelled)}
    if not len(number) == len(spelled) < MAX_PIECES:
        return None
    parts = np.full((len(spelled), 2), -1, dtype=np.int32)
    for index, merge in enumerate(merges, start=len(letters)):
        parts[index] = [number.get(part, index) for part in merge]
    if (parts.max(axis=1) >= np.arange(len(spelled))).any():
        return None
    lengths = np.array([len(text) for text in spelled], dtype=np.int32)
    tables = build_tables(len(letters), parts, from_text("".join(spelled)), lengths)
    if not spells_itself(tables):
        return None
    return CompiledEncoder(tables, np.array([model["vocab"][text] for text in spelled], dtype=np.int64))


def encode_plainly(bpe: BpeTokenizer, levels: npt.NDArray[np.uint8], window_lengths: npt.NDArray[np.int64]) -> Pieces:
    """Cut windows into token ids with the tokenizers library."""
    ends = np.append(0, np.cumsum(window_lengths)).tolist()
    texts = [to_text(levels[start:stop]) for start, stop in pairwise(ends)]
    found = [encoding.ids for encoding in bpe.encode_batch_fast(texts, add_special_tokens=False)]
    ids = np.array([token_id for text_ids in found for token_id in text_ids], dtype=np.int64)
    return ids, np.array([len(text_ids) for text_ids in found], dtype=np.int64)
