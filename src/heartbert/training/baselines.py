"""What counting achieves on the task of the encoder: unigram, bigram and two-sided trigram cross-entropy.

A loss says little by itself: on single hidden tokens the two neighbours give most of the answer away. So the same
hidden tokens of the same validation rows are predicted from counts on the training leads:

- **unigram**: P(token), with one added to every count;
- **bigram**: P(token | previous), where the previous token is visible;
- **trigram**: P(token | previous, next), where both are visible; where only one is, P(token | it).

A hidden neighbour is as hidden here as to the encoder, so inside a hidden span every baseline falls back to the
unigram. Counts are interpolated with those of the shorter context by absolute discounting (Ney, Essen and Kneser,
Computer Speech and Language 8:1-38, 1994): 0.75 is taken off every count and given to the shorter context. The
trigram's shorter context is the mean of P(token | previous) and P(token | next). Each is a distribution over the
vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.tokens import SPECIAL_TOKENS
from heartbert.training.batches import Batch
from heartbert.training.corpus import Corpus

# Tokens counted at most: more change the trigram's loss in the second decimal, and cost a second a million.
MOST_COUNTED = 20_000_000
# Tokens looked at together; bounds memory.
_PIECE_TOKENS = 1 << 20
_DISCOUNT = 0.75
# Which training leads are counted when there are too many.
_SEED = 0

Ids = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Baselines:
    """Cross-entropy of count models in nats a hidden token.

    Attributes
    ----------
    unigram, bigram, trigram : float
    n_hidden : int
        Validation tokens that were predicted.
    n_counted : int
        Training tokens that were counted.
    """

    unigram: float
    bigram: float
    trigram: float
    n_hidden: int
    n_counted: int


def count_baselines(
    corpus: Corpus, validation: Sequence[Batch], n_vocabulary: int, *, most_counted: int = MOST_COUNTED
) -> Baselines:
    """Predict the hidden tokens of validation rows from counts on the training leads.

    Parameters
    ----------
    corpus : Corpus
    validation : sequence of Batch
        What the encoder's validation loss is measured on.
    n_vocabulary : int
        Tokens of the vocabulary, special ones included.
    most_counted : int
        Training tokens to count at most; leads are drawn at random until there are as many.
    """
    previous, targets, following = _queries(validation)
    two = np.where((previous >= 0) & (following >= 0), previous * n_vocabulary + following, -1)
    after, before, both = (_Context(n_vocabulary, asked) for asked in (previous, following, two))
    totals = np.zeros(n_vocabulary)
    for piece in _training_pieces(corpus, most_counted):
        totals += np.bincount(piece, minlength=n_vocabulary)
        inner = piece[1:-1]
        after.count(piece[:-2], inner)
        before.count(piece[2:], inner)
        both.count(piece[:-2] * n_vocabulary + piece[2:], inner)
    corpus.release()
    totals = totals[len(SPECIAL_TOKENS) :]
    unigram = ((totals + 1) / (totals + 1).sum())[targets - len(SPECIAL_TOKENS)]
    from_previous = after.probability(targets, unigram)
    from_following = before.probability(targets, unigram)
    shorter = np.select(
        [(previous >= 0) & (following >= 0), previous >= 0],
        [(from_previous + from_following) / 2, from_previous],
        from_following,
    )
    by_model = (unigram, from_previous, both.probability(targets, shorter))
    first, second, third = (round(float(-np.log(probabilities).mean()), 4) for probabilities in by_model)
    return Baselines(first, second, third, n_hidden=targets.size, n_counted=int(totals.sum()))


class _Context:
    """Counts of what stands in the contexts that are asked for, and in no others: memory follows the questions.

    Contexts are numbers; a negative one is not visible.
    """

    def __init__(self, n_vocabulary: int, asked: Ids) -> None:
        self._n_vocabulary = n_vocabulary
        self._asked = asked
        self._known = np.unique(asked[asked >= 0])
        # A first sieve by the context's last bits: most tokens of a corpus stand in contexts nobody asks for.
        self._sieve = np.zeros(1 << 20, dtype=np.bool_)
        self._sieve[self._known % self._sieve.size] = True
        self._seen: list[tuple[Ids, Ids]] = []

    def count(self, contexts: Ids, tokens: Ids) -> None:
        """Add tokens and the contexts they stand in."""
        likely = np.flatnonzero(self._sieve[contexts % self._sieve.size] & (tokens >= len(SPECIAL_TOKENS)))
        index = np.searchsorted(self._known, contexts[likely])
        found = index < self._known.size
        found[found] = self._known[index[found]] == contexts[likely[found]]
        pairs = index[found] * self._n_vocabulary + tokens[likely[found]]
        self._seen.append(np.unique(pairs, return_counts=True))

    def probability(self, targets: Ids, shorter: Probabilities) -> Probabilities:
        """Return P(target | its context), interpolated with its probability by a shorter context."""
        pairs, counts = self._totals()
        probabilities = shorter.copy()
        visible = np.flatnonzero(self._asked >= 0)
        if not pairs.size:
            return probabilities
        context_of_pair = pairs // self._n_vocabulary
        n_tokens = np.bincount(context_of_pair, weights=counts, minlength=self._known.size)
        n_kinds = np.bincount(context_of_pair, minlength=self._known.size)
        context = np.searchsorted(self._known, self._asked[visible])
        wanted = context * self._n_vocabulary + targets[visible]
        place = np.minimum(np.searchsorted(pairs, wanted), pairs.size - 1)
        n_wanted = np.where(pairs[place] == wanted, counts[place], 0)
        seen = n_tokens[context] > 0
        total = np.where(seen, n_tokens[context], 1)
        given_away = np.where(seen, _DISCOUNT * n_kinds[context] / total, 1.0)
        probabilities[visible] = np.maximum(n_wanted - _DISCOUNT, 0) / total + given_away * shorter[visible]
        return probabilities

    def _totals(self) -> tuple[Ids, Ids]:
        """Return every (context, token) pair seen, increasing, and how often."""
        pairs = np.concatenate([pair for pair, _ in self._seen])
        counts = np.concatenate([count for _, count in self._seen])
        unique, place = np.unique(pairs, return_inverse=True)
        return unique, np.bincount(place, weights=counts, minlength=unique.size).astype(np.int64)


def _queries(validation: Sequence[Batch]) -> tuple[Ids, Ids, Ids]:
    """Return the hidden tokens and their neighbours, -1 for one that is hidden or no piece of signal."""
    previous, targets, following = [], [], []
    for batch in validation:
        visible = np.where(batch.hidden | (batch.token_ids < len(SPECIAL_TOKENS)), -1, batch.token_ids)
        rows, columns = np.nonzero(batch.hidden)  # never at an end of a row: there are special tokens
        previous.append(visible[rows, columns - 1])
        following.append(visible[rows, columns + 1])
        targets.append(batch.token_ids[rows, columns])
    return np.concatenate(previous), np.concatenate(targets), np.concatenate(following)


def _training_pieces(corpus: Corpus, most: int) -> Iterator[Ids]:
    """Yield the tokens of training leads in pieces; special tokens around each lead keep hearts apart."""
    training = np.flatnonzero(~corpus.leads.held_out)
    border = np.zeros(1, dtype=np.int64)
    held: list[Ids] = []
    n_held = n_yielded = 0
    for index in np.random.default_rng(_SEED).permutation(training):
        if n_yielded + n_held >= most:
            break
        token_ids = corpus.leads[int(index)].of(corpus.token_ids)[: most - n_yielded - n_held].astype(np.int64)
        held += [border, token_ids]
        n_held += token_ids.size
        if n_held >= _PIECE_TOKENS:
            yield np.concatenate([*held, border])
            n_yielded, n_held, held = n_yielded + n_held, 0, []
    if held:
        yield np.concatenate([*held, border])
