"""Stage 5 of 7: text -> tokens. Byte-pair encoding of unbroken text: training, encoding, decoding."""

from heartbert.tokens.rows import Tokens
from heartbert.tokens.tokenizer import Tokenizer, load_tokenizer
from heartbert.tokens.training import train_on_levels, train_tokenizer
from heartbert.tokens.vocabulary import (
    END_ID,
    MASK_ID,
    N_AROUND,
    PAD_ID,
    SPECIAL_TOKENS,
    START_ID,
    TOKENIZER_FILE,
)

__all__ = [
    "END_ID",
    "MASK_ID",
    "N_AROUND",
    "PAD_ID",
    "SPECIAL_TOKENS",
    "START_ID",
    "TOKENIZER_FILE",
    "Tokenizer",
    "Tokens",
    "load_tokenizer",
    "train_on_levels",
    "train_tokenizer",
]
