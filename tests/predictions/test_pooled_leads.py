"""One vector a lead: the same whatever is embedded beside it, and the mean of what the pipeline gives."""

from pathlib import Path

import numpy as np
import pytest

from heartbert.bundle import load_bundle
from heartbert.pipeline import HeartBert
from heartbert.predictions import pooled_leads
from heartbert.predictions.pooled_leads import LeadPooler, Pooling
from heartbert.records.record import Channel
from tests.synthetic import record_of, synthetic_ecg


def pooler_of(folder: Path, *, layer: int | None = None, pooling: Pooling = "mean") -> LeadPooler:
    """Return the pooler of a bundle."""
    bundle = load_bundle(folder)
    return LeadPooler(bundle.preprocessing, bundle.token_reader, layer, pooling)


def lead(duration_s: float, *, seed: int = 0, fs: float = 360.0) -> Channel:
    """Return a generated lead."""
    return record_of(synthetic_ecg(duration_s, fs, seed=seed)[0], fs).lead()


def test_mean_is_that_of_all_tokens_of_the_pipeline(tiny_pretrained: Path) -> None:
    """Also of a lead of many windows whose last one is short."""
    record = record_of(synthetic_ecg(31.0, 250.0)[0], 250.0)
    tokens = HeartBert.load(tiny_pretrained).embed(record, unit="token").vectors

    found = pooler_of(tiny_pretrained, pooling="mean-std").embed([record.lead()])

    expected = np.concatenate([tokens.mean(axis=0), tokens.std(axis=0)])
    np.testing.assert_allclose(found[0], expected, atol=2e-5)


@pytest.mark.parametrize("limits", [(49_152, 32), (100, 32), (400, 1), (1, 2)])
def test_vectors_do_not_depend_on_what_is_embedded_together(
    tiny_pretrained: Path, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int]
) -> None:
    """Groups are for speed and memory; a lead may end in any of them."""
    channels = [lead(7.0, seed=1), lead(20.0, seed=2, fs=250.0), lead(1.0, seed=3)]
    pooler = pooler_of(tiny_pretrained)
    alone = np.concatenate([pooler.embed([channel]) for channel in channels])

    monkeypatch.setattr(pooled_leads, "_TOKENS_AT_A_TIME", limits[0])
    monkeypatch.setattr(pooled_leads, "_WINDOWS_AT_A_TIME", limits[1])

    np.testing.assert_allclose(pooler.embed(channels), alone, atol=1e-5)


def test_unscorable_signal_does_not_count(tiny_pretrained: Path) -> None:
    """A loose electrode says nothing of the heart; a lead without any signal has no vector."""
    signal = synthetic_ecg(22.0, 360.0)[0]
    signal[2000:6000] = np.nan  # the second and third window
    gap = record_of(signal, 360.0).lead()
    flat = record_of(np.zeros(3600, dtype=np.float32), 360.0).lead()

    found = pooler_of(tiny_pretrained).embed([flat, gap, flat])

    assert found.shape == (3, 32)
    np.testing.assert_array_equal(np.isfinite(found).all(axis=1), [False, True, False])


def test_layers_differ_and_the_input_is_one_of_them(tiny_pretrained: Path) -> None:
    """Middle layers are often the best features."""
    channel = lead(6.0)

    vectors = [pooler_of(tiny_pretrained, layer=layer).embed([channel])[0] for layer in (None, 0, 1)]

    assert len({tuple(vector.round(4)) for vector in vectors}) == 3


def test_no_lead_gives_no_row(tiny_pretrained: Path) -> None:
    """An empty database is not an error of this stage."""
    assert pooler_of(tiny_pretrained).embed([]).shape == (0, 32)
