"""An encoder that learns with the head of a task is stored with it, and predicts what was scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heartbert.bundle import load_bundle
from heartbert.errors import ConfigError
from heartbert.predictions.task_files import encoder_digest
from heartbert.predictions.task_units import UnitInput
from heartbert.predictions.tasks import predict_task
from heartbert.records import read_record
from heartbert.training.finetune import TaskSettings, bundle_with_task, train_task
from heartbert.training.finetune_encoder import _Embedder, _tokenize
from heartbert.training.finetune_units import EmbeddingStore, Reading, embed_table, place_units
from heartbert.training.heartbeat_encoder import EncoderTuning
from heartbert.training.label_tables import LabelTable, read_label_table
from heartbert.training.lead_attention import LeadAttentionConfig
from tests.labelled import write_record, write_table

QUICK = LeadAttentionConfig(n_units=8, n_training_epochs=3, batch_size=16)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> LabelTable:
    """Return two windows of each of six recordings, the first of them partly without signal."""
    folder, rows = tmp_path_factory.mktemp("recordings"), []
    for person in range(6):
        write_record(folder, f"r{person}", np.repeat([0.05, 0.5], 12), seed=person)
        rows += [(f"r{person}.npz", person, "low", 0, 12), (f"r{person}.npz", person, "high", 12.5, 24)]
    path = write_table(folder / "labels.csv", ("record", "subject", "label", "start_s", "stop_s"), rows)
    return read_label_table(path, unit="window")


def test_embeddings_with_gradients_are_those_that_heads_read(table: LabelTable, tiny_pretrained: Path) -> None:
    """What learns must be what is used later."""
    bundle, read, reading = load_bundle(tiny_pretrained), UnitInput("window", 2), Reading()
    placed = place_units(table, read, reading)
    expected = embed_table(table, placed, read, (EmbeddingStore(bundle, None), reading))
    units = _tokenize(bundle, placed, (read, reading), len(table), lambda *_: None)

    with torch.no_grad():
        vectors, mask = _Embedder(bundle.token_reader, units, read, "cpu").embed(np.arange(len(table)))

    assert np.array_equal(mask.numpy(), expected.mask)
    assert vectors.numpy() == pytest.approx(expected.vectors, abs=0.05)


@pytest.mark.parametrize("tuning", [{"n_layers": 1}, {"lora_rank": 2}])
def test_tuned_encoder_is_stored_without_the_heads_it_had(
    table: LabelTable, tiny_bundle: Path, tmp_path: Path, tuning: dict[str, int]
) -> None:
    """They were trained on the encoder as it was; the new one predicts what was scored."""
    settings = TaskSettings(
        "mine", layer=2, network=QUICK, tuning=EncoderTuning(**tuning, n_training_epochs=1, learning_rate=1e-2)
    )

    trained = bundle_with_task(tiny_bundle, table, tmp_path / "out", settings)

    before, after = load_bundle(tiny_bundle), load_bundle(tmp_path / "out")
    assert encoder_digest(after.model) != encoder_digest(before.model)
    assert after.heartbeats is None
    assert "heartbeats" not in after.manifest
    assert after.manifest["tasks"]["mine"]["tuning"]["lora_rank"] == tuning.get("lora_rank", 0)
    record = read_record(table.paths[0])
    parts = after.preprocessing, after.token_reader
    predictions = predict_task(after.task("mine"), parts, record, window_s=12.0)
    assert predictions.values[0] == pytest.approx(trained.values[0], abs=1e-2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tuning": EncoderTuning(n_layers=5)}, "number of layers to unfreeze is 5; the encoder has 2"),
        ({"layer": 1, "tuning": EncoderTuning(n_layers=2)}, "the head reads layer 1; only those up to it"),
        ({"layer": 0, "tuning": EncoderTuning(lora_rank=2)}, "the head reads layer 0"),
    ],
)
def test_layers_that_have_no_effect_are_refused(
    table: LabelTable, tiny_pretrained: Path, change: dict[str, Any], said: str
) -> None:
    """Before anything is embedded."""
    with pytest.raises(ConfigError, match=said):
        train_task(load_bundle(tiny_pretrained), table, TaskSettings("mine", **change))


def test_encoder_does_not_learn_with_beats(tiny_pretrained: Path, tmp_path: Path) -> None:
    """The message says what can be done."""
    rows = []
    for person in range(6):
        beats = write_record(tmp_path, f"r{person}", [0.1] * 6, seed=person)
        rows += [(f"r{person}.npz", person, number % 2, sample) for number, sample in enumerate(beats)]
    path = write_table(tmp_path / "labels.csv", ("record", "subject", "label", "sample"), rows)
    settings = TaskSettings("mine", tuning=EncoderTuning(n_layers=1))

    with pytest.raises(ConfigError, match="does not learn with the unit 'beat'"):
        train_task(load_bundle(tiny_pretrained), read_label_table(path, unit="beat"), settings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "exactly one of the two must be above 0"),
        ({"n_layers": 1, "lora_rank": 1}, "exactly one"),
        ({"n_layers": 1, "examples_per_step": 0}, "both must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, int], said: str) -> None:
    """One way of learning at a time."""
    with pytest.raises(ConfigError, match=said):
        EncoderTuning(**change)
