"""Epochs of a night as vectors."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heartbert.bundle import load_bundle
from heartbert.errors import SignalTooShortError, SignalValueError
from heartbert.levels import Codebook
from heartbert.predictions.bilstm import TokenSequenceHead
from heartbert.predictions.sleep_epochs import (
    EPOCH_SAMPLES,
    EpochEncoder,
    amplitudes_by_rank,
    cut_epochs,
    reference_amplitudes,
)
from heartbert.predictions.sleep_night import night_of_lead
from heartbert.predictions.sleep_windows import classify_epoch, embed_windows
from tests.synthetic import record_of, synthetic_ecg

CODEBOOK = Codebook((0.3, 0.45, 0.5, 0.6), (0.2, 0.4, 0.48, 0.55, 0.8))


@pytest.fixture(scope="module")
def encoder(tiny_bundle: Path) -> EpochEncoder:
    bundle = load_bundle(tiny_bundle)
    return EpochEncoder(bundle.preprocessing, bundle.tokenizer, bundle.model.base_model, bundle.max_tokens, 1)


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-100, 100)))
def test_amplitudes_by_rank_do_not_depend_on_an_increasing_map(samples: np.ndarray) -> None:
    """Equal-probability levels know the amplitude up to such a map, so text and waveform must agree."""
    whole = np.round(samples)  # so that the map keeps what is equal equal

    np.testing.assert_array_equal(amplitudes_by_rank(whole, CODEBOOK), amplitudes_by_rank(whole**3, CODEBOOK))


def test_reference_amplitudes_rise_from_end_to_end() -> None:
    """A share of samples means an amplitude, and narrow cells hold most samples."""
    amplitudes = reference_amplitudes(CODEBOOK, np.linspace(0, 1, 101))

    assert amplitudes[0] == 0
    assert amplitudes[-1] == 1
    assert (np.diff(amplitudes) >= 0).all()
    assert 0.45 <= amplitudes[50] <= 0.5


def test_amplitudes_by_rank_keep_missing_samples_missing() -> None:
    """What is not known must not get a rank."""
    amplitudes = amplitudes_by_rank(np.array([1.0, np.nan, 2.0]), CODEBOOK)

    assert np.isnan(amplitudes).tolist() == [False, True, False]


def test_amplitudes_by_rank_refuse_nothing() -> None:
    """No sample, no distribution."""
    with pytest.raises(SignalValueError, match="no sample of the recording can be scored"):
        amplitudes_by_rank(np.array([np.nan]), CODEBOOK)


def test_levels_and_waveform_of_one_epoch_have_one_vector(encoder: EpochEncoder) -> None:
    """The published text and a waveform of the same band must be treated alike."""
    wave = np.round(np.random.default_rng(0).normal(size=(1, EPOCH_SAMPLES)), 1)
    levels = np.unique(wave, return_inverse=True)[1].reshape(wave.shape).astype(np.uint8)

    np.testing.assert_allclose(encoder.encode(levels), encoder.encode(wave), atol=1e-5)


def test_encode_leaves_incomplete_epochs_out(encoder: EpochEncoder) -> None:
    """An epoch with a gap has no vector; the others do not notice."""
    epochs = np.random.default_rng(0).normal(size=(2, EPOCH_SAMPLES))
    epochs[1, 5] = np.nan

    vectors = encoder.encode(epochs)

    assert vectors.shape == (2, encoder.n_embedding)
    assert np.isfinite(vectors).all(axis=1).tolist() == [True, False]


def test_encode_gives_each_epoch_its_own_vector(encoder: EpochEncoder) -> None:
    """Epochs share batches of the encoder, and nothing else."""
    rng = np.random.default_rng(2)
    epochs = np.cumsum(rng.normal(size=(11, EPOCH_SAMPLES)), axis=1)

    together = encoder.encode(epochs)
    alone = np.concatenate([encoder._pool([levels]) for levels in encoder.levels(epochs)])

    assert len(np.unique(together[:, 0])) == len(epochs)
    np.testing.assert_allclose(together, alone, atol=0.05)


def test_encode_returns_nothing_for_nothing(encoder: EpochEncoder) -> None:
    """A record of which no epoch is whole is no error."""
    assert np.isnan(encoder.encode(np.full((1, EPOCH_SAMPLES), np.nan))).all()


def test_cut_epochs_gives_whole_epochs_at_33_hz(encoder: EpochEncoder) -> None:
    """What is left at the end is not an epoch; a slow sine keeps its shape."""
    signal, _, _ = synthetic_ecg(100.0, 250.0)

    epochs, unscorable = cut_epochs(encoder.preprocessing.stream(record_of(signal, 250.0).lead()))

    assert epochs.shape == (3, EPOCH_SAMPLES)
    assert unscorable.shape == (3,)
    assert (unscorable < 0.01).all()


def test_cut_epochs_of_a_short_lead_are_none(encoder: EpochEncoder) -> None:
    """Less than half a minute has no epoch."""
    signal, _, _ = synthetic_ecg(5.0, 250.0)

    assert cut_epochs(encoder.preprocessing.stream(record_of(signal, 250.0).lead()))[0].shape == (0, EPOCH_SAMPLES)


def test_published_head_reads_windows_of_three_seconds(encoder: EpochEncoder) -> None:
    """Ten windows an epoch, each read through its own tokens, make one probability."""
    (tokens,) = embed_windows(encoder, np.random.default_rng(0).normal(size=(1, EPOCH_SAMPLES)))
    head = TokenSequenceHead(tokens.embeddings.shape[1], 3, n_units=4, dropout=0.0).eval()

    probabilities = classify_epoch(head, tokens)

    assert tokens.counts.size == 10
    assert tokens.counts.sum() == len(tokens.embeddings)
    assert probabilities.shape == (3,)
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-5)


def test_a_lead_becomes_a_night(encoder: EpochEncoder) -> None:
    """From a recording to what the head reads, in one call."""
    signal, beats, _ = synthetic_ecg(615.0, 100.0)

    night = night_of_lead(record_of(signal, 100.0).lead(), encoder, beats / 100.0)

    assert night.n_epochs == 20
    assert np.isfinite(night.embeddings).all()


def test_a_short_lead_is_refused_with_its_name(encoder: EpochEncoder) -> None:
    """Before minutes of work."""
    signal, beats, _ = synthetic_ecg(60.0, 100.0)

    with pytest.raises(SignalTooShortError, match=r"lead 'II' lasts 1\.0 min"):
        night_of_lead(record_of(signal, 100.0).lead(), encoder, beats / 100.0)
