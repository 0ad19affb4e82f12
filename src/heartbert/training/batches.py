"""Corpus -> batches of rows with hidden tokens, the same for a step's number however many processes share it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from heartbert.errors import ConfigError
from heartbert.tokens import END_ID, N_AROUND, START_ID
from heartbert.training.corpus import Corpus
from heartbert.training.loss import UNCOUNTED
from heartbert.training.masking import Masking

# Rows of the held-out leads that the loss is measured on, at a time and in all.
_ROWS_AT_ONCE, N_VALIDATION_ROWS = 12, 96
_VALIDATION_SEED = 0
# The number of hidden tokens of a batch is filled up to a multiple of this.
_SIZES_APART = 128
# An encoder of no more parameters learns from about so many tokens at once.
_FEW_PARAMETERS, _TOKENS_AT_ONCE = 20_000_000, 768


class RowSampler:
    """Draws rows of tokens from leads of a corpus, each with ``<s>`` and ``</s>`` around it.

    Parameters
    ----------
    corpus : Corpus
    chosen : ndarray of bool, shape (n_leads,)
        Leads to draw from; those shorter than a row are left out.
    max_tokens : int
        Tokens of a row, ``<s>`` and ``</s>`` included.

    Raises
    ------
    ConfigError
        If no lead is as long as a row.
    """

    def __init__(self, corpus: Corpus, chosen: npt.NDArray[np.bool_], max_tokens: int) -> None:
        self._token_ids, self._r_peaks = corpus.token_ids, corpus.beats
        self._width = max_tokens - N_AROUND
        long_enough = chosen & (corpus.leads.length >= self._width)
        if not long_enough.any():
            raise ConfigError(
                f"no lead of corpus '{corpus.folder.name}' has {self._width} tokens, one row. Lower max_tokens or give "
                "longer recordings."
            )
        self._firsts = corpus.leads.first[long_enough]
        self._ends = np.cumsum(corpus.leads.length[long_enough] - self._width + 1)

    def draw_starts(self, n_rows: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw where rows begin, each place of each lead alike: positions in the token file, shape (n_rows,)."""
        drawn = rng.integers(0, self._ends[-1], size=n_rows)
        lead = np.searchsorted(self._ends, drawn, side="right")
        return np.asarray(self._firsts[lead] + drawn - np.concatenate(([0], self._ends))[lead])

    def read(self, starts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Read rows from the places given.

        Returns
        -------
        token_ids : ndarray of int64, shape (n_rows, max_tokens)
        r_peaks : ndarray of bool, same shape
            True for tokens that cover an R-peak; nowhere in a corpus that does not know its beats.
        """
        rows = np.empty((starts.size, self._width + N_AROUND), dtype=np.int64)
        rows[:, 0], rows[:, -1] = START_ID, END_ID
        r_peaks = np.zeros(rows.shape, dtype=np.bool_)
        for row, of_row, start in zip(rows, r_peaks, starts, strict=True):
            row[1:-1] = self._token_ids[start : start + self._width]
            first, last = np.searchsorted(self._r_peaks, [start, start + self._width])
            of_row[1 + self._r_peaks[first:last] - start] = True
        return rows, r_peaks

    def draw(self, n_rows: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return rows at uniformly drawn positions: int64, shape (n_rows, max_tokens)."""
        return self.read(self.draw_starts(n_rows, rng))[0]


@dataclass(frozen=True)
class Batch:
    """What the model sees and what it has to restore.

    Attributes
    ----------
    token_ids, shown : ndarray of int64, shape (n_rows, n_tokens)
        The truth, and what the model sees.
    hidden : ndarray of bool, same shape
        Where it has to restore the truth.
    """

    token_ids: npt.NDArray[np.int64]
    shown: npt.NDArray[np.int64]
    hidden: npt.NDArray[np.bool_]

    @property
    def n_hidden(self) -> int:
        """Number of tokens to restore."""
        return int(self.hidden.sum())

    def parts(self, n_rows: int) -> "list[Batch]":
        """Cut into batches of at most `n_rows` rows."""
        starts = range(0, self.hidden.shape[0], n_rows)
        parts = [slice(start, start + n_rows) for start in starts]
        return [Batch(self.token_ids[rows], self.shown[rows], self.hidden[rows]) for rows in parts]

    def tensors(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return what the model sees, the indices of hidden tokens in the flattened batch, and those tokens.

        Indices and tokens are filled up to a round number, with targets that are not counted: oneDNN keeps compiled
        code for every size that it has met, and memory would grow with the steps.
        """
        positions, targets = np.flatnonzero(self.hidden), self.token_ids[self.hidden]
        missing = (0, -positions.size % _SIZES_APART)
        filled = np.pad(positions, missing), np.pad(targets, missing, constant_values=UNCOUNTED)
        shown, indices, wanted = (torch.from_numpy(one).to(device, non_blocking=True) for one in (self.shown, *filled))
        return shown, indices, wanted


@dataclass(frozen=True)
class BatchMaker:
    """Draws rows and hides tokens of them.

    Attributes
    ----------
    rows : RowSampler
    masking : Masking
    token_lengths : ndarray of int64, shape (n_vocabulary,)
        Samples that each token covers; 0 for special tokens.
    """

    rows: RowSampler
    masking: Masking
    token_lengths: npt.NDArray[np.int64]

    def make(self, n_rows: int, seed: Sequence[int], *, own: range) -> Batch:
        """Make some rows of a batch that is the same whoever makes which of its rows.

        Parameters
        ----------
        n_rows : int
            Rows of the whole batch.
        seed : sequence of int
            The batch's own; row ``i`` is masked by ``(*seed, i)``.
        own : range
            Rows to make.
        """
        starts = self.rows.draw_starts(n_rows, np.random.default_rng(seed))[own.start : own.stop]
        token_ids, r_peaks = self.rows.read(starts)
        rngs = [np.random.default_rng([*seed, 1 + row]) for row in own]
        shown, hidden = self.masking.hide(token_ids, self.token_lengths, rngs, r_peaks=r_peaks)
        return Batch(token_ids, shown, hidden)

    def validation(self, *, own: range) -> list[Batch]:
        """Make this process's rows among the `N_VALIDATION_ROWS` that every run is measured on, some at a time."""
        return self.make(N_VALIDATION_ROWS, [_VALIDATION_SEED], own=own).parts(_ROWS_AT_ONCE) if own else []


def fitting_rows(model: PreTrainedModel, max_tokens: int) -> int | None:
    """Return how many rows a small encoder on a processor learns from at once without wasting time; None if all.

    Activations of more rows leave the caches, and a pass over few weights costs nothing.
    """
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    if model.device.type != "cpu" or n_parameters > _FEW_PARAMETERS:
        return None
    return max(1, _TOKENS_AT_ONCE // max_tokens)
