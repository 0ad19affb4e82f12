"""Count models agree with a naive count, and see no more than the encoder."""

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from heartbert.tokens import END_ID, SPECIAL_TOKENS, START_ID
from heartbert.training.baselines import count_baselines
from heartbert.training.batches import Batch
from heartbert.training.corpus import Corpus, Lead, LeadTable, lead_rows

N_SPECIAL = len(SPECIAL_TOKENS)
N_VOCABULARY = N_SPECIAL + 5
Ids = npt.NDArray[np.int64]


def _corpus(*leads: Ids, held_out: Ids | None = None) -> Corpus:
    parts = [*leads, *([] if held_out is None else [held_out])]
    firsts = np.cumsum([0, *(part.size for part in parts)]).tolist()
    rows = [
        Lead(f"r{i}", f"p{i}", "I", "d", i >= len(leads), firsts[i], part.size, part.size)
        for i, part in enumerate(parts)
    ]
    tokens = np.concatenate(parts).astype(np.uint16)
    return Corpus(Path("corpus"), tokens, np.empty(0, dtype=np.int64), LeadTable(lead_rows(rows)))


def _batch(pieces: Ids, hidden_at: list[int]) -> Batch:
    """Return one row with some pieces hidden; positions count from the first piece."""
    row = np.concatenate(([START_ID], pieces, [END_ID]))[None]
    hidden = np.zeros(row.shape, dtype=np.bool_)
    hidden[0, 1 + np.array(hidden_at)] = True
    return Batch(row, row, hidden)


def _markov(n_tokens: int, seed: int) -> Ids:
    """Return tokens of which each mostly follows from the one before: up by one, round and round."""
    rng = np.random.default_rng(seed)
    steps = np.where(rng.random(n_tokens) < 0.8, 1, rng.integers(0, 5, n_tokens))
    return np.asarray(N_SPECIAL + np.cumsum(steps) % 5)


def _naive(leads: list[Ids], pieces: Ids, at: int) -> tuple[float, float, float]:
    """Return the three probabilities of a token between visible neighbours, counted with dictionaries."""
    ones = Counter(int(token) for lead in leads for token in lead)
    after = Counter(pair for lead in leads for pair in zip(lead[:-1].tolist(), lead[1:].tolist(), strict=True))
    before = Counter(pair for lead in leads for pair in zip(lead[1:].tolist(), lead[:-1].tolist(), strict=True))
    both = Counter(
        ((a, c), b) for lead in leads for a, b, c in zip(*(lead[i:].tolist() for i in range(3)), strict=False)
    )

    def discounted(counts: Counter[tuple[object, int]], context: object, token: int, shorter: float) -> float:
        seen = {target: count for (found, target), count in counts.items() if found == context}
        total = sum(seen.values())
        return shorter if not total else (max(seen.get(token, 0) - 0.75, 0) + 0.75 * len(seen) * shorter) / total

    previous, token, following = (int(pieces[at + shift]) for shift in (-1, 0, 1))
    unigram = (ones[token] + 1) / (sum(ones.values()) + 5)
    first = discounted(after, previous, token, unigram)  # type: ignore[arg-type]
    second = discounted(before, following, token, unigram)  # type: ignore[arg-type]
    return unigram, first, discounted(both, (previous, following), token, (first + second) / 2)  # type: ignore[arg-type]


def test_baselines_equal_a_naive_count() -> None:
    """Hashing and sorting are for speed; the numbers are those of a dictionary."""
    leads = [_markov(60, 0), _markov(40, 1)]
    pieces, hidden_at = _markov(30, 2), [3, 9, 15, 28]
    expected = np.array([_naive(leads, pieces, at) for at in hidden_at])

    found = count_baselines(_corpus(*leads), [_batch(pieces, hidden_at)], N_VOCABULARY)

    losses = -np.log(expected).mean(axis=0)
    assert [found.unigram, found.bigram, found.trigram] == pytest.approx(losses.tolist(), abs=1e-4)
    assert (found.n_hidden, found.n_counted) == (4, 100)


def test_longer_contexts_predict_better_where_there_is_an_order() -> None:
    """On a chain each neighbour tells something: that is what makes single masks easy."""
    found = count_baselines(
        _corpus(_markov(20_000, 0)), [_batch(_markov(400, 1), list(range(1, 399, 2)))], N_VOCABULARY
    )

    assert found.trigram < found.bigram < found.unigram
    assert found.unigram == pytest.approx(np.log(5), abs=0.05)


def test_hidden_neighbours_are_not_read() -> None:
    """Within a hidden span a count model knows no more than the encoder."""
    found = count_baselines(_corpus(_markov(5000, 0)), [_batch(_markov(60, 1), list(range(60)))], N_VOCABULARY)

    assert found.unigram == found.bigram == found.trigram


def test_held_out_leads_are_not_counted() -> None:
    """A baseline that has seen the answers would be unbeatable."""
    training, held_out = _markov(500, 0), np.full(500, N_SPECIAL)
    batch = [_batch(held_out[:40], [5, 20])]

    with_held_out = count_baselines(_corpus(training, held_out=held_out), batch, N_VOCABULARY)

    assert with_held_out == count_baselines(_corpus(training), batch, N_VOCABULARY)


def test_contexts_never_seen_fall_back_to_shorter_ones() -> None:
    """A probability of zero would make the loss infinite."""
    training = np.full(100, N_SPECIAL)
    pieces = np.array([N_SPECIAL + 1, N_SPECIAL + 2, N_SPECIAL + 3])

    found = count_baselines(_corpus(training), [_batch(pieces, [1])], N_VOCABULARY)

    assert found.trigram == found.bigram == found.unigram == pytest.approx(np.log(105), abs=1e-4)


def test_no_more_tokens_are_counted_than_wanted() -> None:
    """A corpus of a hundred hours must not take an hour to count."""
    found = count_baselines(
        _corpus(_markov(500, 0), _markov(500, 1)), [_batch(_markov(9, 2), [3])], N_VOCABULARY, most_counted=600
    )

    assert found.n_counted == 600
