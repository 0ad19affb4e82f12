"""Epochs cut out of a lead on its way to the beat detector."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbert.bundle import load_bundle
from heartbert.predictions.sleep_epochs import EPOCH_SAMPLES, EpochEncoder, cut_epochs
from heartbert.predictions.sleep_reading import EpochTap, night_of_epochs
from heartbert.signals.streaming import Block

SAMPLES_360HZ = 10_800
CONTEXT = 7


def _blocks(signal: np.ndarray, codes: np.ndarray, stops: list[int]) -> Iterator[Block]:
    """Cut a lead into blocks with context on both sides."""
    padded, marks = np.pad(signal, CONTEXT), np.pad(codes, CONTEXT, constant_values=1)
    for start, stop in zip([0, *stops], [*stops, signal.size], strict=True):
        inside = slice(start, stop + 2 * CONTEXT)
        yield Block(start, stop, CONTEXT, padded[inside], marks[inside])


@given(st.lists(st.integers(1, 34_999), unique=True, max_size=5).map(sorted), st.integers(0, 3))
def test_epochs_do_not_depend_on_the_blocks(stops: list[int], seed: int) -> None:
    """Wherever blocks end, the epochs are those of the whole lead, and the other reader gets the same blocks."""
    rng = np.random.default_rng(seed)
    signal, codes = rng.normal(size=35_000).astype(np.float32), (rng.random(35_000) < 0.1).astype(np.uint8)
    tap = EpochTap()

    passed = list(tap.through(_blocks(signal, codes, stops)))

    expected = cut_epochs(_blocks(signal, codes, []))
    for found, wanted in zip(tap.finish(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.concatenate([block.inner_signal for block in passed]), signal)


def test_a_lead_of_less_than_an_epoch_has_none() -> None:
    """An empty table, not an error: the length is checked elsewhere."""
    tap = EpochTap()

    list(tap.through(_blocks(np.zeros(100, np.float32), np.zeros(100, np.uint8), [])))

    assert tap.finish()[0].shape == (0, EPOCH_SAMPLES)


def test_eight_hours_take_four_kilobytes_an_epoch() -> None:
    """A night at 360 Hz would be forty megabytes."""
    signal, codes = np.zeros(108_000, dtype=np.float32), np.zeros(108_000, dtype=np.uint8)
    tap = EpochTap()
    tracemalloc.start()

    for _ in tap.through(Block(0, signal.size, 0, signal, codes) for _ in range(96)):
        pass

    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 960 * 4 * EPOCH_SAMPLES + 1_000_000
    assert peak < kept + 4_000_000


def test_an_epoch_that_is_mostly_unscorable_has_no_embedding(tiny_bundle: Path) -> None:
    """A lost electrode reads as a flat line, and its ranks would move those of all other epochs."""
    bundle = load_bundle(tiny_bundle)
    encoder = EpochEncoder(bundle.preprocessing, bundle.tokenizer, bundle.model.base_model, bundle.max_tokens, 1)
    signal = np.random.default_rng(0).normal(size=20 * SAMPLES_360HZ).astype(np.float32)
    codes = np.zeros(signal.size, dtype=np.uint8)
    codes[: 18 * SAMPLES_360HZ] = 1
    codes[18 * SAMPLES_360HZ : 18 * SAMPLES_360HZ + 5400] = 1
    tap = EpochTap()
    list(tap.through(_blocks(signal, codes, [])))

    night = night_of_epochs(tap, encoder, np.arange(0.5, 600.0, 0.8))

    assert np.isfinite(night.embeddings).all(axis=1).tolist() == [False] * 18 + [True, True]
    np.testing.assert_allclose(night.features[17:, -1], [1.0, 0.5, 0.0])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_head_of_beats_needs_no_encoder(share: float) -> None:
    """The night is that of the beats, with what cannot be scored."""
    codes = np.full(20 * SAMPLES_360HZ, share, dtype=np.uint8)
    tap = EpochTap()
    list(tap.through(_blocks(np.zeros(codes.size, dtype=np.float32), codes, [])))

    night = night_of_epochs(tap, None, np.arange(0.5, 600.0, 0.8))

    assert night.embeddings.shape == (20, 0)
    np.testing.assert_allclose(night.features[:, -1], share)
