from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from heartbert.bundle import Bundle, load_bundle
from heartbert.errors import ConfigError
from heartbert.predictions.beat_windows import LeadLevels
from heartbert.predictions.heartbeats import WAVEFORM_SAMPLES, HeartbeatHead, build_network
from heartbert.training.config import read_config
from heartbert.training.heartbeat_leads import LabelledLead, read_labelled_lead
from heartbert.training.heartbeat_tuning import BeatEmbedder, FineTuning, beat_embedder, tune_head
from heartbert.training.heartbeats import embed_annotated

SETTINGS = replace(read_config("tiny").heartbeats, layer=2)
QUICK = FineTuning(n_layers=1, n_training_epochs=1, examples_per_step=40)


@pytest.fixture(scope="module")
def bundle(tiny_pretrained: Path) -> Bundle:
    return load_bundle(tiny_pretrained)


@pytest.fixture(scope="module")
def leads(bundle: Bundle, tiny_database: Path) -> tuple[list[LabelledLead], list[LabelledLead]]:
    a, c = (read_labelled_lead(bundle.preprocessing, tiny_database / f"{name}.hea") for name in "ac")
    return [a], [c]


@pytest.fixture(params=[0, WAVEFORM_SAMPLES.size])
def head(request: pytest.FixtureRequest) -> HeartbeatHead:
    torch.manual_seed(0)
    n_waveform = request.param
    return HeartbeatHead(build_network(96 + n_waveform, n_units=4, dropout=0.0, n_waveform=n_waveform).eval(), 2)


def test_embedded_beats_are_those_of_the_pipeline(
    bundle: Bundle, leads: tuple[list[LabelledLead], list[LabelledLead]], tiny_database: Path
) -> None:
    """The head must meet the same numbers when it is trained with the encoder as when it is used."""
    expected = embed_annotated(bundle, tiny_database / "a.hea", layer=1)
    embedder = BeatEmbedder(bundle.token_reader, bundle.preprocessing.window_samples, 1)

    found = embedder.embedded(leads[0][0], beats_at_a_time=7)

    np.testing.assert_array_equal(found.r_peaks, expected.r_peaks)
    np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=0.05)  # bfloat16 and float16
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_waveforms_of_embedded_beats_are_those_of_the_pipeline(
    bundle: Bundle, leads: tuple[list[LabelledLead], list[LabelledLead]], tiny_database: Path
) -> None:
    """While an encoder learns, waveforms come from levels: they differ by what the codebook rounds."""
    n_waveform = WAVEFORM_SAMPLES.size
    expected = embed_annotated(bundle, tiny_database / "a.hea", layer=1, n_waveform=n_waveform)
    head = HeartbeatHead(build_network(96 + n_waveform, n_units=4, dropout=0.0, n_waveform=n_waveform).eval(), 1)

    found = beat_embedder(bundle, bundle.token_reader, head).embedded(leads[0][0], beats_at_a_time=7)

    assert (found.n_waveform, expected.n_waveform) == (n_waveform, n_waveform)
    assert found.embeddings.shape == expected.embeddings.shape
    rounding = np.diff(bundle.preprocessing.codebook.values).max()
    inner = slice(1, -1)  # beyond its ends a lead goes on in another way
    differences = np.abs(found.embeddings[inner, 96:].astype(float) - expected.embeddings[inner, 96:])
    assert np.median(differences) < rounding


def test_beats_without_signal_are_embedded_as_zero(bundle: Bundle) -> None:
    """As in the pipeline."""
    lead = LeadLevels(np.zeros(3000, dtype=np.uint8), np.ones(3000, dtype=bool))
    embedder = BeatEmbedder(bundle.token_reader, bundle.preprocessing.window_samples, 1)

    assert not embedder.embed(lead, np.array([1000, 1500])).any()


@pytest.mark.parametrize("tuning", [QUICK, FineTuning(lora_rank=2, n_training_epochs=1, examples_per_step=40)])
def test_tuning_changes_the_encoder_of_a_copy(
    bundle: Bundle, leads: tuple[list[LabelledLead], list[LabelledLead]], head: HeartbeatHead, tuning: FineTuning
) -> None:
    """The bundle that was read stays as it is, and what comes out has the same parameters, no additions."""
    if tuning.lora_rank:
        pytest.importorskip("peft")
    before = {name: value.clone() for name, value in bundle.model.state_dict().items()}

    tuned = tune_head(bundle, head, leads, (SETTINGS, tuning))

    after = tuned.model.state_dict()
    assert after.keys() == before.keys()
    assert any(not torch.equal(after[name], before[name]) for name in before)
    torch.testing.assert_close(bundle.model.state_dict(), before, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in tuned.model.parameters())
    assert len(tuned.trained.curve) == 1
    assert tuned.trained.calibration is not None
    assert tuned.trained.head.temperature == tuned.trained.calibration.temperature
    assert tuned.n_parameters > sum(parameter.numel() for parameter in head.network.parameters())


def test_tuning_comes_out_again_under_a_seed(
    bundle: Bundle, leads: tuple[list[LabelledLead], list[LabelledLead]], head: HeartbeatHead
) -> None:
    """Results must come out again."""
    first, second = (tune_head(bundle, head, leads, (SETTINGS, QUICK)).trained for _ in range(2))

    assert first.scores == second.scores
    assert first.head.temperature == second.head.temperature


def test_runs_of_beats_without_a_label_are_passed_over(
    bundle: Bundle, leads: tuple[list[LabelledLead], list[LabelledLead]], head: HeartbeatHead
) -> None:
    """The mean over no beat is no number, and would end the training."""
    first = leads[0][0]
    labels = np.where(np.arange(first.beats.labels.size) < 50, -1, first.beats.labels)
    training = [replace(first, beats=replace(first.beats, labels=labels))]

    tuned = tune_head(bundle, head, (training, leads[1]), (SETTINGS, replace(QUICK, examples_per_step=20)))

    assert all(torch.isfinite(parameter).all() for parameter in tuned.model.parameters())


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({}, "0 layers are to learn, and low-rank additions of rank 0; exactly one"),
        ({"n_layers": 1, "lora_rank": 4}, "1 layers are to learn, and low-rank additions of rank 4; exactly one"),
        ({"n_layers": -1, "lora_rank": 4}, "exactly one of the two must be above 0"),
        ({"n_layers": 1, "n_training_epochs": 0}, "for 0 training epochs"),
    ],
)
def test_fine_tuning_refuses_settings_that_contradict(numbers: dict[str, int], message: str) -> None:
    """Two ways of learning at once, or none, is a mistake."""
    with pytest.raises(ConfigError, match=message):
        FineTuning(**numbers)


def test_layers_above_the_head_cannot_learn(bundle: Bundle, head: HeartbeatHead) -> None:
    """They have no effect on it; the number asked for would be a lie."""
    with pytest.raises(ConfigError, match="2 layers are to learn, and the head reads layer 1"):
        tune_head(bundle, replace(head, layer=1), ([], []), (SETTINGS, replace(QUICK, n_layers=2)))
