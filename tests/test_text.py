"""Text is the levels in other clothes: nothing lost, nothing that software would change on the way."""

import random
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heartbert.errors import ConfigError, TextError
from heartbert.text import ALPHABET, N_LETTERS, PUBLISHED_ALPHABET, from_text, to_text
from heartbert.tokens import SPECIAL_TOKENS

# Letters of one, two and four bytes, in no order.
MIXED_ALPHABET = "zé漢😀a\xffb"
ALPHABETS = (ALPHABET, ALPHABET[:32], PUBLISHED_ALPHABET, MIXED_ALPHABET, "".join(map(chr, range(256))))

every_alphabet = pytest.mark.parametrize("alphabet", ALPHABETS, ids=["default", "32", "published", "mixed", "bytes"])


@every_alphabet
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_from_text_is_the_inverse_of_to_text(alphabet: str, data: st.DataObject) -> None:
    """Encode and decode that do not fit each other are the classic fault of this field."""
    levels = data.draw(hnp.arrays(np.uint8, st.integers(0, 300), elements=st.integers(0, len(alphabet) - 1)))

    text = to_text(levels, alphabet)

    found = from_text(text, alphabet=alphabet)
    assert text == "".join(alphabet[level] for level in levels)
    assert found.tolist() == levels.tolist()
    assert found.dtype == np.uint8


@every_alphabet
def test_from_text_gives_levels_that_may_be_changed(alphabet: str) -> None:
    """A view of an immutable string would fail far from here."""
    assert from_text(alphabet, alphabet=alphabet).flags.writeable


@every_alphabet
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_from_text_reads_a_text_or_names_the_first_foreign_character(alphabet: str, data: st.DataObject) -> None:
    """Both ways of reading, by bytes and by code points, must refuse the same texts."""
    n_levels = data.draw(st.integers(2, len(alphabet)))
    text = data.draw(st.text(st.sampled_from(alphabet) | st.characters(), max_size=20))
    foreign = [position for position, letter in enumerate(text) if letter not in alphabet[:n_levels]]

    if not foreign:
        assert from_text(text, n_levels, alphabet=alphabet).tolist() == [alphabet.index(letter) for letter in text]
    else:
        with pytest.raises(TextError, match=rf"at position {foreign[0]}, which is not among the {n_levels} letters"):
            from_text(text, n_levels, alphabet=alphabet)


@pytest.mark.parametrize("level", [100, 255])
def test_to_text_refuses_a_level_without_a_letter(level: int) -> None:
    """The published alphabet ends at 100 levels; a finer codebook needs another."""
    levels = np.array([3, level, 99, 255], dtype=np.uint8)

    with pytest.raises(TextError, match=f"level {level} found first at sample 1; the alphabet has letters for levels"):
        to_text(levels, PUBLISHED_ALPHABET)


def test_to_text_reads_levels_of_any_integer_type() -> None:
    """Levels that went through other software come back as int64."""
    assert to_text(np.array([0, 1, 200], dtype=np.int64)[:2]) == ALPHABET[:2]


def test_published_alphabet_is_that_of_the_notebooks() -> None:
    """Its texts are ``chr(65 + level)``, control characters and a no-break space included."""
    controls = [level for level, letter in enumerate(PUBLISHED_ALPHABET) if unicodedata.category(letter) == "Cc"]

    assert (len(PUBLISHED_ALPHABET), PUBLISHED_ALPHABET[0], PUBLISHED_ALPHABET[99]) == (100, "A", "\u00a4")
    assert controls == list(range(62, 95))
    assert [k for k, a in enumerate(PUBLISHED_ALPHABET) if unicodedata.normalize("NFKC", a) != a] == [95]


def test_the_default_alphabet_is_one_byte_a_letter_for_100_levels() -> None:
    """Windows of the usual codebooks are encoded and decoded by one translation of bytes."""
    assert max(map(ord, ALPHABET[:174])) < 256


@pytest.mark.parametrize("alphabet", ["", "a", ALPHABET + "\n"])
def test_alphabets_have_2_to_256_letters(alphabet: str) -> None:
    """Levels are stored as uint8."""
    with pytest.raises(ConfigError, match=f"the alphabet has {len(alphabet)} letters; it needs 2 to 256"):
        to_text(np.zeros(1, dtype=np.uint8), alphabet)


def test_alphabets_have_no_letter_twice() -> None:
    """Two levels with one letter could not be told apart."""
    with pytest.raises(ConfigError, match="the alphabet has 'b' for level 1 and again for level 3"):
        from_text("ab", alphabet="abcb")


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
