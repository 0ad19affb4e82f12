"""Levels give the ids that the tokenizers library gives for their texts, for every vocabulary and however they run."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as BpeTokenizer
from tokenizers import models
from transformers import AutoTokenizer

import heartbert
from heartbert.compiled import has_numba
from heartbert.preprocessing import load_preprocessing
from heartbert.records import read_record
from heartbert.text import ALPHABET, to_text
from heartbert.tokens import SPECIAL_TOKENS, Tokenizer, load_tokenizer, train_on_levels
from heartbert.tokens.encoding import compiled_encoder
from tests.tokens import walks

SHIPPED = Path(heartbert.__file__).parent / "bundles" / "small"
needs_numba = pytest.mark.skipif(not has_numba(), reason="numba is not installed")
Merges = list[tuple[str, str]]


def _of_library(tokenizer: Tokenizer, windows: list[walks.Levels]) -> list[list[int]]:
    texts = [to_text(window) for window in windows]
    return [encoding.ids for encoding in tokenizer.bpe.encode_batch(texts, add_special_tokens=False)]


def _of_levels(tokenizer: Tokenizer, windows: list[walks.Levels], n_threads: int = 1) -> list[list[int]]:
    ids, counts = tokenizer.pieces_of_levels(*walks.joined(windows), n_threads=n_threads)
    return [part.tolist() for part in np.split(ids, np.cumsum(counts))[:-1]]


def _tokenizer_of(merges: Merges, n_levels: int) -> Tokenizer:
    """Build a tokenizer of merges that no training gave."""
    tokens = dict.fromkeys([*SPECIAL_TOKENS, *ALPHABET[:n_levels], *(first + second for first, second in merges)])
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    return Tokenizer(BpeTokenizer(models.BPE(vocabulary, merges, unk_token="<unk>")))


@st.composite
def invented_merges(draw: st.DrawFn, n_levels: int) -> Merges:
    """Draw merges of tokens that exist, reachable or not, some with the same product, now and then out of order."""
    tokens, merges = list(ALPHABET[:n_levels]), []
    for _ in range(draw(st.integers(0, 8))):
        pair = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if pair not in merges:
            merges.append(pair)
            tokens.append("".join(pair))
    return merges if draw(st.booleans()) else draw(st.permutations(merges))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), n_levels=st.sampled_from([2, 3, 12, 100, 256]), n_merges=st.integers(0, 120))
def test_trained_vocabularies_cut_as_the_library_does(data: st.DataObject, n_levels: int, n_merges: int) -> None:
    """People who open the bundle with AutoTokenizer must get the tokens that the encoder was trained on."""
    learnt, cut = (data.draw(walks.windows(n_levels)) for _ in range(2))
    n_tokens = len(SPECIAL_TOKENS) + n_levels + n_merges
    tokenizer = train_on_levels(*walks.joined(learnt), n_levels=n_levels, n_tokens=n_tokens)

    assert _of_levels(tokenizer, cut + learnt) == _of_library(tokenizer, cut + learnt)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), n_levels=st.integers(2, 3))
def test_invented_vocabularies_cut_as_the_library_does(data: st.DataObject, n_levels: int) -> None:
    """A vocabulary that was edited, or trained elsewhere, may break what the fast encoder relies on."""
    tokenizer = _tokenizer_of(data.draw(invented_merges(n_levels)), n_levels)
    cut = data.draw(walks.windows(n_levels))

    assert _of_levels(tokenizer, cut) == _of_library(tokenizer, cut)


@needs_numba
@pytest.mark.parametrize(
    ("merges", "why"),
    [
        ([("!", "!"), ("!!", '"'), ("!", '"'), ("!", '!"')], "two pairs merge to the same token"),
        ([("!!", '"'), ("!", "!")], "a part is merged after the whole"),
        ([("!", '"'), ('"', "!"), ("!", '"!')], "the text of the last one is cut otherwise"),
    ],
)
def test_irregular_vocabularies_are_left_to_the_library(merges: Merges, why: str) -> None:
    """The compiled encoder is exact only where every token is the one way to cut its own text."""
    assert compiled_encoder(_tokenizer_of(merges, 2).bpe) is None, why


@needs_numba
def test_trained_vocabularies_are_not_left_to_the_library() -> None:
    """A mistake in the check above would cost nothing but speed, and nobody would see it."""
    assert compiled_encoder(walks.tokenizer().bpe) is not None
    assert compiled_encoder(load_tokenizer(SHIPPED).bpe) is not None


@pytest.mark.parametrize("n_threads", [2, 3, 50])
def test_ids_do_not_depend_on_the_number_of_threads(n_threads: int) -> None:
    """Results come out again on another machine."""
    tokenizer = walks.tokenizer()
    windows = [*walks.walks(9, seed=5), np.empty(0, dtype=np.uint8), *walks.walks(2, seed=6)]

    assert _of_levels(tokenizer, windows, n_threads) == _of_levels(tokenizer, windows)


def test_without_numba_everything_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba follows new Python versions late; heartbert must run without it."""
    compiled = walks.tokenizer()
    windows = [*walks.walks(5, seed=7), np.empty(0, dtype=np.uint8)]

    monkeypatch.setattr("heartbert.tokens.encoding.has_numba", lambda: False)
    plain = Tokenizer(compiled.bpe)

    assert compiled_encoder(plain.bpe) is None
    assert _of_levels(plain, windows) == _of_levels(compiled, windows)
    assert _of_levels(plain, []) == []


def test_pieces_of_no_texts_are_none() -> None:
    """A record without a scorable window has no texts."""
    assert walks.tokenizer().pieces([]) == []


def test_demo_recording_gives_the_ids_of_auto_tokenizer() -> None:
    """The README's example, the way that people without heartbert run it."""
    channel = heartbert.demo_record().lead(None)
    texts = load_preprocessing(SHIPPED).texts(channel.read(0, channel.n_samples), channel.fs)

    ours = load_tokenizer(SHIPPED).pieces(texts)

    theirs = AutoTokenizer.from_pretrained(SHIPPED)(texts, add_special_tokens=False)["input_ids"]
    assert [ids.tolist() for ids in ours] == theirs


@pytest.mark.data
@pytest.mark.parametrize("n_tokens", [1000, 10_000])
def test_real_recordings_give_the_ids_of_the_library(data_folder: Path, n_tokens: int) -> None:
    """Random texts have no heartbeats; tokens of real ones are longer and rarer."""
    paths = sorted(data_folder.glob("mitdb/2*.hea"))[:3]
    if not paths:
        pytest.skip("no mitdb in HEARTBERT_DATA")
    codec = load_preprocessing(SHIPPED)
    texts = []
    for path in paths:
        channel = read_record(path).lead(None)
        texts += codec.texts(channel.read(0, min(channel.n_samples, 200_000)), channel.fs)
    tokenizer = heartbert.tokens.train_tokenizer(texts[::2], n_levels=codec.codebook.n_levels, n_tokens=n_tokens)

    ours = tokenizer.pieces(texts)

    theirs = tokenizer.bpe.encode_batch_fast(texts, add_special_tokens=False)
    assert [ids.tolist() for ids in ours] == [encoding.ids for encoding in theirs]
