"""The trained byte-pair encoding: encode, decode, save, load."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as BpeTokenizer

from heartbert.errors import BundleError
from heartbert.text import ALPHABET, from_text
from heartbert.tokens.encoding import CompiledEncoder, Pieces, compiled_encoder, encode_plainly
from heartbert.tokens.rows import Tokens, arrange, check_room
from heartbert.tokens.vocabulary import SPECIAL_TOKENS, TOKENIZER_FILE
from heartbert.tokens.windows import check_levels, lengths_of


@dataclass(frozen=True)
class Tokenizer:
    """A trained byte-pair encoding of ECG text.

    Attributes
    ----------
    bpe : tokenizers.Tokenizer
        Without normaliser or pre-tokenizer: a window is one unbroken word.
    """

    bpe: BpeTokenizer

    @property
    def n_tokens(self) -> int:
        """Size of the vocabulary, special tokens included."""
        return int(self.bpe.get_vocab_size())

    @cached_property
    def token_lengths(self) -> npt.NDArray[np.int64]:
        """Samples that each token covers, shape (n_tokens,); 0 for special tokens."""
        lengths = np.zeros(self.n_tokens, dtype=np.int64)
        for token, token_id in self.bpe.get_vocab().items():
            lengths[token_id] = 0 if token in SPECIAL_TOKENS else len(token)
        return lengths

    @cached_property
    def n_levels(self) -> int:
        """Number of letters that the tokenizer knows."""
        vocabulary = self.bpe.get_vocab()
        return sum(letter in vocabulary for letter in ALPHABET)

    @cached_property
    def _encoder(self) -> CompiledEncoder | None:
        return compiled_encoder(self.bpe)

    def pieces(self, texts: Sequence[str], *, n_threads: int = 1) -> list[npt.NDArray[np.int64]]:
        """Cut texts into token ids, without special tokens or padding: one array a text.

        Raises
        ------
        TextError
            If a text holds a letter that the tokenizer was not trained with; the message gives the first position.
        """
        ids, counts = self.pieces_of_levels(*self._levels_of(texts), n_threads=n_threads)
        return np.split(ids, np.cumsum(counts)[:-1]) if texts else []

    def pieces_of_levels(
        self, levels: npt.NDArray[np.uint8], windows: int | npt.NDArray[np.int64], *, n_threads: int = 1
    ) -> Pieces:
        """Cut windows of levels into token ids, without special tokens or padding, and without making texts.

        Parameters
        ----------
        levels : ndarray of uint8, shape (n_samples,)
            One window after the other.
        windows : int or ndarray of int64, shape (n_windows,)
            Samples of every window, where the last may be shorter, or of each.
        n_threads : int
            Threads that share the windows; the result does not depend on it.

        Returns
        -------
        token_ids : ndarray of int64, shape (n_pieces,)
            Those that the tokenizers library gives for the windows' texts, one window after the other.
        counts : ndarray of int64, shape (n_windows,)
            How many each window has.

        Raises
        ------
        TextError
            If a level has no letter, or the windows do not add up to the levels.
        """
        check_levels(levels, self.n_levels)
        window_lengths = lengths_of(windows, levels.size)
        if self._encoder is None:
            return encode_plainly(self.bpe, levels, window_lengths)
        return self._encoder.encode(levels, window_lengths, n_threads)

    def encode(self, texts: Sequence[str], *, max_tokens: int, n_threads: int = 1) -> Tokens:
        """Cut texts into rows of at most `max_tokens` tokens; nothing is dropped.

        Parameters
        ----------
        texts : sequence of str
            One a window.
        max_tokens : int
            Positions of the model, ``<s>`` and ``</s>`` included.
        n_threads : int
            Threads that share the texts; the result does not depend on it.

        Returns
        -------
        tokens : Tokens
            A text that needs more positions is cut into rows of nearly equal length.

        Raises
        ------
        TextError
            If a text holds a letter that the tokenizer was not trained with; the message gives the first position.
        ConfigError
            If `max_tokens` leaves no room for a token between ``<s>`` and ``</s>``.
        """
        return self.encode_levels(*self._levels_of(texts), max_tokens=max_tokens, n_threads=n_threads)

    def encode_levels(
        self,
        levels: npt.NDArray[np.uint8],
        windows: int | npt.NDArray[np.int64],
        *,
        max_tokens: int,
        n_threads: int = 1,
    ) -> Tokens:
        """Cut windows of levels into rows of at most `max_tokens` tokens; `encode` without making texts.

        Parameters
        ----------
        levels : ndarray of uint8, shape (n_samples,)
            One window after the other.
        windows : int or ndarray of int64, shape (n_windows,)
            Samples of every window, where the last may be shorter, or of each.
        max_tokens : int
            Positions of the model, ``<s>`` and ``</s>`` included.
        n_threads : int
            Threads that share the windows; the result does not depend on it.

        Returns
        -------
        tokens : Tokens

        Raises
        ------
        TextError
            If a level has no letter, or the windows do not add up to the levels.
        ConfigError
            If `max_tokens` leaves no room for a token between ``<s>`` and ``</s>``.
        """
        check_room(max_tokens)
        ids, counts = self.pieces_of_levels(levels, windows, n_threads=n_threads)
        return arrange(ids, counts, self.token_lengths, max_tokens=max_tokens)

    def _levels_of(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Read texts as levels, one after the other, and their lengths."""
        windows = [from_text(text, self.n_levels) for text in texts]
        lengths = np.array([window.size for window in windows], dtype=np.int64)
        return np.concatenate([np.empty(0, dtype=np.uint8), *windows]), lengths

    def decode(self, token_ids: npt.NDArray[np.int64]) -> str:
        """Write tokens back as text; special tokens write nothing."""
        return str(self.bpe.decode(token_ids.tolist(), skip_special_tokens=True))

    def check_fits(self, n_levels: int) -> None:
        """Refuse to be used with another codebook than the one that this was trained with.

        Raises
        ------
        BundleError
            If the codebook has not as many levels as the tokenizer has letters.
        """
        if self.n_levels != n_levels:
            raise BundleError(
                f"tokenizer knows {self.n_levels} letters, codebook has {n_levels} levels. Use the two that were "
                "trained together."
            )

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` into a folder."""
        self.bpe.save(str(folder / TOKENIZER_FILE))


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read ``tokenizer.json`` from a folder.

    Raises
    ------
    BundleError
        If the file is missing or damaged, or holds a tokenizer that reads texts otherwise than those trained here.
    """
    try:
        bpe = BpeTokenizer.from_file(str(folder / TOKENIZER_FILE))
    except Exception as error:  # the library raises nothing more specific
        raise BundleError(
            f"'{TOKENIZER_FILE}' in '{folder.name}' cannot be read: {error}. Get the folder again."
        ) from error
    differences = _differences(json.loads(bpe.to_str()))
    if differences:
        raise BundleError(
            f"'{TOKENIZER_FILE}' in '{folder.name}' is no heartbert tokenizer: {differences[0]}. Use one made by "
            "train_tokenizer."
        )
    return Tokenizer(bpe)


# Settings of tokenizer.json that change what a text is cut into, and what they are here.
_PLAIN = {"normalizer": None, "pre_tokenizer": None, "truncation": None, "padding": None}
_PLAIN_MODEL = {
    "type": "BPE",
    "dropout": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "byte_fallback": False,
    "ignore_merges": False,
}


def _differences(content: dict[str, Any]) -> list[str]:
    """Say in what a tokenizer differs from those trained here."""
    model = content["model"]
    found = [f"{key} is {content[key]!r}, not {value!r}" for key, value in _PLAIN.items() if content[key] != value]
    found += [
        f"{key} of the model is {model.get(key)!r}, not {value!r}"
        for key, value in _PLAIN_MODEL.items()
        if model.get(key) != value
    ]
    if found:
        return found
    vocabulary: dict[str, int] = model["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    n_special = len(SPECIAL_TOKENS)
    n_levels = sum(len(token) == 1 for token in tokens)
    if sorted(vocabulary.values()) != list(range(len(tokens))):
        found.append("its ids have gaps")
    if tuple(tokens[:n_special]) != SPECIAL_TOKENS:
        found.append(f"its first tokens are {', '.join(tokens[:n_special])}, not {', '.join(SPECIAL_TOKENS)}")
    if tokens[n_special : n_special + n_levels] != list(ALPHABET[:n_levels]):
        found.append(f"its {n_levels} letters are not those of levels 0 to {n_levels - 1}, in order")
    if [token["content"] for token in content["added_tokens"]] != list(SPECIAL_TOKENS):
        found.append("its added tokens are not the special tokens")
    return found
