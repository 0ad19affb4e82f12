"""Which tokens a masked-language model has to restore: spans of a given duration, and single tokens."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError
from heartbert.tokens import MASK_ID, SPECIAL_TOKENS

# Of the chosen spans and tokens, as in BERT: shown as <mask>, replaced by random tokens, left as they are.
_SHOWN_AS_MASK, _REPLACED = 0.8, 0.1
# Largest share that may be hidden: spans never cover all of a row, so drawing them up to all would not end.
_MOST_HIDDEN = 0.9


@dataclass(frozen=True)
class Masking:
    """How much is hidden.

    Attributes
    ----------
    span_share : float
        Share of the tokens hidden in spans. A single hidden token is given away by its two neighbours (a
        trigram count restores it better than a small transformer); a span as long as a wave is not.
    random_share : float
        Share of the tokens hidden one by one.
    shortest_samples, longest_samples : int
        Bounds of the spans' durations in samples at 360 Hz.
    """

    span_share: float
    random_share: float
    shortest_samples: int
    longest_samples: int

    def __post_init__(self) -> None:
        if not (0 <= self.span_share <= _MOST_HIDDEN and 0 <= self.random_share <= _MOST_HIDDEN):
            raise ConfigError(
                f"span_share is {self.span_share} and random_share {self.random_share}; both must lie in 0 to "
                f"{_MOST_HIDDEN}. Hide less."
            )
        if not 1 <= self.shortest_samples <= self.longest_samples:
            raise ConfigError(
                f"spans last {self.shortest_samples} to {self.longest_samples} samples at 360 Hz; they need at least "
                "one sample and the shortest first. Change shortest_span_ms or longest_span_ms."
            )

    def hide(
        self, token_ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Hide tokens of rows without padding.

        Parameters
        ----------
        token_ids : ndarray of int64, shape (n_rows, n_tokens)
        lengths : ndarray of int64, shape (n_vocabulary,)
            Samples that each token of the vocabulary covers; 0 for special tokens, which are never hidden.
        rng : numpy.random.Generator

        Returns
        -------
        shown : ndarray of int64, same shape as `token_ids`
            What the model sees.
        hidden : ndarray of bool, same shape
            Where it has to restore the token.
        """
        shown = token_ids.copy()
        hidden = np.zeros(token_ids.shape, dtype=np.bool_)
        for row, ends in enumerate(np.cumsum(lengths[token_ids], axis=1)):
            self._hide_spans(shown[row], hidden[row], ends, n_vocabulary=lengths.size, rng=rng)
        single = ~hidden & (rng.random(token_ids.shape) < self.random_share)
        shown[single] = _disguise(shown[single], rng.random(int(single.sum())), lengths.size, rng)
        hidden |= single
        special = lengths[token_ids] == 0
        shown[special], hidden[special] = token_ids[special], False
        return shown, hidden

    def _hide_spans(
        self,
        shown: npt.NDArray[np.int64],
        hidden: npt.NDArray[np.bool_],
        ends: npt.NDArray[np.int64],
        *,
        n_vocabulary: int,
        rng: np.random.Generator,
    ) -> None:
        """Hide spans of one row in place until their share is reached; `ends` count samples to each token."""
        wanted = self.span_share * shown.size
        n_hidden = 0
        while n_hidden < wanted:
            start = rng.integers(0, ends[-1])
            stop = start + rng.integers(self.shortest_samples, self.longest_samples + 1)
            first, last = np.searchsorted(ends, [start, stop], side="right")
            span = slice(int(first), min(int(last) + 1, shown.size))
            n_hidden += int((~hidden[span]).sum())
            hidden[span] = True
            fate = np.full(span.stop - span.start, rng.random())
            shown[span] = _disguise(shown[span], fate, n_vocabulary, rng)


def _disguise(
    token_ids: npt.NDArray[np.int64],
    fate: npt.NDArray[np.float64],
    n_vocabulary: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Show each token as <mask>, a random token or itself, by its `fate` in [0, 1)."""
    random_ids = rng.integers(len(SPECIAL_TOKENS), n_vocabulary, size=token_ids.shape)
    disguised = np.where(fate < _SHOWN_AS_MASK + _REPLACED, random_ids, token_ids)
    return np.where(fate < _SHOWN_AS_MASK, MASK_ID, disguised)
