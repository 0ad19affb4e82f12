"""Tokens keep every sample: offsets tile the text, no row is too long, and padding covers nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError
from heartbert.tokens import END_ID, N_AROUND, PAD_ID, SPECIAL_TOKENS, START_ID
from tests.tokens import walks

TOKENIZER = walks.tokenizer()
ECG_TEXTS = st.lists(st.text(walks.LETTERS, max_size=120), max_size=6)


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
    text = walks.texts()[0]
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


def test_rows_of_levels_are_those_of_their_texts() -> None:
    """The path goes from levels straight to rows; AutoTokenizer users go through texts."""
    levels = walks.walks(7, seed=3)

    of_levels = TOKENIZER.encode_levels(levels.ravel(), 200, max_tokens=20)
    of_texts = TOKENIZER.encode(walks.texts(7, seed=3), max_tokens=20)

    for name in ("token_ids", "attention_mask", "offsets", "rows_of"):
        np.testing.assert_array_equal(getattr(of_levels, name), getattr(of_texts, name))
