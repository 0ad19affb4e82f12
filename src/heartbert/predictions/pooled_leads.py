"""Stage 6 of 7: tokens -> embeddings. One vector for each lead, many leads in one call of the encoder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.embeddings.embed import embed
from heartbert.errors import ConfigError
from heartbert.predictions.beat_windows import TokenReader
from heartbert.preprocessing import Preprocessing
from heartbert.records.record import Channel
from heartbert.tokens.leads import LeadTokens, tokenize_lead
from heartbert.tokens.rows import arrange

Pooling = Literal["mean", "mean-std"]
POOLINGS: tuple[Pooling, ...] = ("mean", "mean-std")
"""Over the tokens of a lead: their mean, or the mean and then the standard deviation."""

# Tokens that are embedded together: about five 12-lead recordings of ten seconds, 100 MB for two layers of 256 numbers.
_TOKENS_AT_A_TIME = 49_152
# Windows of one lead that are taken at a time, so that a day is embedded in the same memory.
_WINDOWS_AT_A_TIME = 32


@dataclass(frozen=True)
class LeadPooler:
    """The fitted parts that turn leads into vectors, and what is kept of their tokens.

    A lead of one window has, with ``mean`` of the last layer, the vector that `HeartBert.embed` gives that window.

    Attributes
    ----------
    preprocessing : Preprocessing
    reader : TokenReader
    layer : int or None
        Layer of the encoder that is pooled, 0 for its input; None for the last one, normalised as the model does it.
    pooling : {"mean", "mean-std"}

    Raises
    ------
    ConfigError
        If the encoder has no such layer, or there is no such pooling.
    """

    preprocessing: Preprocessing
    reader: TokenReader
    layer: int | None = None
    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        n_layers = int(self.reader.encoder.config.num_hidden_layers)
        if self.layer is not None and not 0 <= self.layer <= n_layers:
            raise ConfigError(
                f"layer is {self.layer}; the encoder has layers 0 (its input) to {n_layers}. Give one of them, or None "
                "for the output of the last."
            )
        if self.pooling not in POOLINGS:
            raise ConfigError(f"pooling is '{self.pooling}'; choose one of {', '.join(POOLINGS)}.")

    @property
    def n_embedding(self) -> int:
        """Numbers of a lead's vector."""
        return int(self.reader.encoder.config.hidden_size) * (2 if self.pooling == "mean-std" else 1)

    def embed(self, channels: Iterable[Channel]) -> npt.NDArray[np.float32]:
        """Embed leads.

        Parameters
        ----------
        channels : iterable of Channel
            Of any length and sampling frequency, also of different recordings; each is read once its turn comes.

        Returns
        -------
        vectors : ndarray of float32, shape (n_leads, n_embedding)
            NaN for a lead of which nothing can be scored.
        """
        sums = _Sums(int(self.reader.encoder.config.hidden_size))
        waiting: list[_Windows] = []
        for windows in self._windows(channels):
            sums.n_leads = windows.lead + 1
            waiting.append(windows)
            if sum(one.token_ids.size for one in waiting) >= _TOKENS_AT_A_TIME:
                self._add(sums, waiting)
                waiting = []
        if waiting:
            self._add(sums, waiting)
        return sums.vectors(self.pooling)

    def _windows(self, channels: Iterable[Channel]) -> Iterator["_Windows"]:
        for number, channel in enumerate(channels):
            tokens = tokenize_lead(channel, self.preprocessing, self.reader.tokenizer)
            yield from _cut(number, tokens, self.preprocessing.window_samples)

    def _add(self, sums: "_Sums", waiting: list["_Windows"]) -> None:
        """Embed windows of several leads together."""
        token_ids = np.concatenate([one.token_ids for one in waiting]).astype(np.int64)
        counts = np.concatenate([one.counts for one in waiting])
        usable = np.concatenate([one.usable for one in waiting])
        lengths = self.reader.tokenizer.token_lengths
        tokens = arrange(token_ids, counts, lengths, max_tokens=self.reader.max_tokens)
        covering = tokens.offsets[..., 1] > tokens.offsets[..., 0]  # in the order of token_ids
        shown = tokens.attention_mask.copy()
        shown[covering] = usable
        tokens = replace(tokens, attention_mask=shown)
        embedded = embed(self.reader.encoder, tokens, layer=self.layer or 0, last=self.layer is None)
        leads = np.repeat([one.lead for one in waiting], [one.counts.size for one in waiting])[embedded.window]
        states = embedded.last if self.layer is None else embedded.inner
        sums.add(leads[usable], states[usable])


@dataclass(frozen=True)
class _Windows:
    """Consecutive windows of one lead: its number, all their tokens, how many each has, which can be scored."""

    lead: int
    token_ids: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    usable: npt.NDArray[np.bool_]


def _cut(lead: int, tokens: LeadTokens, window_samples: int) -> Iterator[_Windows]:
    counts = np.bincount(tokens.starts // window_samples)  # no token crosses the edge of a window
    edges = np.concatenate(([0], np.cumsum(counts)))
    for first in range(0, counts.size, _WINDOWS_AT_A_TIME):
        last = min(first + _WINDOWS_AT_A_TIME, counts.size)
        part = slice(edges[first], edges[last])
        yield _Windows(lead, tokens.token_ids[part], counts[first:last], tokens.usable[part])


class _Sums:
    """Adds up the embeddings of the tokens of each lead, and their squares."""

    def __init__(self, hidden_size: int) -> None:
        self.n_leads = 0
        self._hidden_size = hidden_size
        self._parts: dict[int, npt.NDArray[np.float64]] = {}  # (2, hidden_size) each
        self._counts: dict[int, int] = {}

    def add(self, leads: npt.NDArray[np.int64], states: npt.NDArray[np.float32]) -> None:
        """Add tokens, those of a lead one after the other."""
        numbers, starts, counts = np.unique(leads, return_index=True, return_counts=True)
        for number, start, count in zip(numbers.tolist(), starts, counts, strict=True):
            part = states[start : start + count].astype(np.float64)
            found = np.stack([part.sum(axis=0), (part**2).sum(axis=0)])
            self._parts[number] = self._parts[number] + found if number in self._parts else found
            self._counts[number] = self._counts.get(number, 0) + int(count)

    def vectors(self, pooling: Pooling) -> npt.NDArray[np.float32]:
        """Return the vector of each lead, NaN where nothing was added."""
        sums = np.full((self.n_leads, 2, self._hidden_size), np.nan)
        for number, part in self._parts.items():
            sums[number] = part / self._counts[number]
        mean, square = sums[:, 0], sums[:, 1]
        if pooling == "mean":
            return mean.astype(np.float32)
        deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
        return np.concatenate([mean, deviation], axis=1).astype(np.float32)
