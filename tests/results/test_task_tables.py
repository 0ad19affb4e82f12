"""Predictions of a task are written as tables that other programs read back."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from heartbert.errors import ConfigError
from heartbert.predictions.tasks import TaskPredictions
from heartbert.results.task_tables import write_predictions


def _predictions(kind: Any = "single", *, beats: bool = False) -> TaskPredictions:
    classes = ("value",) if kind == "number" else ("a", "b")
    values = np.array([[1.23456e-5]] * 3 if kind == "number" else [[0.25, 0.75], [0.6, 0.4], [np.nan, np.nan]])
    times = np.arange(3.0)
    samples = np.arange(3) if beats else None
    unit = "beat" if beats else "window"
    quality = np.array([1, 0.5, 0], dtype=np.float32)
    return TaskPredictions("r", unit, kind, classes, times, times + 1, samples, values.astype(np.float32), quality)


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        return pd.read_csv(path, keep_default_na=False)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_json(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_every_format_holds_every_unit_of_every_recording(tmp_path: Path, suffix: str) -> None:
    """One row each, in the order they were given."""
    path = tmp_path / f"out{suffix}"

    n_rows = write_predictions([("x.npz", _predictions()), ("y.npz", _predictions())], path)

    frame = _read(path)
    assert n_rows == len(frame) == 6
    assert list(frame.columns) == ["record", "start_s", "stop_s", "label", "p_a", "p_b", "quality"]
    assert frame["record"].tolist() == ["x.npz"] * 3 + ["y.npz"] * 3
    assert frame["label"].tolist()[:3] == ["b", "a", ""]
    assert float(frame["p_b"].tolist()[0]) == 0.75


def test_beats_have_samples(tmp_path: Path) -> None:
    """They point into the recording at its own sampling frequency."""
    write_predictions([("x", _predictions(beats=True))], tmp_path / "out.csv")

    assert list(_read(tmp_path / "out.csv").columns)[:3] == ["record", "start_s", "sample"]


def test_number_keeps_its_digits(tmp_path: Path) -> None:
    """Nobody knows the size of what somebody else predicts."""
    write_predictions([("x", _predictions("number"))], tmp_path / "out.csv")

    assert _read(tmp_path / "out.csv")["value"].tolist() == pytest.approx([1.23456e-5] * 3)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    """Before anything is computed."""
    with pytest.raises(ConfigError, match=r"ends in '.xlsx'; predictions are written as .csv, .parquet, .json"):
        write_predictions([("x", _predictions())], tmp_path / "out.xlsx")
