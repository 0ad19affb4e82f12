"""Stages 2 to 5 of 7 in one call: a lead of any length -> its token ids, in constant memory."""

from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from heartbert.preprocessing import Preprocessing
from heartbert.records.record import Channel
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.scaling import PIECE_S, Scaling, join_ranges, piece_ranges
from heartbert.signals.streaming import Block
from heartbert.tokens.tokenizer import Tokenizer

# Blocks of about five minutes that are kept from the pass that measures the amplitude for the pass that quantises:
# an hour is not read twice, and memory does not grow beyond it.
_KEPT_BLOCKS = 12


@dataclass(frozen=True)
class LeadTokens:
    """One lead as tokens, without special tokens, rows or padding.

    Attributes
    ----------
    token_ids : ndarray of int32, shape (n_tokens,)
    starts : ndarray of int64, shape (n_tokens,)
        First sample at 360 Hz of each token, counted from the start of the recording. A token ends where the next one
        starts, the last one with the lead.
    usable : ndarray of bool, shape (n_tokens,)
        False where more than half of a token's samples cannot be scored.
    n_samples : int
        Samples of the lead at 360 Hz.
    n_clipped : int
        Samples outside the range of the scaling.
    scaling : Scaling
        The amplitudes that became 0 and 1.
    """

    token_ids: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    usable: npt.NDArray[np.bool_]
    n_samples: int
    n_clipped: int
    scaling: Scaling

    @property
    def stops(self) -> npt.NDArray[np.int64]:
        """Sample after the last one of each token, shape (n_tokens,)."""
        return np.append(self.starts[1:], self.n_samples)


def tokenize_lead(channel: Channel, preprocessing: Preprocessing, tokenizer: Tokenizer) -> LeadTokens:
    """Turn one lead into tokens.

    Parameters
    ----------
    channel : Channel
        At any sampling frequency, of any length.
    preprocessing : Preprocessing
    tokenizer : Tokenizer
        Trained with the codebook of `preprocessing`.

    Returns
    -------
    tokens : LeadTokens

    Raises
    ------
    BundleError
        If the tokenizer does not fit the codebook.
    """
    tokenizer.check_fits(preprocessing.codebook.n_levels)
    kept: list[Block] = []
    ranges = []
    for block in preprocessing.stream(channel):
        ranges.append(piece_ranges(block.inner_signal, block.inner_codes == 0, round(PIECE_S * TARGET_FS)))
        if len(kept) < _KEPT_BLOCKS:
            kept.append(block)
    scaling = preprocessing.scaling_rule.fit(join_ranges(ranges))
    token_ids, lengths, usable = [], [], []
    n_samples = n_clipped = 0
    for block in chain(kept, preprocessing.stream(channel, first=len(kept))):
        levels = preprocessing.codebook.quantize(scaling.apply(block.inner_signal))
        ids, _ = tokenizer.pieces_of_levels(levels, preprocessing.window_samples)
        token_ids.append(ids.astype(np.int32))
        lengths.append(tokenizer.token_lengths[ids])
        usable.append(_usable(lengths[-1], block))
        n_samples, n_clipped = block.stop, n_clipped + scaling.n_clipped(block.inner_signal)
    starts = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *lengths]))[:-1]
    return LeadTokens(np.concatenate(token_ids), starts, np.concatenate(usable), n_samples, n_clipped, scaling)


def _usable(lengths: npt.NDArray[np.int64], block: Block) -> npt.NDArray[np.bool_]:
    """Say of each token of a block whether at least half of its samples can be scored."""
    unscorable = block.inner_codes != 0
    if not unscorable.any():
        return np.ones(lengths.size, dtype=np.bool_)
    n_bad = np.add.reduceat(unscorable.astype(np.int64), np.cumsum(lengths) - lengths)
    return np.asarray(2 * n_bad <= lengths)
