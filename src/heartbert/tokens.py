"""Stage 5 of 7: text -> tokens. Byte-pair encoding of unbroken text: training, encoding, decoding."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as BpeTokenizer
from tokenizers import decoders, models, processors, trainers

from heartbert.errors import ConfigError, TextError
from heartbert.text import ALPHABET

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<cls>", "<sep>", "<mask>")
"""Special tokens of the published tokenizer, ids 0 to 6."""

START_ID, PAD_ID, END_ID, UNKNOWN_ID, _, _, MASK_ID = range(len(SPECIAL_TOKENS))
# Special tokens that stand around each row: <s> and </s>.
N_AROUND = 2
TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True)
class Tokens:
    """Rows of tokens with the samples each one covers.

    Attributes
    ----------
    token_ids : ndarray of int64, shape (n_rows, n_tokens)
        ``<s>``, pieces, ``</s>``, then padding.
    attention_mask : ndarray of bool, same shape
        False on padding.
    offsets : ndarray of int64, shape (n_rows, n_tokens, 2)
        First sample and the sample after the last one that a token covers, counted from the start of its
        text. Special tokens and padding cover nothing: both numbers are equal.
    rows_of : ndarray of int64, shape (n_rows,)
        Index of the text that each row comes from; a text with more tokens than the model has positions
        continues in further rows.
    """

    token_ids: npt.NDArray[np.int64]
    attention_mask: npt.NDArray[np.bool_]
    offsets: npt.NDArray[np.int64]
    rows_of: npt.NDArray[np.int64]


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

    @property
    def n_levels(self) -> int:
        """Number of letters that the tokenizer knows."""
        vocabulary = self.bpe.get_vocab()
        return sum(letter in vocabulary for letter in ALPHABET)

    def pieces(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Cut texts into token ids, without special tokens or padding: one array a text.

        Raises
        ------
        TextError
            If a text holds a letter that the tokenizer was not trained with.
        """
        encodings = self.bpe.encode_batch_fast(list(texts), add_special_tokens=False)
        ids = [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
        for text, text_ids in zip(texts, ids, strict=True):
            # A text that spells a special token, such as "<pad>", is foreign too: its first letter is no level.
            if (text_ids < len(SPECIAL_TOKENS)).any():
                known = self.bpe.get_vocab()
                position = next(index for index, letter in enumerate(text) if letter not in known)
                raise TextError(
                    f"the text has {text[position]!r} at position {position}; this tokenizer knows "
                    f"{self.n_levels} letters. Use the codebook it was trained with."
                )
        return ids

    def encode(self, texts: Sequence[str], *, max_tokens: int) -> Tokens:
        """Cut texts into rows of at most `max_tokens` tokens; nothing is dropped.

        Parameters
        ----------
        texts : sequence of str
            One a window.
        max_tokens : int
            Positions of the model, ``<s>`` and ``</s>`` included.

        Returns
        -------
        tokens : Tokens
            A text that needs more positions is cut into rows of nearly equal length.

        Raises
        ------
        TextError
            If a text holds a letter that the tokenizer was not trained with.
        ConfigError
            If `max_tokens` leaves no room for a token between ``<s>`` and ``</s>``.
        """
        if max_tokens <= N_AROUND:
            raise ConfigError(
                f"max_tokens is {max_tokens}; <s>, </s> and one token need at least {N_AROUND + 1}. Raise it."
            )
        rows: list[npt.NDArray[np.int64]] = []
        first_samples: list[int] = []
        rows_of: list[int] = []
        for index, ids in enumerate(self.pieces(texts)):
            n_parts = max(1, -(-ids.size // (max_tokens - N_AROUND)))
            start = 0
            for part in np.array_split(ids, n_parts):
                rows.append(part)
                first_samples.append(start)
                rows_of.append(index)
                start += int(self.token_lengths[part].sum())
        return self._arrange(rows, first_samples, rows_of)

    def _arrange(self, rows: list[npt.NDArray[np.int64]], first_samples: list[int], rows_of: list[int]) -> Tokens:
        width = max((row.size for row in rows), default=0) + N_AROUND
        token_ids = np.full((len(rows), width), PAD_ID, dtype=np.int64)
        attention_mask = np.zeros(token_ids.shape, dtype=np.bool_)
        offsets = np.zeros((*token_ids.shape, 2), dtype=np.int64)
        for index, (row, first) in enumerate(zip(rows, first_samples, strict=True)):
            stop = row.size + 1
            token_ids[index, 0], token_ids[index, 1:stop], token_ids[index, stop] = START_ID, row, END_ID
            attention_mask[index, : stop + 1] = True
            ends = first + np.cumsum(self.token_lengths[row])
            offsets[index, 1:stop, 1] = ends
            offsets[index, 1:stop, 0] = ends - self.token_lengths[row]
            offsets[index, 0] = first
            offsets[index, stop:] = ends[-1] if ends.size else first
        return Tokens(token_ids, attention_mask, offsets, np.array(rows_of, dtype=np.int64))

    def decode(self, token_ids: npt.NDArray[np.int64]) -> str:
        """Write tokens back as text; special tokens write nothing."""
        return str(self.bpe.decode(token_ids.tolist(), skip_special_tokens=True))

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` into a folder."""
        self.bpe.save(str(folder / TOKENIZER_FILE))


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read ``tokenizer.json`` from a folder."""
    return Tokenizer(BpeTokenizer.from_file(str(folder / TOKENIZER_FILE)))


def train_tokenizer(texts: Iterable[str], *, n_levels: int, n_tokens: int) -> Tokenizer:
    """Learn byte-pair merges from texts.

    Every letter of the codebook is in the vocabulary even if no text uses it, so any signal can be encoded.

    Parameters
    ----------
    texts : iterable of str
        One a window; merges never cross the end of a text.
    n_levels : int
        Letters of the alphabet, 2 to 256.
    n_tokens : int
        Size of the vocabulary at most, special tokens and letters included; pairs seen once are not merged.

    Returns
    -------
    tokenizer : Tokenizer

    Raises
    ------
    ConfigError
        If the vocabulary has no room for the letters and special tokens.
    """
    if n_tokens < n_levels + len(SPECIAL_TOKENS):
        raise ConfigError(
            f"n_tokens is {n_tokens}; {n_levels} letters and {len(SPECIAL_TOKENS)} special tokens need at "
            f"least {n_levels + len(SPECIAL_TOKENS)}. Raise n_tokens or lower n_levels."
        )
    bpe = BpeTokenizer(models.BPE(unk_token="<unk>"))
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=list(ALPHABET[:n_levels]),
        limit_alphabet=n_levels,
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.decoder = decoders.Fuse()
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", START_ID), ("</s>", END_ID)]
    )
    return Tokenizer(bpe)
