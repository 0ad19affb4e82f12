"""Texts or levels -> a trained tokenizer: the same merges by a compiled trainer and by the tokenizers library."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, decoders, models, processors, trainers
from tokenizers import Tokenizer as BpeTokenizer

from heartbert.compiled import has_numba
from heartbert.errors import ConfigError, TextError
from heartbert.text import ALPHABET, from_text, to_text
from heartbert.tokens.tokenizer import Tokenizer
from heartbert.tokens.vocabulary import END_ID, SPECIAL_TOKENS, START_ID
from heartbert.tokens.windows import check_levels, lengths_of

# What the compiled trainer counts with: 16 bits a token, 31 bits a place.
_MAX_TOKENS, _MAX_CELLS = 1 << 16, (1 << 31) - 2
_UNLIMITED = 1 << 30


def train_tokenizer(texts: Iterable[str], *, n_levels: int, n_tokens: int) -> Tokenizer:
    """Learn byte-pair merges from texts.

    Every letter of the codebook is in the vocabulary even if no text uses it, so any signal can be encoded. Other
    characters are passed over.

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
    check_room(n_levels, n_tokens)
    windows = [_known_levels(text, n_levels) for text in texts]
    levels = np.concatenate([np.empty(0, dtype=np.uint8), *windows])
    window_lengths = np.array([window.size for window in windows], dtype=np.int64)
    return train_on_levels(levels, window_lengths, n_levels=n_levels, n_tokens=n_tokens)


def _known_levels(text: str, n_levels: int) -> npt.NDArray[np.uint8]:
    try:
        return from_text(text, n_levels)
    except TextError:
        known = ALPHABET[:n_levels]
        return from_text("".join(letter for letter in text if letter in known), n_levels)


def train_on_levels(
    levels: npt.NDArray[np.uint8],
    windows: int | npt.NDArray[np.int64],
    *,
    n_levels: int,
    n_tokens: int,
    max_token_samples: int | None = None,
) -> Tokenizer:
    """Learn byte-pair merges from levels: the most frequent pair first, of equal pairs the one with lower ids.

    Parameters
    ----------
    levels : ndarray of uint8, shape (n_samples,)
        One window after the other.
    windows : int or ndarray of int64, shape (n_windows,)
        Samples of every window, where the last may be shorter, or of each; merges never cross the end of a window.
    n_levels : int
        Letters of the alphabet, 2 to 256. All are in the vocabulary, so any signal can be encoded.
    n_tokens : int
        Size of the vocabulary at most, special tokens and letters included; pairs seen once are not merged.
    max_token_samples : int, optional
        Samples that a token covers at most, 2 or more. The tokenizers library calls one more `max_token_length`.

    Returns
    -------
    tokenizer : Tokenizer
        The same as the BPE trainer of the tokenizers library gives. Compiled, 60 million samples and 52,000 tokens
        take 5 s and 0.8 GB.

    Raises
    ------
    ConfigError
        If the vocabulary has no room for the letters and special tokens, or tokens no room for two letters.
    TextError
        If a level has no letter, or windows do not add up to the levels.
    """
    check_room(n_levels, n_tokens)
    if max_token_samples is not None and max_token_samples < 2:
        raise ConfigError(f"max_token_samples is {max_token_samples}; a merge covers at least 2. Raise it.")
    check_levels(levels, n_levels)
    window_lengths = lengths_of(windows, levels.size)
    small = n_tokens <= _MAX_TOKENS and levels.size + window_lengths.size <= _MAX_CELLS
    if not has_numba() or not small:
        return _finish(_train_plainly(_texts(levels, window_lengths), n_levels, n_tokens, max_token_samples))
    from heartbert.tokens.training_kernels import learn_merges

    longest = max_token_samples or _UNLIMITED
    merges = learn_merges(np.ascontiguousarray(levels), window_lengths, n_levels, n_tokens, longest)
    return _finish(_model_of(merges, n_levels))


def check_room(n_levels: int, n_tokens: int) -> None:
    """Refuse a vocabulary that has no room for the letters and special tokens."""
    if n_tokens < n_levels + len(SPECIAL_TOKENS):
        raise ConfigError(
            f"n_tokens is {n_tokens}; {n_levels} letters and {len(SPECIAL_TOKENS)} special tokens need at "
            f"least {n_levels + len(SPECIAL_TOKENS)}. Raise n_tokens or lower n_levels."
        )


def _texts(levels: npt.NDArray[np.uint8], window_lengths: npt.NDArray[np.int64]) -> Iterator[str]:
    ends = np.append(0, np.cumsum(window_lengths)).tolist()
    return (to_text(levels[start:stop]) for start, stop in pairwise(ends))


def _train_plainly(texts: Iterator[str], n_levels: int, n_tokens: int, max_token_samples: int | None) -> BpeTokenizer:
    """Learn merges with the tokenizers library."""
    bpe = BpeTokenizer(models.BPE(unk_token="<unk>"))
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=list(ALPHABET[:n_levels]),
        limit_alphabet=n_levels,
        show_progress=False,
        # The library wants tokens shorter than this.
        max_token_length=None if max_token_samples is None else max_token_samples + 1,
    )
    bpe.train_from_iterator(texts, trainer)
    return bpe


def _model_of(merges: npt.NDArray[np.int64], n_levels: int) -> BpeTokenizer:
    """Build the tokenizer of pairs of ids in the order of their merging."""
    tokens = [*SPECIAL_TOKENS, *ALPHABET[:n_levels]]
    for first, second in merges.tolist():
        tokens.append(tokens[first] + tokens[second])
    pairs = [(tokens[first], tokens[second]) for first, second in merges.tolist()]
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    bpe = BpeTokenizer(models.BPE(vocab=vocabulary, merges=pairs, unk_token="<unk>"))
    bpe.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return bpe


def _finish(bpe: BpeTokenizer) -> Tokenizer:
    bpe.decoder = decoders.Fuse()
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", START_ID), ("</s>", END_ID)]
    )
    return Tokenizer(bpe)
