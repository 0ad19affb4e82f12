"""Training gives the merges of the tokenizers library, in its order, whichever way it runs."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as BpeTokenizer
from tokenizers import decoders, models, processors, trainers

from heartbert.errors import ConfigError, TextError
from heartbert.text import ALPHABET, to_text
from heartbert.tokens import END_ID, SPECIAL_TOKENS, START_ID, Tokenizer, train_on_levels, train_tokenizer
from tests.tokens import walks


def _of_library(texts: list[str], n_levels: int, n_tokens: int, max_token_length: int | None = None) -> str:
    """Train as the published tokenizer was; returns tokenizer.json."""
    bpe = BpeTokenizer(models.BPE(unk_token="<unk>"))
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=list(ALPHABET[:n_levels]),
        limit_alphabet=n_levels,
        show_progress=False,
        max_token_length=max_token_length,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.decoder = decoders.Fuse()
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", START_ID), ("</s>", END_ID)]
    )
    return bpe.to_str()


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    n_levels=st.sampled_from([2, 3, 12, 100, 256]),
    n_merges=st.integers(0, 150),
    longest=st.sampled_from([None, 2, 3, 4, 9]),
)
def test_merges_are_those_of_the_library(
    data: st.DataObject, n_levels: int, n_merges: int, longest: int | None
) -> None:
    """The same corpus must give the same bundle on machines with and without numba."""
    windows = data.draw(walks.windows(n_levels))
    n_tokens = len(SPECIAL_TOKENS) + n_levels + n_merges

    tokenizer = train_on_levels(*walks.joined(windows), n_levels=n_levels, n_tokens=n_tokens, max_token_samples=longest)

    texts = [to_text(window) for window in windows]
    expected = _of_library(texts, n_levels, n_tokens, longest and longest + 1)
    assert tokenizer.bpe.to_str() == expected


@settings(max_examples=100, deadline=None)
@given(text=st.text('!"', max_size=40), n_merges=st.integers(0, 30))
@example(text="!!!", n_merges=5)
@example(text='!!!!"!!!!!"!!!!!!', n_merges=9)
@example(text='!"!"!"!"', n_merges=9)
def test_runs_of_one_letter_are_counted_as_the_library_does(text: str, n_merges: int) -> None:
    """Pairs in a run overlap: "aaa" has two of them and room for one merge."""
    n_tokens = len(SPECIAL_TOKENS) + 2 + n_merges

    tokenizer = train_tokenizer([text], n_levels=2, n_tokens=n_tokens)

    assert tokenizer.bpe.to_str() == _of_library([text], 2, n_tokens)


def test_a_larger_corpus_gives_the_merges_of_the_library() -> None:
    """The table of pairs grows several times, and places are written over."""
    rng = np.random.default_rng(1)
    levels = (np.cumsum(rng.normal(size=(40, 2000)), axis=1) * 2 % 12).astype(np.uint8)

    tokenizer = train_on_levels(levels.ravel(), 2000, n_levels=12, n_tokens=8000)

    assert json.loads(tokenizer.bpe.to_str()) == json.loads(_of_library([to_text(row) for row in levels], 12, 8000))
    assert tokenizer.n_tokens > 3000


def test_training_without_numba_gives_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba follows new Python versions late; heartbert must run without it."""
    levels = walks.walks().ravel()

    def train() -> Tokenizer:
        return train_on_levels(levels, 200, n_levels=walks.N_LEVELS, n_tokens=80, max_token_samples=5)

    compiled = train()
    monkeypatch.setattr("heartbert.tokens.training.has_numba", lambda: False)

    assert train().bpe.to_str() == compiled.bpe.to_str()


def test_merges_never_cross_the_end_of_a_window() -> None:
    """A token over two windows would never be found again."""
    tokenizer = train_tokenizer(['!"'] * 5 + ['"!'] * 5, n_levels=2, n_tokens=50)

    assert sorted(tokenizer.bpe.get_vocab())[:2] == ["!", '!"']
    assert tokenizer.token_lengths.max() == 2


def test_no_token_is_longer_than_allowed() -> None:
    """Long tokens hide beats from a model that pools by token."""
    tokenizer = train_on_levels(np.zeros(999, dtype=np.uint8), 999, n_levels=2, n_tokens=50, max_token_samples=8)

    assert tokenizer.token_lengths.max() == 8


def test_characters_that_are_no_letters_are_passed_over() -> None:
    """The library drops them before it counts pairs, so their neighbours become a pair."""
    texts = ['!x"', '!"€'] * 3

    assert train_tokenizer(texts, n_levels=2, n_tokens=50).bpe.to_str() == _of_library(texts, 2, 50)


def test_training_refuses_a_vocabulary_without_room_for_the_letters() -> None:
    """A letter without a token could not be encoded."""
    with pytest.raises(ConfigError, match="n_tokens is 18; 12 letters and 7 special tokens need at least 19"):
        train_tokenizer(walks.texts(), n_levels=walks.N_LEVELS, n_tokens=18)


@pytest.mark.parametrize("longest", [1, 0, -4])
def test_training_refuses_tokens_without_room_for_a_merge(longest: int) -> None:
    """The library would merge pairs of letters all the same."""
    with pytest.raises(ConfigError, match=rf"max_token_samples is {longest}; a merge covers at least 2"):
        train_on_levels(np.zeros(4, np.uint8), 4, n_levels=2, n_tokens=50, max_token_samples=longest)


def test_training_refuses_levels_without_a_letter() -> None:
    """Levels of another codebook would be learnt as special tokens or worse."""
    with pytest.raises(TextError, match="level 2 at sample 1 has no letter"):
        train_on_levels(np.array([0, 2], dtype=np.uint8), 2, n_levels=2, n_tokens=50)


def test_training_gives_every_letter_a_token_even_without_texts() -> None:
    """A test recording may use a level that no training recording did."""
    tokenizer = train_tokenizer([], n_levels=walks.N_LEVELS, n_tokens=50)

    assert tokenizer.n_levels == walks.N_LEVELS
    assert tokenizer.n_tokens == walks.N_LEVELS + len(SPECIAL_TOKENS)
    assert tokenizer.decode(tokenizer.pieces([walks.LETTERS])[0]) == walks.LETTERS


def test_training_is_deterministic() -> None:
    """The same corpus must give the same bundle."""
    assert walks.tokenizer().bpe.to_str() == walks.tokenizer().bpe.to_str()
