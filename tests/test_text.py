"""Text is the levels in other clothes: nothing lost, nothing that software would change on the way."""

import random
import unicodedata

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heartbert.errors import TextError
from heartbert.text import ALPHABET, N_LETTERS, from_text, to_text
from heartbert.tokens import SPECIAL_TOKENS


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.uint8, st.integers(0, 300)))
def test_from_text_is_the_inverse_of_to_text(levels: npt.NDArray[np.uint8]) -> None:
    """Encode and decode that do not fit each other are the classic fault of this field."""
    text = to_text(levels)

    assert len(text) == levels.size
    assert from_text(text).tolist() == levels.tolist()
    assert from_text(text).dtype == np.uint8


def test_alphabet_has_256_different_letters_in_order() -> None:
    """Sorted letters make texts sort like signals."""
    assert len(ALPHABET) == len(set(ALPHABET)) == N_LETTERS
    assert "".join(sorted(ALPHABET)) == ALPHABET


def test_alphabet_is_visible() -> None:
    """White space is trimmed and control characters are dropped by much software."""
    categories = {unicodedata.category(letter)[0] for letter in ALPHABET}

    assert categories <= set("LNPS")
    assert not any(letter.isspace() for letter in ALPHABET)
    assert ALPHABET.isprintable()


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@pytest.mark.parametrize("seed", range(5))
def test_alphabet_is_stable_under_normalisation_in_any_order(form: str, seed: int) -> None:
    """Two letters that combine would turn two samples into one."""
    text = "".join(random.Random(seed).choices(ALPHABET, k=5000))

    normalised = unicodedata.normalize(form, text)

    assert normalised == text


def test_no_text_can_spell_a_special_token() -> None:
    """A signal that spells <mask> would be read as one."""
    assert "<" not in ALPHABET
    assert all("<" in token for token in SPECIAL_TOKENS)


@pytest.mark.parametrize("foreign", ["<", " ", "\n", "\x00", "\u0301", "漢", "😀", "\ud800", "\U0010ffff"])
def test_from_text_names_the_first_foreign_character(foreign: str) -> None:
    """The position is what lets a user find the damage; characters beyond 16 bits count as one."""
    with pytest.raises(TextError, match=rf"\(U\+{ord(foreign):04X}\) at position 3, which is not among the 256"):
        from_text(ALPHABET[:3] + foreign + ALPHABET[3:6] + "😀")


def test_from_text_refuses_letters_beyond_the_codebook() -> None:
    """Text of a finer codebook would decode to wrong amplitudes."""
    with pytest.raises(TextError, match=r"at position 1, which is not among the 32 letters of the alphabet, '!' to"):
        from_text(ALPHABET[31] + ALPHABET[32], n_levels=32)


def test_from_text_accepts_nothing() -> None:
    """An empty window is an empty text."""
    assert from_text("").shape == (0,)
