"""A lead of any length becomes tokens in one call, block by block."""

from dataclasses import replace

import numpy as np
import pytest

from heartbert.errors import BundleError
from heartbert.levels import Histogram, fit_lloyd_max
from heartbert.preprocessing import Preprocessing
from heartbert.records.record import ArraySource
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import ScalingRule
from heartbert.tokens import Tokenizer, leads, train_on_levels
from heartbert.tokens.leads import tokenize_lead
from tests.synthetic import record_of, synthetic_ecg

FS = 250.0
SIGNAL = synthetic_ecg(700.0, FS)[0]  # three blocks
CHANNEL = record_of(SIGNAL, FS).lead()


def _codec(n_levels: int = 20) -> tuple[Preprocessing, Tokenizer]:
    rng = np.random.default_rng(0)
    histogram = Histogram()
    histogram.add(rng.beta(4, 4, 10_000).astype(np.float32))
    codebook = fit_lloyd_max(histogram.counts, n_levels)
    preprocessing = Preprocessing(BandPass(0.5, 40.0), ScalingRule("robust", 1.5), codebook, 1000)
    levels = np.repeat(rng.integers(0, n_levels, 4000), 3).astype(np.uint8)
    return preprocessing, train_on_levels(levels, 1000, n_levels=n_levels, n_tokens=120)


PREPROCESSING, TOKENIZER = _codec()


def test_tokenize_lead_gives_the_tokens_of_the_windows_texts() -> None:
    """Block by block, straight from levels, must be what the documented stages give on the whole signal."""
    signal = synthetic_ecg(60.0, 360.0)[0]
    plain = replace(PREPROCESSING, band=BandPass(0, 0))  # filters of blocks and of a whole signal round differently

    found = tokenize_lead(record_of(signal, 360.0).lead(), plain, TOKENIZER)

    expected = np.concatenate(TOKENIZER.pieces(plain.texts(signal, 360.0)))
    np.testing.assert_array_equal(found.token_ids, expected)
    np.testing.assert_array_equal(found.stops - found.starts, TOKENIZER.token_lengths[expected])
    assert found.starts[0] == 0
    assert found.n_samples == found.stops[-1] == 60 * 360
    assert found.usable.all()


def test_tokenize_lead_reads_again_what_it_does_not_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording of days has more blocks than are kept in memory; its tokens must not depend on that."""
    whole = tokenize_lead(CHANNEL, PREPROCESSING, TOKENIZER)
    monkeypatch.setattr(leads, "_KEPT_BLOCKS", 1)

    again = tokenize_lead(CHANNEL, PREPROCESSING, TOKENIZER)

    np.testing.assert_array_equal(again.token_ids, whole.token_ids)
    np.testing.assert_array_equal(again.usable, whole.usable)
    assert (again.n_samples, again.n_clipped) == (whole.n_samples, whole.n_clipped)


def test_tokenize_lead_marks_tokens_of_missing_signal() -> None:
    """Whoever reads the tokens must be able to leave out what is no signal."""
    signal = SIGNAL[: round(60 * FS)].copy()
    signal[round(20 * FS) : round(30 * FS)] = np.nan

    found = tokenize_lead(record_of(signal, FS).lead(), PREPROCESSING, TOKENIZER)

    inside = (found.starts >= 20.2 * 360) & (found.stops <= 29.8 * 360)
    outside = (found.stops <= 19.8 * 360) | (found.starts >= 30.2 * 360)
    assert not found.usable[inside].any()
    assert found.usable[outside].all()


def test_tokenize_lead_counts_clipped_samples() -> None:
    """What lies outside the range is clipped, and the user is told how much."""
    signal = SIGNAL[: round(60 * FS)].copy()
    signal[round(30 * FS)] += 30.0  # a spike of an electrode

    channel = record_of(signal, FS).lead()
    found = tokenize_lead(channel, PREPROCESSING, TOKENIZER)

    blocks = list(PREPROCESSING.stream(channel))
    outside = [(block.inner_signal < found.scaling.low) | (block.inner_signal > found.scaling.high) for block in blocks]
    assert found.n_clipped == sum(int(part.sum()) for part in outside) > 0


def test_tokenize_lead_refuses_a_tokenizer_of_another_codebook() -> None:
    """Its ids would mean other amplitudes."""
    with pytest.raises(BundleError, match="tokenizer knows 12 letters, codebook has 20 levels"):
        tokenize_lead(CHANNEL, PREPROCESSING, _codec(12)[1])


def test_tokenize_lead_takes_a_lead_without_any_sample_to_score() -> None:
    """A lead that was off throughout is no reason to stop."""
    channel = replace(CHANNEL, n_samples=2500, source=ArraySource(np.full(2500, np.nan, dtype=np.float32)))

    found = tokenize_lead(channel, PREPROCESSING, TOKENIZER)

    assert found.n_samples == 3600
    assert not found.usable.any()
