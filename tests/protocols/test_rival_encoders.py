"""Any encoder in the place of ours: vectors with times, pooled over beats and epochs; public ones by name."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.bundle import Bundle, load_bundle
from heartbert.errors import ConfigError, SignalTooShortError
from heartbert.protocols.beat_records import embed_at
from heartbert.protocols.rival_encoders import (
    ADAPTERS,
    BundleEncoder,
    Signal,
    SignalEpochEncoder,
    SignalVectors,
    StretchEncoder,
    load_rival,
    pool_beats,
)
from heartbert.protocols.sleep_data import epoch_encoder
from heartbert.records.record import ArraySource, Channel
from heartbert.signals.survey import survey_lead
from tests.synthetic import synthetic_ecg


def means_of_tenths(stretches: Signal) -> Signal:
    """Give each tenth of a stretch its mean and its number."""
    means = stretches.reshape(len(stretches), 10, -1).mean(axis=2)
    return np.stack([means, np.broadcast_to(np.arange(10.0), means.shape)], axis=2).astype(np.float32)


TENTHS = StretchEncoder(means_of_tenths, 100.0, 500)


@pytest.fixture
def tiny(tiny_pretrained: Path) -> Bundle:
    return load_bundle(tiny_pretrained)


def test_our_encoder_as_one_among_others_gives_the_same_beats(tiny: Bundle) -> None:
    """The table would be unfair if ours took another path than its rivals."""
    signal, samples, _ = synthetic_ecg(40.0, 250.0)
    r_peaks = np.round(samples * 360 / 250).astype(np.int64)
    channel = Channel("II", 250.0, "mV", signal.size, "ecg", ArraySource(signal))
    scaling = tiny.preprocessing.scaling_rule.fit(survey_lead(tiny.preprocessing.stream(channel)).ranges)

    pooled = pool_beats(BundleEncoder(tiny, 1).embed(signal, 250.0), r_peaks)

    np.testing.assert_allclose(pooled, embed_at(tiny, 1, channel, scaling, r_peaks), atol=2e-3)


def test_parts_of_a_beat_are_averaged_apart() -> None:
    """P wave, QRS complex and T wave stand one after the other, as in our own embeddings."""
    times = np.arange(0.0, 4.0, 0.01)
    vectors = SignalVectors(times[:, None].astype(np.float32), times, times + 0.01)

    pooled = pool_beats(vectors, np.array([720]))

    assert pooled.shape == (1, 3)
    np.testing.assert_allclose(pooled[0], [2 - 0.17, 2 + 0.01, 2 + 0.26], atol=0.02)


@settings(max_examples=20, deadline=None)
@given(n_samples=st.integers(20, 3000), fs=st.sampled_from([100.0, 250.0, 360.0]))
def test_vectors_cover_the_signal_once(n_samples: int, fs: float) -> None:
    """No sample without a vector, and no vector of the filling alone."""
    found = TENTHS.embed(np.ones(n_samples, dtype=np.float32), fs)

    duration_s = round(n_samples * 100 / fs) / 100
    assert found.starts_s[0] == 0
    np.testing.assert_allclose(found.starts_s[1:], found.stops_s[:-1])
    assert found.starts_s[-1] < duration_s + 0.02
    assert found.stops_s[-1] >= duration_s - 0.02


def test_a_signal_without_a_sample_is_refused() -> None:
    """There is nothing to embed."""
    with pytest.raises(SignalTooShortError, match="a signal of 0 samples at 100 Hz"):
        TENTHS.embed(np.empty(0, dtype=np.float32), 100.0)


@pytest.mark.parametrize(
    ("vectors", "starts", "stops", "message"),
    [
        (np.ones((2, 1)), [0.0], [1.0], r"vectors of shape \(2, 1\) with \(1,\) starts"),
        (np.full((1, 1), np.nan), [0.0], [1.0], "not finite"),
        (np.ones((2, 1)), [0.0, 0.5], [1.0, 1.5], "overlap or run backwards"),
        (np.ones((1, 1)), [1.0], [1.0], "overlap or run backwards"),
    ],
)
def test_wrong_vectors_are_refused(vectors: np.ndarray, starts: list[float], stops: list[float], message: str) -> None:
    """An encoder that a user wrote may give anything; pooling must not hide it."""
    with pytest.raises(ConfigError, match=message):
        SignalVectors(vectors.astype(np.float32), np.array(starts), np.array(stops))


def test_epochs_of_a_night_have_mean_and_spread_of_their_vectors(tiny: Bundle) -> None:
    """Nights are read as with our encoder; an epoch that cannot be scored has none."""
    own = epoch_encoder(tiny, 1)
    parts = (own.preprocessing, own.tokenizer, own.encoder, own.max_tokens, own.layer)
    encoder = SignalEpochEncoder(*parts, TENTHS)
    epochs = np.random.default_rng(0).normal(size=(3, 1000))
    epochs[1, 5] = np.nan

    embedded = encoder.encode(epochs)

    assert embedded.shape == (3, encoder.n_embedding) == (3, 4)
    assert np.isnan(embedded[1]).all()
    # The second number is the tenth of its stretch: six whole stretches of 5 s, so mean 4.5 and spread of 0 to 9.
    np.testing.assert_allclose(embedded[[0, 2]][:, [1, 3]], [[4.5, 8.25**0.5]] * 2, atol=0.05)
    assert np.isnan(encoder.encode(np.full((2, 1000), np.nan))).all()


def _hubert(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    def model(given: torch.Tensor) -> SimpleNamespace:
        assert given.abs().max() <= 1
        return SimpleNamespace(last_hidden_state=given.reshape(len(given), 10, 50))

    def from_pretrained(folder: str, *, local_files_only: bool) -> SimpleNamespace:
        assert local_files_only
        return SimpleNamespace(eval=lambda: model)

    monkeypatch.setattr("transformers.AutoModel", SimpleNamespace(from_pretrained=from_pretrained))
    return ModuleType("hubert_ecg")


def _chronos(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    def embed(given: torch.Tensor) -> tuple[torch.Tensor, None]:
        end = torch.zeros(len(given), 1)  # the end mark has a vector of its own
        return torch.cat([given, end], dim=1)[..., None].expand(-1, -1, 3), None

    module = ModuleType("chronos")
    module.ChronosPipeline = SimpleNamespace(  # type: ignore[attr-defined]
        from_pretrained=lambda folder, device_map: SimpleNamespace(embed=embed)
    )
    return module


def _moment(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    def embed(x_enc: torch.Tensor, reduction: str) -> SimpleNamespace:
        assert (x_enc.shape[1], reduction) == (1, "none")
        return SimpleNamespace(embeddings=x_enc.reshape(len(x_enc), 1, 64, 8))

    def from_pretrained(folder: str, *, model_kwargs: dict[str, str], local_files_only: bool) -> SimpleNamespace:
        assert (model_kwargs, local_files_only) == ({"task_name": "embedding"}, True)
        return SimpleNamespace(init=lambda: None, eval=lambda: None, embed=embed)

    module = ModuleType("momentfm")
    module.MOMENTPipeline = SimpleNamespace(from_pretrained=from_pretrained)  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize(
    ("name", "fake", "shape"),
    [("hubert-ecg", _hubert, (40, 50)), ("chronos", _chronos, (2000, 3)), ("moment", _moment, (250, 8))],
)
def test_public_encoders_are_loaded_from_a_folder(
    name: str,
    fake: Callable[[pytest.MonkeyPatch], ModuleType],
    shape: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Each is asked in its own way and gives vectors with times in one way; nothing is fetched."""
    monkeypatch.setitem(sys.modules, ADAPTERS[name].package, fake(monkeypatch))
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")

    found = load_rival(name, tmp_path).embed(synthetic_ecg(20.0, 250.0)[0], 250.0)

    assert found.vectors.shape == shape
    assert found.stops_s[-1] == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_missing_encoder_says_what_to_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are downloaded by the user, who also accepts their licence."""
    monkeypatch.setitem(sys.modules, ADAPTERS[name].package, None)

    with pytest.raises(ConfigError, match=f"config.json is missing. Fetch it with: hf download .* {tmp_path}"):
        load_rival(name, tmp_path)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"needs the package '{ADAPTERS[name].package}'.*Run: pip install"):
        load_rival(name, tmp_path)


def test_an_unknown_encoder_is_refused(tmp_path: Path) -> None:
    """The message names those there are."""
    with pytest.raises(ConfigError, match="no adapter for 'gpt'; choose one of hubert-ecg, chronos, moment"):
        load_rival("gpt", tmp_path)
