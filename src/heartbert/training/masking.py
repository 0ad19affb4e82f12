"""Which tokens a masked-language model has to restore: spans of a given duration, single tokens, or whole beats.

Every row has a random generator of its own, so what is hidden in it does not depend on the rows beside it, nor on how
many processes share a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError
from heartbert.tokens import MASK_ID, SPECIAL_TOKENS
from heartbert.training.config import Disguise, MaskingConfig, MaskKind

# Of the chosen spans and tokens, as in BERT: shown as <mask>, replaced by random tokens, left as they are.
_SHOWN_AS_MASK, _REPLACED = 0.8, 0.1
# Largest share that may be hidden: spans never cover all of a row, so drawing them up to all would not end.
_MOST_HIDDEN = 0.9
_SAMPLES_PER_MS = 0.36
# Spans drawn at a time for a row: more than a usual row needs.
_SPANS_PER_DRAW = 32
# Half a beat in samples at 360 Hz: of one without a neighbour in its row (75 beats a minute), and at most.
_USUAL_HALF_BEAT, _LONGEST_HALF_BEAT = 144, 360

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Uniform = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Masking:
    """How much is hidden, and how.

    Attributes
    ----------
    kind : {"span", "token", "beat"}
        A single hidden token is given away by its two neighbours (a trigram count restores it better than a small
        transformer); a span as long as a wave is not. A beat reaches from the middle of one RR interval to the middle
        of the next; rows without beat get spans.
    masked_share : float
        Share of the tokens hidden in that way. A row loses at least one beat where beats are hidden.
    random_share : float
        Share of the other tokens hidden one by one.
    shortest_samples, longest_samples : int
        Bounds of the spans' durations in samples at 360 Hz.
    disguise : {"always", "bert"}
        Hidden tokens are shown as ``<mask>``; or 80 % so, 10 % as a random token, 10 % as they are. A span or beat
        has one fate.
    """

    kind: MaskKind
    masked_share: float
    random_share: float
    shortest_samples: int
    longest_samples: int
    disguise: Disguise = "bert"

    def __post_init__(self) -> None:
        if not (0 <= self.masked_share <= _MOST_HIDDEN and 0 <= self.random_share <= _MOST_HIDDEN):
            raise ConfigError(
                f"masked_share is {self.masked_share} and random_share {self.random_share}; both must lie in 0 to "
                f"{_MOST_HIDDEN}. Hide less."
            )
        if not 1 <= self.shortest_samples <= self.longest_samples:
            raise ConfigError(
                f"spans last {self.shortest_samples} to {self.longest_samples} samples at 360 Hz; they need at least "
                "one sample and the shortest first. Change shortest_span_ms or longest_span_ms."
            )

    def hide(
        self, token_ids: Ids, lengths: Ids, rngs: Sequence[np.random.Generator], *, r_peaks: Mask | None = None
    ) -> tuple[Ids, Mask]:
        """Hide tokens of rows without padding.

        Parameters
        ----------
        token_ids : ndarray of int64, shape (n_rows, n_tokens)
        lengths : ndarray of int64, shape (n_vocabulary,)
            Samples that each token of the vocabulary covers; 0 for special tokens, which are never hidden.
        rngs : sequence of numpy.random.Generator
            One a row.
        r_peaks : ndarray of bool, shape (n_rows, n_tokens), optional
            True for tokens that cover an R-peak; needed to hide beats.

        Returns
        -------
        shown : ndarray of int64, same shape as `token_ids`
            What the model sees.
        hidden : ndarray of bool, same shape
            Where it has to restore the token.
        """
        single, fate, other = np.moveaxis(np.stack([rng.random((3, token_ids.shape[1])) for rng in rngs]), 1, 0)
        ends = np.cumsum(lengths[token_ids], axis=1)
        hidden = np.zeros(token_ids.shape, dtype=np.bool_)
        share = self.random_share
        if self.kind == "token":
            share = 1 - (1 - self.masked_share) * (1 - self.random_share)
        else:
            in_beats = self._hide_beats(hidden, fate, ends, rngs, r_peaks=r_peaks)
            self._hide_spans(hidden, fate, ends, rngs, wanted=~in_beats)
        hidden |= single < share
        hidden &= lengths[token_ids] > 0
        return np.where(hidden, self._disguised(token_ids, fate, other, lengths.size), token_ids), hidden

    def _hide_beats(
        self, hidden: Mask, fate: Uniform, ends: Ids, rngs: Sequence[np.random.Generator], *, r_peaks: Mask | None
    ) -> Mask:
        """Hide beats in place; returns which rows have any."""
        done = np.zeros(len(rngs), dtype=np.bool_)
        if self.kind != "beat" or r_peaks is None or not self.masked_share:
            return done
        for row in np.flatnonzero(r_peaks.any(axis=1)).tolist():
            spans = _beat_spans(ends[row], np.flatnonzero(r_peaks[row]))
            order, fates = np.argsort(rngs[row].random(len(spans))), rngs[row].random(len(spans))
            wanted, n_hidden = self.masked_share * hidden.shape[1], 0
            for beat in order:
                first, stop = spans[beat]
                # As many beats as come closest to the share.
                if n_hidden and n_hidden + (stop - first) / 2 > wanted:
                    break
                hidden[row, first:stop], fate[row, first:stop] = True, fates[beat]
                n_hidden += int(stop - first)
            done[row] = True
        return done

    def _hide_spans(
        self, hidden: Mask, fate: Uniform, ends: Ids, rngs: Sequence[np.random.Generator], *, wanted: Mask
    ) -> None:
        """Hide spans in place, in each wanted row until its share is reached; `ends` count samples to each token."""
        position = np.arange(hidden.shape[1])
        enough = self.masked_share * hidden.shape[1]
        active = wanted & (hidden.sum(axis=1) < enough)
        while active.any():
            # (n_rows, _SPANS_PER_DRAW, 3); rows that are done draw nothing, or their masks would depend on others.
            drawn = np.zeros((len(rngs), _SPANS_PER_DRAW, 3))
            for row in np.flatnonzero(active).tolist():
                drawn[row] = rngs[row].random((_SPANS_PER_DRAW, 3))
            starts = np.floor(drawn[..., 0] * ends[:, -1:])
            n_durations = self.longest_samples - self.shortest_samples + 1
            stops = starts + self.shortest_samples + np.floor(drawn[..., 1] * n_durations)
            for number in range(_SPANS_PER_DRAW):
                first = (ends <= starts[:, number, None]).sum(axis=1)
                last = (ends <= stops[:, number, None]).sum(axis=1)
                span = active[:, None] & (position >= first[:, None]) & (position <= last[:, None])
                hidden |= span
                np.copyto(fate, drawn[:, number, 2:], where=span)
                active &= hidden.sum(axis=1) < enough
                if not active.any():
                    break

    def _disguised(self, token_ids: Ids, fate: Uniform, other: Uniform, n_vocabulary: int) -> Ids:
        """Show each token as <mask>, a random token or itself, by its `fate` in [0, 1)."""
        if self.disguise == "always":
            return np.full_like(token_ids, MASK_ID)
        n_special = len(SPECIAL_TOKENS)
        random_ids = n_special + np.floor(other * (n_vocabulary - n_special)).astype(np.int64)
        disguised = np.where(fate < _SHOWN_AS_MASK + _REPLACED, random_ids, token_ids)
        return np.where(fate < _SHOWN_AS_MASK, MASK_ID, disguised)


def masking_of(config: MaskingConfig) -> Masking:
    """Build the masking that settings describe.

    Raises
    ------
    ConfigError
        If a share or a duration is out of range.
    """
    shortest, longest = (round(ms * _SAMPLES_PER_MS) for ms in (config.shortest_span_ms, config.longest_span_ms))
    return Masking(config.mask, config.masked_share, config.random_share, shortest, longest, config.disguise)


def _beat_spans(ends: Ids, peaks: Ids) -> Ids:
    """Return first token, and token after the last one, of each beat of a row: shape (n_beats, 2).

    The outermost beats end as far from their R-peak as their inner neighbour's border is.
    """
    samples = ends[peaks]
    halves = np.minimum(np.diff(samples) / 2, _LONGEST_HALF_BEAT)
    inner = halves if halves.size else np.array([_USUAL_HALF_BEAT])
    before, after = np.concatenate((inner[:1], halves)), np.concatenate((halves, inner[-1:]))
    firsts = np.searchsorted(ends, samples - before, side="right")
    stops = np.searchsorted(ends, samples + after, side="right")
    return np.stack([np.minimum(firsts, peaks), np.maximum(stops, peaks + 1)], axis=1)
