"""Heads of tasks survive saving, say what they mean, and refuse what does not belong to them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heartbert.errors import BundleError, ConfigError
from heartbert.predictions.lead_attention import LeadAttention
from heartbert.predictions.task_files import check_task_name, load_task_heads, save_task_heads
from heartbert.predictions.task_units import UnitEmbeddings, UnitInput
from heartbert.predictions.tasks import TaskHead, TaskPredictions, labels_of


def _head(kind: Any = "single", *, n_leads: int | None = None) -> TaskHead:
    torch.manual_seed(0)
    network = LeadAttention(6, 3, 4, 0.0, n_leads=n_leads).eval()
    leads = ("i", "ii") if n_leads else ()
    return TaskHead(network, kind, ("a", "b", "c"), UnitInput("record", 1, leads=leads), 2.0, "0" * 64)


def _embeddings(n_leads: int = 1) -> UnitEmbeddings:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(4, n_leads, 2, 6)).astype(np.float32)
    mask = np.ones(vectors.shape[:3], dtype=np.bool_)
    mask[3] = False
    return UnitEmbeddings(vectors, mask, np.ones(4, dtype=np.float32))


@pytest.mark.parametrize("kind", ["single", "multi", "number"])
@pytest.mark.parametrize("n_leads", [None, 2])
def test_saved_head_predicts_the_same(tmp_path: Path, kind: str, n_leads: int | None) -> None:
    """What was scored is what is stored."""
    head, embeddings = _head(kind, n_leads=n_leads), _embeddings(n_leads or 1)

    save_task_heads({"mine": head}, tmp_path)
    loaded = load_task_heads(tmp_path, [path.name for path in tmp_path.iterdir()])["mine"]

    assert np.array_equal(loaded.apply(embeddings), head.apply(embeddings), equal_nan=True)
    assert replace(loaded, network=head.network) == head


def test_probabilities_sum_to_one_and_nothing_gives_nan() -> None:
    """A unit without signal has no class."""
    values = _head().apply(_embeddings())

    assert values[:3].sum(axis=1) == pytest.approx(1.0)
    assert np.isnan(values[3]).all()


def test_temperature_makes_probabilities_more_even() -> None:
    """It divides the scores of classes and leaves numbers alone."""
    head, number = _head(), _head("number")

    assert replace(head, temperature=10.0).apply(_embeddings())[:3].max() < head.apply(_embeddings())[:3].max()
    assert np.array_equal(replace(number, temperature=10.0).apply(_embeddings())[:3], number.apply(_embeddings())[:3])


def test_labels_are_named() -> None:
    """The most probable class, or all that are probable."""
    values, classes = np.array([0.6, 0.1, 0.7], dtype=np.float32), ("a", "b", "c")

    assert labels_of(values, classes, "single") == "c"
    assert labels_of(values, classes, "multi") == "a;c"
    assert labels_of(np.full(3, np.nan, dtype=np.float32), classes, "single") == ""


def test_number_has_no_labels() -> None:
    """Its column is empty by nature, not by mistake."""
    none = np.zeros(1)
    predictions = TaskPredictions(
        "r", "record", "number", ("value",), none, none, None, np.ones((1, 1), np.float32), none
    )

    with pytest.raises(ConfigError, match="has no labels; read values"):
        _ = predictions.labels


@pytest.mark.parametrize("name", ["", "Mine", "../x", "a b", "-a", "a" * 41])
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    """A name is part of the name of a file."""
    with pytest.raises(ConfigError, match="is no name for a task"):
        check_task_name(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"temperature": -1}, "not possible"), ({"kind": "odd"}, "not possible"), ({"n_units": 9}, "size mismatch")],
)
def test_damaged_head_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """The message names the file."""
    save_task_heads({"mine": _head()}, tmp_path)
    path = tmp_path / "task-mine.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")

    with pytest.raises(BundleError, match=f"(?s)task-mine.json cannot be used.*{said}"):
        load_task_heads(tmp_path, ["task-mine.json"])


def test_file_that_is_not_listed_is_no_head(tmp_path: Path) -> None:
    """Only files whose checksum the manifest holds belong to a bundle."""
    save_task_heads({"mine": _head()}, tmp_path)

    assert load_task_heads(tmp_path, ["manifest.json"]) == {}
