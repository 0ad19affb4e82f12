import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.embeddings.embed import IntervalPooler, TokenEmbeddings, embed, pool_windows
from heartbert.embeddings.encoder import build_encoder
from heartbert.text import ALPHABET
from heartbert.tokens import Tokens, train_tokenizer
from heartbert.training.config import read_config

ENCODER = build_encoder(read_config("tiny").encoder, 60, seed=0).base_model.eval()
TOKENIZER = train_tokenizer(["".join(ALPHABET[:32])] * 2, n_levels=32, n_tokens=60)
TEXTS = [ALPHABET[3:20] * 3, ALPHABET[5:9], ALPHABET[1:30]]


def tokens_of(texts: list[str]) -> Tokens:
    return TOKENIZER.encode(texts, max_tokens=96)


def test_embed_ignores_padding_and_neighbours_of_a_row() -> None:
    """The same text must have the same embedding alone and beside a longer one."""
    together = embed(ENCODER, tokens_of(TEXTS), layer=1)
    alone = embed(ENCODER, tokens_of(TEXTS[1:2]), layer=1)

    rows = together.window == 1
    # bfloat16 sums differ in the last bits with the batch.
    np.testing.assert_allclose(together.last[rows], alone.last, atol=0.05)
    np.testing.assert_allclose(together.inner[rows], alone.inner, atol=0.05)


def test_embed_returns_tokens_in_the_order_of_the_texts() -> None:
    """Batches are formed by length; the caller's order must survive."""
    embeddings = embed(ENCODER, tokens_of(TEXTS), layer=0)

    assert np.all(np.diff(embeddings.window) >= 0)
    for index, text in enumerate(TEXTS):
        rows = embeddings.window == index
        assert embeddings.starts[rows][0] == 0
        assert embeddings.stops[rows][-1] == len(text)
        np.testing.assert_array_equal(embeddings.starts[rows][1:], embeddings.stops[rows][:-1])


@pytest.mark.parametrize("family", ["modernbert", "roberta"])
def test_embed_without_the_last_layer_gives_the_same_of_the_others(family: str) -> None:
    """Layers that nobody asked for are left out, and that shows in nothing else; the encoder stays as it is."""
    config = replace(read_config("tiny").encoder, family=family)
    encoder = build_encoder(config, 60, seed=0).base_model.eval()
    whole = [embed(encoder, tokens_of(TEXTS), layer=layer) for layer in range(config.n_layers + 1)]

    for layer, expected in enumerate(whole):
        lower = embed(encoder, tokens_of(TEXTS), layer=layer, last=False)
        np.testing.assert_array_equal(lower.inner, expected.inner)
        np.testing.assert_array_equal(lower.window, expected.window)
        assert lower.last.shape == (0, config.hidden_size)
    for lower, upper in itertools.pairwise(whole):
        assert not np.array_equal(lower.inner, upper.inner)
    np.testing.assert_array_equal(embed(encoder, tokens_of(TEXTS), layer=0).last, whole[0].last)


@pytest.mark.parametrize("family", ["modernbert", "roberta"])
def test_embed_computes_what_the_model_does(family: str) -> None:
    """Near attention, bfloat16 and batches are for speed; long rows, masked tokens and padding agree."""
    config = replace(read_config("tiny").encoder, family=family, n_layers=3, max_tokens=400)
    encoder = build_encoder(config, 60, seed=0).base_model.eval()
    rng = np.random.default_rng(0)
    tokens = TOKENIZER.encode(
        ["".join(ALPHABET[level] for level in rng.integers(0, 32, length)) for length in (700, 90, 640)], max_tokens=400
    )
    mask = tokens.attention_mask.copy()
    mask[0, 30:200] = False
    embeddings = embed(encoder, replace(tokens, attention_mask=mask), layer=2)

    with torch.inference_mode():
        found = encoder(
            input_ids=torch.from_numpy(tokens.token_ids),
            attention_mask=torch.from_numpy(mask),
            output_hidden_states=True,
        )
    pieces = tokens.offsets[..., 1] > tokens.offsets[..., 0]
    assert pieces.sum(axis=1).max() > 300
    for ours, theirs in ((embeddings.inner, found.hidden_states[2]), (embeddings.last, found.last_hidden_state)):
        expected = theirs.numpy()[pieces]
        apart = np.abs(ours - expected)[mask[pieces]] / expected.std()
        assert apart.mean() < 0.01
        assert apart.max() < 0.1


def test_embed_is_not_influenced_by_masked_tokens() -> None:
    """Unscorable signal must not reach the embeddings of its neighbours."""
    tokens = tokens_of([ALPHABET[2:22]])
    mask = tokens.attention_mask.copy()
    mask[0, 6:9] = False
    changed = tokens.token_ids.copy()
    changed[0, 6:9] = 11

    before = embed(ENCODER, replace(tokens, attention_mask=mask), layer=1)
    after = embed(ENCODER, replace(tokens, attention_mask=mask, token_ids=changed), layer=1)

    seen = mask[0, 1:-1]
    np.testing.assert_array_equal(before.last[seen], after.last[seen])


def test_pool_windows_averages_usable_tokens_and_marks_empty_windows() -> None:
    """A window without usable signal has no embedding, and says so by NaN."""
    vectors = np.array([[1.0], [3.0], [5.0]], dtype=np.float32)
    index = np.array([0, 0, 1])
    embeddings = TokenEmbeddings(index, index, index, vectors, vectors)

    pooled, n_tokens = pool_windows(embeddings, np.array([True, True, False]), 2)

    np.testing.assert_array_equal(pooled, [[2.0], [np.nan]])
    np.testing.assert_array_equal(n_tokens, [2, 0])


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=20),
    gaps=st.lists(st.integers(0, 4), min_size=20, max_size=20),
    start=st.integers(-5, 100),
    length=st.integers(1, 60),
)
def test_interval_pooler_equals_the_mean_over_samples(
    lengths: list[int], gaps: list[int], start: int, length: int
) -> None:
    """The fast sums must equal the definition: each sample has its token's embedding, gaps have none."""
    starts = np.cumsum([gap + before for gap, before in zip(gaps, [0, *lengths[:-1]], strict=False)])
    stops = starts + lengths
    vectors = np.random.default_rng(0).normal(size=(len(lengths), 3)).astype(np.float32)
    samples = [index for a, b, index in zip(starts, stops, range(99), strict=False) for _ in range(a, b)]
    positions = np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])
    inside = [i for i, at in zip(samples, positions, strict=True) if start <= at < start + length]
    half = len(lengths) // 2
    pooler = IntervalPooler(1000)

    pooler.add(starts[:half], stops[:half], vectors[:half])
    pooler.add(starts[half:], stops[half:], vectors[half:])
    found = pooler.mean(np.array([[start]]), np.array([[start + length]]))

    expected = vectors[inside].mean(axis=0) if inside else np.zeros(3)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)


def test_interval_pooler_gives_zeros_when_nothing_was_usable() -> None:
    """A wholly unscorable recording has beats of nothing rather than an error."""
    pooler = IntervalPooler(10)
    empty = np.empty(0, dtype=np.int64)

    pooler.add(empty, empty, np.empty((0, 4), dtype=np.float32))

    np.testing.assert_array_equal(pooler.mean(np.array([0]), np.array([5])), np.zeros((1, 4)))


def test_interval_pooler_forgets_what_is_out_of_reach() -> None:
    """Memory must not grow with the recording."""
    pooler = IntervalPooler(50)
    for first in range(0, 10_000, 100):
        starts = np.arange(first, first + 100, 10)
        pooler.add(starts, starts + 10, np.ones((10, 2), dtype=np.float32))

    assert pooler.n_held <= 20


def test_interval_pooler_refuses_to_average_before_tokens_came() -> None:
    """An order of calls that cannot work is a bug of the caller and must not return numbers."""
    with pytest.raises(RuntimeError, match="before"):
        IntervalPooler(5).mean(np.array([0]), np.array([1]))
