"""Rows lie inside one lead, everywhere alike, and a batch does not depend on who makes it."""

from pathlib import Path

import numpy as np
import pytest

from heartbert.errors import ConfigError
from heartbert.tokens import END_ID, START_ID, load_tokenizer
from heartbert.training.batches import BatchMaker, RowSampler
from heartbert.training.config import read_config
from heartbert.training.corpus import Corpus, Lead, LeadTable, lead_rows, open_corpus
from heartbert.training.masking import masking_of


def _corpus() -> Corpus:
    """Return leads of 4 and 3 tokens, with R-peaks in tokens 11, 13 and 14."""
    leads = [Lead("a", "a", "I", "d", False, 0, 4, 4), Lead("b", "b", "I", "d", False, 4, 3, 3)]
    tokens = np.arange(10, 17, dtype=np.uint16)
    return Corpus(Path("corpus"), tokens, np.array([1, 3, 4]), LeadTable(lead_rows(leads)))


def _maker(folder: Path) -> BatchMaker:
    corpus, tiny = open_corpus(folder), read_config("tiny")
    rows = RowSampler(corpus, ~corpus.leads.held_out, 64)
    return BatchMaker(rows, masking_of(tiny.masking), load_tokenizer(folder).token_lengths)


def test_row_sampler_draws_whole_rows_of_one_lead(tiny_corpus: Path) -> None:
    """A row that ran over the end of a lead would join two people's hearts."""
    corpus = open_corpus(tiny_corpus)
    tokens = corpus.leads[0].of(corpus.token_ids)

    rows = RowSampler(corpus, np.arange(len(corpus.leads)) == 0, 32).draw(50, np.random.default_rng(0))

    assert rows.shape == (50, 32)
    assert (rows[:, 0] == START_ID).all()
    assert (rows[:, -1] == END_ID).all()
    text = tokens.astype("<u2").tobytes()
    assert all(row[1:-1].astype("<u2").tobytes() in text for row in rows)


def test_row_sampler_reaches_both_ends_of_every_lead() -> None:
    """Each position of each lead must be drawn with the same probability."""
    corpus = _corpus()

    rows = RowSampler(corpus, np.ones(2, dtype=np.bool_), 5).draw(3000, np.random.default_rng(0))

    starts, counts = np.unique(rows[:, 1], return_counts=True)
    np.testing.assert_array_equal(starts, [10, 11, 14])
    assert counts.min() > 900


def test_row_sampler_marks_the_tokens_that_cover_r_peaks() -> None:
    """A mark that is off by one would hide from the middle of one beat to the middle of the next."""
    rows, r_peaks = RowSampler(_corpus(), np.ones(2, dtype=np.bool_), 5).read(np.array([0, 1, 4]))

    assert [row[peaks].tolist() for row, peaks in zip(rows, r_peaks, strict=True)] == [[11], [11, 13], [14]]


def test_row_sampler_refuses_leads_shorter_than_a_row(tiny_corpus: Path) -> None:
    """The message must say how long a row is."""
    corpus = open_corpus(tiny_corpus)

    with pytest.raises(ConfigError, match="has 99998 tokens, one row"):
        RowSampler(corpus, np.ones(len(corpus.leads), dtype=np.bool_), 100_000)


@pytest.mark.parametrize("shares", [[range(6)], [range(3), range(3, 6)], [range(1), range(1, 5), range(5, 6)]])
def test_a_batch_is_the_same_however_it_is_shared(tiny_corpus: Path, shares: list[range]) -> None:
    """The loss curve may not depend on the number of accelerators."""
    maker = _maker(tiny_corpus)
    whole = maker.make(6, [1, 7], own=range(6))

    parts = [maker.make(6, [1, 7], own=share) for share in shares]

    assert np.concatenate([part.shown for part in parts]).tolist() == whole.shown.tolist()
    assert np.concatenate([part.hidden for part in parts]).tolist() == whole.hidden.tolist()
    assert sum(part.n_hidden for part in parts) == whole.n_hidden


def test_batches_of_different_steps_differ(tiny_corpus: Path) -> None:
    """One batch again and again would be learnt by heart."""
    first, second = (_maker(tiny_corpus).make(4, [1, step], own=range(4)) for step in (0, 1))

    assert first.token_ids.tolist() != second.token_ids.tolist()
    assert first.hidden.tolist() != second.hidden.tolist()
