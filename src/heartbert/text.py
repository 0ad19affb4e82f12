"""Stage 4 of 7: levels -> text, and back. One character for each sample."""

import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count, islice

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, TextError

N_LETTERS = 256
# Special tokens of the tokenizer are written with "<", so a text without that letter can never spell one.
_RESERVED = "<"


def _letters() -> str:
    """Take the first 256 visible characters that every Unicode normalisation leaves alone."""

    def is_letter(character: str) -> bool:
        stable = all(unicodedata.is_normalized(form, character) for form in ("NFC", "NFKC"))
        visible = unicodedata.category(character)[0] in "LNPS"
        return stable and visible and character not in _RESERVED

    return "".join(islice((chr(code) for code in count(ord("!")) if is_letter(chr(code))), N_LETTERS))


ALPHABET = _letters()
"""Letter ``k`` stands for level ``k``. Code points increase, so texts sort like signals; 93 are ASCII."""

PUBLISHED_ALPHABET = "".join(chr(ord("A") + level) for level in range(100))
"""The 100 letters of the published code, U+0041 to U+00A4: to read its texts and to compare with it, not for new ones.

Letters 62 to 94 are control characters (U+007F to U+009F), one of them a line break to `str.splitlines` (U+0085).
Letter 95 is a no-break space (U+00A0), which NFKC turns into a space: a word boundary to many tokenizers.
"""


def to_text(levels: npt.NDArray[np.uint8], alphabet: str = ALPHABET) -> str:
    """Write each level as one letter.

    Parameters
    ----------
    levels : ndarray of uint8, shape (n_samples,)
    alphabet : str
        Letter ``k`` stands for level ``k``: 2 to 256 different characters.

    Returns
    -------
    text : str of length n_samples
        In the default alphabet free of white space and control characters, unchanged by NFC and NFKC normalisation.

    Raises
    ------
    TextError
        If a level has no letter; the message gives the first position.
    ConfigError
        If the alphabet is too short, too long or has a letter twice.

    Examples
    --------
    >>> to_text(np.array([0, 1, 30, 99], dtype=np.uint8))
    '!"@§'
    """
    letters = _letters_of(alphabet)
    highest = int(levels.max()) if levels.size else 0
    if highest < letters.n_bytes:
        return levels.astype(np.uint8, copy=False).tobytes().translate(letters.byte_of_level).decode("latin-1")
    if highest >= len(alphabet):
        position = int(np.argmax(levels >= len(alphabet)))
        raise TextError(
            f"level {levels[position]} found first at sample {position}; the alphabet has letters for levels 0 to "
            f"{len(alphabet) - 1}. Use an alphabet of at least as many letters as the codebook has levels."
        )
    return letters.code_points.take(levels).tobytes().decode("utf-32-le", "surrogatepass")


def from_text(text: str, n_levels: int = N_LETTERS, *, alphabet: str = ALPHABET) -> npt.NDArray[np.uint8]:
    """Read the level of each letter; the inverse of `to_text`.

    Parameters
    ----------
    text : str
    n_levels : int
        Levels of the codebook that the text belongs to; letters beyond it are refused.
    alphabet : str
        The alphabet that the text was written in.

    Returns
    -------
    levels : ndarray of uint8, shape (len(text),)

    Raises
    ------
    TextError
        If a character is not among the first `n_levels` letters; the message gives the first position.
    ConfigError
        If the alphabet is too short, too long or has a letter twice.
    """
    letters = _letters_of(alphabet)
    n_levels = min(n_levels, len(alphabet))
    try:
        levels = np.frombuffer(bytearray(text, "latin-1").translate(letters.level_of_byte), dtype=np.uint8)
    except UnicodeEncodeError:
        return _read_any(text, letters, n_levels)
    if levels.size and int(levels.max()) >= min(n_levels, letters.n_bytes):
        return _read_any(text, letters, n_levels)
    return levels


@dataclass(frozen=True)
class _Letters:
    """An alphabet as tables. Letters below U+0100 are single bytes in Latin-1, and a window is one translation."""

    alphabet: str

    def __post_init__(self) -> None:
        if not 2 <= len(self.alphabet) <= N_LETTERS:
            raise ConfigError(
                f"the alphabet has {len(self.alphabet)} letters; it needs 2 to {N_LETTERS}, one for each level."
            )
        for level, letter in enumerate(self.alphabet):
            if self.alphabet.index(letter) < level:
                raise ConfigError(
                    f"the alphabet has {letter!r} for level {self.alphabet.index(letter)} and again for level {level}; "
                    "each level needs a letter of its own."
                )

    @cached_property
    def n_bytes(self) -> int:
        """Number of letters before the first one that is not a single byte in Latin-1."""
        wide = (level for level, letter in enumerate(self.alphabet) if ord(letter) > 0xFF)
        return next(wide, len(self.alphabet))

    @cached_property
    def byte_of_level(self) -> bytes:
        """Byte of each of the first `n_bytes` levels; 0 for the others."""
        return self.alphabet[: self.n_bytes].encode("latin-1").ljust(256, b"\0")

    @cached_property
    def level_of_byte(self) -> bytes:
        """Level of each byte; 255, which is `n_bytes` or more, for bytes that no letter has."""
        table = bytearray(b"\xff" * 256)
        for level in range(self.n_bytes):
            table[self.byte_of_level[level]] = level
        return bytes(table)

    @cached_property
    def code_points(self) -> npt.NDArray[np.uint32]:
        """Code point of each level, shape (n_letters,)."""
        return np.array([ord(letter) for letter in self.alphabet], dtype="<u4")

    @cached_property
    def level_of_code_point(self) -> npt.NDArray[np.uint16]:
        """Level of each code point up to one above the highest of the alphabet; 65535 where no letter has it."""
        table = np.full(int(self.code_points.max()) + 2, 0xFFFF, dtype=np.uint16)
        table[self.code_points] = np.arange(len(self.alphabet))
        return table


@lru_cache(maxsize=8)
def _letters_of(alphabet: str) -> _Letters:
    return _Letters(alphabet)


def _read_any(text: str, letters: _Letters, n_levels: int) -> npt.NDArray[np.uint8]:
    """Read letters of any width, and name the first one that is foreign."""
    code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    levels = letters.level_of_code_point.take(code_points, mode="clip")
    foreign = levels >= n_levels
    if foreign.any():
        position = int(np.argmax(foreign))
        raise TextError(
            f"the text has {text[position]!r} (U+{code_points[position]:04X}) at position {position}, which "
            f"is not among the {n_levels} letters of the alphabet, {letters.alphabet[0]!r} to "
            f"{letters.alphabet[n_levels - 1]!r}. Use text made by to_text with the same codebook and alphabet."
        )
    return levels.astype(np.uint8)
