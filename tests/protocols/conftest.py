"""Generated recordings in the layouts of the databases, and a quick table of scores made from them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from heartbert.bundle import Bundle, load_bundle
from heartbert.evaluation.ec57_marks import Marks
from heartbert.evaluation.leakage import Examples
from heartbert.predictions.labels import AamiClass
from heartbert.protocols import beat_rows
from heartbert.protocols.beat_records import BeatRecord
from heartbert.protocols.beat_table import TableSettings
from heartbert.records.record import Annotations
from heartbert.training.config import HeartbeatsConfig, read_config
from heartbert.training.heartbeats import AnnotatedBeats
from tests.synthetic import write_annotated


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> TableSettings:
    """Return settings of a table that takes seconds: one seed, one training epoch, few trees."""
    monkeypatch.setattr(beat_rows, "_BOOSTING_ROUNDS", 3)
    return TableSettings(replace(read_config("tiny").heartbeats, n_seeds=1, n_training_epochs=1, layer=1))


@pytest.fixture
def heads(quick: TableSettings) -> HeartbeatsConfig:
    """Return settings of heads that take seconds."""
    return quick.heads


@pytest.fixture
def bundle(tiny_pretrained: Path) -> Bundle:
    """Return a bundle whose encoder has seen records a and b of a database of its own."""
    return load_bundle(tiny_pretrained)


@pytest.fixture
def write_records(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes generated records of half a minute into a folder below the test's own."""

    def write(names: Sequence[str], folder: str = "mitdb") -> Path:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(names):
            write_annotated(tmp_path / folder, name, seed=number, duration_s=30.0)
        return tmp_path / folder

    return write


def beats_at(
    times_s: Sequence[float], reference: str, *, labels: Sequence[int] | None = None, record: str = "r"
) -> BeatRecord:
    """Return a recording with beats found at some times, and one reference beat a second of the given classes."""
    reference_s = 1.0 + np.arange(len(reference))
    classes = np.array([AamiClass[symbol] for symbol in reference], dtype=np.int64)
    annotations = Annotations(
        np.round(reference_s * 360).astype(np.int64), tuple(reference), ("",) * len(reference), 360.0
    )
    r_peaks = np.round(np.array(times_s) * 360).astype(np.int64)
    known = classes[: r_peaks.size] if labels is None else np.array(labels, dtype=np.int64)
    beats = AnnotatedBeats(record, r_peaks, np.empty((r_peaks.size, 0), np.float16), known, reference_s, classes)
    marks = Marks(annotations, np.zeros(len(reference), dtype=np.int64))
    return BeatRecord(Examples("mine", record), beats, {}, marks, len(reference) + 2.0)


def certain(symbols: str) -> npt.NDArray[np.float32]:
    """Return probabilities of 1 for given classes."""
    return np.eye(len(AamiClass), dtype=np.float32)[[AamiClass[symbol] for symbol in symbols]]
