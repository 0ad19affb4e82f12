"""Tokens keep every sample: pieces join to the text, offsets tile it, and no row is too long."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError, TextError
from heartbert.text import ALPHABET
from heartbert.tokens import (
    END_ID,
    N_AROUND,
    PAD_ID,
    SPECIAL_TOKENS,
    START_ID,
    Tokenizer,
    load_tokenizer,
    train_tokenizer,
)

N_LEVELS = 12
LETTERS = ALPHABET[:N_LEVELS]


def _texts(n_texts: int = 60, seed: int = 0) -> list[str]:
    """Return texts that rise and fall like a signal, so that pairs repeat."""
    rng = np.random.default_rng(seed)
    walks = np.clip(np.cumsum(rng.integers(-1, 2, (n_texts, 200)), axis=1) + N_LEVELS // 2, 0, N_LEVELS - 1)
    return ["".join(LETTERS[level] for level in walk) for walk in walks.tolist()]


TOKENIZER = train_tokenizer(_texts(), n_levels=N_LEVELS, n_tokens=80)
ECG_TEXTS = st.lists(st.text(LETTERS, max_size=120), max_size=6)


@settings(max_examples=50, deadline=None)
@given(text=st.text(LETTERS, max_size=200))
def test_decode_is_the_inverse_of_pieces(text: str) -> None:
    """A tokenizer that loses or adds a letter loses or adds a sample."""
    ids = TOKENIZER.pieces([text])[0]

    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.token_lengths[ids].sum() == len(text)


@settings(max_examples=50, deadline=None)
@given(texts=ECG_TEXTS, max_tokens=st.integers(3, 40))
def test_rows_hold_every_token_once_and_are_never_too_long(texts: list[str], max_tokens: int) -> None:
    """A row beyond the model's positions would be cut off or crash; a dropped token is a dropped wave."""
    tokens = TOKENIZER.encode(texts, max_tokens=max_tokens)

    assert tokens.token_ids.shape[1] <= max_tokens
    assert tokens.rows_of.tolist() == sorted(tokens.rows_of.tolist())
    assert set(tokens.rows_of.tolist()) == set(range(len(texts)))
    for index, ids in enumerate(TOKENIZER.pieces(texts)):
        rows = tokens.token_ids[tokens.rows_of == index]
        assert rows[rows >= len(SPECIAL_TOKENS)].tolist() == ids.tolist()


@settings(max_examples=50, deadline=None)
@given(texts=ECG_TEXTS, max_tokens=st.integers(3, 40))
def test_offsets_tile_each_text(texts: list[str], max_tokens: int) -> None:
    """Beats are pooled by sample, so each sample belongs to exactly one token."""
    tokens = TOKENIZER.encode(texts, max_tokens=max_tokens)

    for index, text in enumerate(texts):
        offsets = tokens.offsets[tokens.rows_of == index].reshape(-1, 2)
        covering = offsets[offsets[:, 1] > offsets[:, 0]]
        bounds = [0, *covering[:, 1].tolist()]
        assert covering[:, 0].tolist() == bounds[:-1]
        assert bounds[-1] == len(text)


@settings(max_examples=25, deadline=None)
@given(texts=ECG_TEXTS)
def test_special_tokens_and_padding_cover_nothing(texts: list[str]) -> None:
    """A special token that covers samples would be pooled into a beat."""
    tokens = TOKENIZER.encode(texts, max_tokens=64)

    special = tokens.token_ids < len(SPECIAL_TOKENS)
    assert (tokens.offsets[special][:, 0] == tokens.offsets[special][:, 1]).all()
    assert (tokens.offsets[~special][:, 0] < tokens.offsets[~special][:, 1]).all()


@settings(max_examples=25, deadline=None)
@given(texts=ECG_TEXTS)
def test_rows_begin_and_end_as_the_model_expects_and_padding_is_masked(texts: list[str]) -> None:
    """A model that attends to padding gives an embedding that depends on its neighbours in the batch."""
    tokens = TOKENIZER.encode(texts, max_tokens=64)

    lengths = tokens.attention_mask.sum(axis=1)
    for row, length in zip(tokens.token_ids.tolist(), lengths.tolist(), strict=True):
        assert (row[0], row[length - 1]) == (START_ID, END_ID)
        assert set(row[length:]) <= {PAD_ID}
    assert tokens.attention_mask.tolist() == (tokens.token_ids != PAD_ID).tolist()


def test_a_long_text_continues_in_rows_of_nearly_equal_length() -> None:
    """A last row of two tokens would have no context."""
    text = _texts()[0]
    n_pieces = TOKENIZER.pieces([text])[0].size

    tokens = TOKENIZER.encode([text, text[:5]], max_tokens=n_pieces + N_AROUND - 1)

    assert tokens.rows_of.tolist() == [0, 0, 1]
    lengths = tokens.attention_mask.sum(axis=1) - N_AROUND
    assert lengths[:2].sum() == n_pieces
    assert abs(int(lengths[0]) - int(lengths[1])) <= 1


@pytest.mark.parametrize("texts", [[], [""]])
def test_encode_accepts_nothing(texts: list[str]) -> None:
    """A record without a scorable window has no texts, and a text may be empty."""
    tokens = TOKENIZER.encode(texts, max_tokens=10)

    assert tokens.token_ids.tolist() == [[START_ID, END_ID]] * len(texts)
    assert tokens.offsets.shape == (len(texts), 2, 2)


@pytest.mark.parametrize("max_tokens", [2, 0, -1])
def test_encode_refuses_rows_without_room(max_tokens: int) -> None:
    """Rows hold <s> and </s> and need at least one piece."""
    with pytest.raises(ConfigError, match=rf"max_tokens is {max_tokens}; .* need at least 3"):
        TOKENIZER.encode(["!"], max_tokens=max_tokens)


@pytest.mark.parametrize("foreign", [ALPHABET[N_LEVELS], "€", "😀", " ", "<unk>", "<pad>", "<mask>"])
def test_pieces_refuse_an_unknown_letter_and_name_its_position(foreign: str) -> None:
    """Text of another codebook must not become <unk>, nor a text that spells it a special token."""
    with pytest.raises(TextError, match=rf"the text has '{foreign[0]}' at position 4; this tokenizer knows 12 letters"):
        TOKENIZER.pieces([LETTERS, LETTERS[:4] + foreign + LETTERS])


def test_training_refuses_a_vocabulary_without_room_for_the_letters() -> None:
    """A letter without a token could not be encoded."""
    with pytest.raises(ConfigError, match="n_tokens is 18; 12 letters and 7 special tokens need at least 19"):
        train_tokenizer(_texts(), n_levels=N_LEVELS, n_tokens=18)


def test_training_gives_every_letter_a_token_even_without_texts() -> None:
    """A test recording may use a level that no training recording did."""
    tokenizer = train_tokenizer([], n_levels=N_LEVELS, n_tokens=50)

    assert tokenizer.n_levels == N_LEVELS
    assert tokenizer.n_tokens == N_LEVELS + len(SPECIAL_TOKENS)
    assert tokenizer.decode(tokenizer.pieces([LETTERS])[0]) == LETTERS


def test_training_puts_special_tokens_first() -> None:
    """The encoder's configuration names their ids."""
    vocabulary = TOKENIZER.bpe.get_vocab()

    assert [vocabulary[token] for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    assert TOKENIZER.token_lengths[: len(SPECIAL_TOKENS)].tolist() == [0] * len(SPECIAL_TOKENS)
    assert TOKENIZER.n_tokens == 80


def test_training_is_deterministic() -> None:
    """The same corpus must give the same bundle."""
    again = train_tokenizer(_texts(), n_levels=N_LEVELS, n_tokens=80)

    assert again.bpe.to_str() == TOKENIZER.bpe.to_str()


def test_saved_tokenizer_is_the_same_when_loaded(tmp_path: Path) -> None:
    """A bundle is loaded on another machine."""
    TOKENIZER.save(tmp_path)

    loaded = load_tokenizer(tmp_path)

    assert loaded.bpe.to_str() == TOKENIZER.bpe.to_str()


def test_ids_equal_those_of_transformers(tmp_path: Path) -> None:
    """The published bundle is used through AutoTokenizer by people who never install heartbert."""
    from transformers import PreTrainedTokenizerFast

    texts: Sequence[str] = [*_texts(5, seed=1), "", LETTERS]
    fast = PreTrainedTokenizerFast(tokenizer_object=TOKENIZER.bpe, pad_token="<pad>")

    tokens = TOKENIZER.encode(texts, max_tokens=512)

    theirs = fast(list(texts), padding=True, return_tensors="np")
    assert tokens.token_ids.tolist() == theirs["input_ids"].tolist()
    assert tokens.attention_mask.tolist() == theirs["attention_mask"].astype(bool).tolist()


def test_tokenizer_is_its_bpe_and_nothing_else() -> None:
    """Whatever is fitted has to be in tokenizer.json."""
    assert Tokenizer(TOKENIZER.bpe) == TOKENIZER
