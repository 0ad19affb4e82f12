"""The tokenizer is its tokenizer.json: what it cuts joins again, and foreign letters and files are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from heartbert.errors import BundleError, TextError
from heartbert.text import ALPHABET
from heartbert.tokens import SPECIAL_TOKENS, TOKENIZER_FILE, Tokenizer, load_tokenizer
from tests.tokens import walks

TOKENIZER = walks.tokenizer()
LETTERS = walks.LETTERS
Change = Callable[[dict[str, Any]], object]


@settings(max_examples=50, deadline=None)
@given(text=st.text(LETTERS, max_size=200))
def test_decode_is_the_inverse_of_pieces(text: str) -> None:
    """A tokenizer that loses or adds a letter loses or adds a sample."""
    ids = TOKENIZER.pieces([text])[0]

    assert TOKENIZER.decode(ids) == text
    assert TOKENIZER.token_lengths[ids].sum() == len(text)


@pytest.mark.parametrize("foreign", [ALPHABET[walks.N_LEVELS], "€", "😀", " ", "<unk>", "<pad>", "<mask>"])
def test_pieces_refuse_an_unknown_letter_and_name_its_position(foreign: str) -> None:
    """Text of another codebook must not become <unk>, nor a text that spells it a special token."""
    with pytest.raises(TextError, match=rf"the text has '{foreign[0]}' .*position 4, .* not among the 12 letters"):
        TOKENIZER.pieces([LETTERS, LETTERS[:4] + foreign + LETTERS])


def test_levels_without_a_letter_are_refused_with_their_position() -> None:
    """Levels of a finer codebook would read memory beyond the tables."""
    levels = np.array([0, 11, 12, 200], dtype=np.uint8)

    with pytest.raises(TextError, match="level 12 at sample 2 has no letter; this tokenizer knows 12 letters"):
        TOKENIZER.pieces_of_levels(levels, 4)
    with pytest.raises(TextError, match="level 12 at sample 2 has no letter"):
        TOKENIZER.encode_levels(levels, 4, max_tokens=9)


def test_tokenizer_refuses_another_codebook() -> None:
    """A codebook of fewer levels would give no error later, only other tokens than those that were learnt."""
    TOKENIZER.check_fits(12)
    with pytest.raises(BundleError, match="tokenizer knows 12 letters, codebook has 100 levels"):
        TOKENIZER.check_fits(100)


def test_saved_tokenizer_is_the_same_when_loaded(tmp_path: Path) -> None:
    """A bundle is loaded on another machine."""
    TOKENIZER.save(tmp_path)

    loaded = load_tokenizer(tmp_path)

    assert loaded.bpe.to_str() == TOKENIZER.bpe.to_str()


def test_ids_equal_those_of_transformers(tmp_path: Path) -> None:
    """The published bundle is used through AutoTokenizer by people who never install heartbert."""
    texts = [*walks.texts(5, seed=1), "", LETTERS]
    fast = PreTrainedTokenizerFast(tokenizer_object=TOKENIZER.bpe, pad_token="<pad>")

    tokens = TOKENIZER.encode(texts, max_tokens=512)

    theirs = fast(list(texts), padding=True, return_tensors="np")
    assert tokens.token_ids.tolist() == theirs["input_ids"].tolist()
    assert tokens.attention_mask.tolist() == theirs["attention_mask"].astype(bool).tolist()


def test_tokenizer_is_its_bpe_and_nothing_else() -> None:
    """Whatever is fitted has to be in tokenizer.json."""
    assert Tokenizer(TOKENIZER.bpe) == TOKENIZER


def _rename(old: str, new: str) -> Change:
    def change(content: dict[str, Any]) -> None:
        vocabulary = content["model"]["vocab"]
        vocabulary[new] = vocabulary.pop(old)
        content["model"]["merges"] = [merge for merge in content["model"]["merges"] if old not in "".join(merge)]

    return change


def _swap(first: str, second: str) -> Change:
    def change(content: dict[str, Any]) -> None:
        vocabulary = content["model"]["vocab"]
        vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]

    return change


def _skip_an_id(content: dict[str, Any]) -> None:
    vocabulary = content["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.__getitem__)] += 1


STRIP = {"type": "Strip", "strip_left": True, "strip_right": True}
CUT = {"direction": "Right", "max_length": 128, "strategy": "LongestFirst", "stride": 0}
EXTRA = {"id": 80, "content": "<x>", "single_word": False, "lstrip": False, "rstrip": False} | {
    "normalized": False,
    "special": True,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(normalizer=STRIP), "normalizer is .*Strip.*, not None"),
        (lambda content: content.update(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer is .*Whitespace"),
        (lambda content: content.update(truncation=CUT), "truncation is .*128.*, not None"),
        (lambda content: content["model"].update(dropout=0.5), "dropout of the model is 0.5, not None"),
        (lambda content: content["model"].update(ignore_merges=True), "ignore_merges of the model is True"),
        (_swap("<s>", "</s>"), "its first tokens are </s>, <pad>, <s>, .* not <s>, <pad>, </s>"),
        (_swap("!", '"'), "its 12 letters are not those of levels 0 to 11, in order"),
        (_rename("!", "Ω"), "its 12 letters are not those of levels 0 to 11, in order"),
        (_skip_an_id, "its ids have gaps"),
        (lambda content: content["added_tokens"].append(EXTRA), "its added tokens are not the special tokens"),
    ],
)
def test_load_refuses_a_tokenizer_that_reads_texts_otherwise(tmp_path: Path, change: Change, message: str) -> None:
    """A tokenizer from elsewhere would give tokens of other samples, without an error."""
    content = json.loads(TOKENIZER.bpe.to_str())
    change(content)
    (tmp_path / TOKENIZER_FILE).write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(
        BundleError, match=rf"'tokenizer.json' in '{tmp_path.name}' is no heartbert tokenizer: {message}"
    ):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [None, "", "{}", '{"model": 1}'])
def test_load_refuses_a_file_that_is_no_tokenizer(tmp_path: Path, content: str | None) -> None:
    """A half-written or missing file has to be named."""
    if content is not None:
        (tmp_path / TOKENIZER_FILE).write_text(content)

    with pytest.raises(BundleError, match=r"'tokenizer.json' in '.*' cannot be read: .* Get the folder again"):
        load_tokenizer(tmp_path)


def test_special_tokens_come_first_and_cover_nothing() -> None:
    """The encoder's configuration names their ids."""
    vocabulary = TOKENIZER.bpe.get_vocab()

    assert [vocabulary[token] for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    assert TOKENIZER.token_lengths[: len(SPECIAL_TOKENS)].tolist() == [0] * len(SPECIAL_TOKENS)
    assert TOKENIZER.n_tokens == 80
