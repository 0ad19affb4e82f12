"""Stage 4 of 7: levels -> text, and back. One character for each sample."""

import unicodedata
from itertools import count, islice

import numpy as np
import numpy.typing as npt

from heartbert.errors import TextError

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

_CODE_POINTS = np.array([ord(letter) for letter in ALPHABET], dtype="<u2")
_LEVELS = np.full(int(_CODE_POINTS.max()) + 1, -1, dtype=np.int16)
_LEVELS[_CODE_POINTS] = np.arange(N_LETTERS)


def to_text(levels: npt.NDArray[np.uint8]) -> str:
    """Write each level as one letter.

    Parameters
    ----------
    levels : ndarray of uint8, shape (n_samples,)

    Returns
    -------
    text : str of length n_samples
        Free of white space and control characters, unchanged by NFC and NFKC normalisation.

    Examples
    --------
    >>> to_text(np.array([0, 1, 30, 99], dtype=np.uint8))
    '!"@§'
    """
    return _CODE_POINTS[levels].tobytes().decode("utf-16-le")


def from_text(text: str, n_levels: int = N_LETTERS) -> npt.NDArray[np.uint8]:
    """Read the level of each letter; the inverse of `to_text`.

    Parameters
    ----------
    text : str
    n_levels : int
        Levels of the codebook that the text belongs to; letters beyond it are refused.

    Returns
    -------
    levels : ndarray of uint8, shape (len(text),)

    Raises
    ------
    TextError
        If a character is not among the first `n_levels` letters; the message gives the first position.
    """
    code_points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    levels = _LEVELS[np.minimum(code_points, _LEVELS.size - 1)].copy()
    levels[code_points >= _LEVELS.size] = -1
    foreign = (levels < 0) | (levels >= n_levels)
    if foreign.any():
        position = int(np.argmax(foreign))
        raise TextError(
            f"the text has {text[position]!r} (U+{code_points[position]:04X}) at position {position}, which "
            f"is not among the {n_levels} letters of the alphabet, {ALPHABET[0]!r} to "
            f"{ALPHABET[n_levels - 1]!r}. Use text made by to_text with the same codebook."
        )
    return np.asarray(levels, dtype=np.uint8)
