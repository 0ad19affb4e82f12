"""Hypnograms as plot and as files."""

import csv
import json
from datetime import datetime
from pathlib import Path

import edfio
import numpy as np
import pytest
from matplotlib.figure import Figure

from heartbert.databases.slpdb import read_scored_night
from heartbert.errors import ConfigError
from heartbert.predictions.sleep_labels import STAGE_SETS, SleepPredictions
from heartbert.records import read_annotations
from heartbert.results.hypnogram import draw_hypnogram
from heartbert.results.hypnogram_files import (
    write_hypnogram_csv,
    write_hypnogram_edf,
    write_hypnogram_wfdb,
    write_sleep_results,
)

STAGES = np.array([0, 0, 1, 2, 2, 3, 3, 4, 4, 0])
START = datetime(2024, 5, 1, 23, 7)


def predictions_of(
    stages: np.ndarray = STAGES, *, start: datetime | None = START, uncertain: int | None = None
) -> SleepPredictions:
    """Return predictions that are certain of each stage, but for one epoch."""
    five = np.full((stages.size, 5), 0.05, dtype=np.float32)
    five[np.arange(stages.size), stages] = 0.8
    if uncertain is not None:
        five[uncertain] = (0.3, 0.2, 0.2, 0.2, 0.1)
    return SleepPredictions(start, {name: stage_set.join(five) for name, stage_set in STAGE_SETS.items()})


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_csv_has_a_row_an_epoch_with_time_stages_and_probabilities(tmp_path: Path) -> None:
    """All that was predicted can be read without heartbert."""
    write_hypnogram_csv(predictions_of(uncertain=9), tmp_path / "h.csv", least_probability=0.5)

    rows = _rows(tmp_path / "h.csv")
    assert [row["stages5"] for row in rows] == ["W", "W", "N1", "N2", "N2", "N3", "N3", "R", "R", "?"]
    assert rows[2]["time"] == "2024-05-01T23:08:00"
    assert float(rows[2]["p_stages5_N1"]) == pytest.approx(0.8)
    assert rows[5]["stages4"] == "deep"


def test_csv_without_start_has_no_time(tmp_path: Path) -> None:
    """A date must not be invented."""
    write_hypnogram_csv(predictions_of(start=None), tmp_path / "h.csv")

    assert _rows(tmp_path / "h.csv")[0]["time"] == ""


def test_edf_annotations_use_the_texts_of_the_standard(tmp_path: Path) -> None:
    """Polysomnography programs know these texts."""
    write_hypnogram_edf(predictions_of(uncertain=0), tmp_path / "h.edf", least_probability=0.5)

    file = edfio.read_edf(tmp_path / "h.edf")
    assert [one.text for one in file.annotations][:4] == [
        "Sleep stage ?",
        "Sleep stage W",
        "Sleep stage N1",
        "Sleep stage N2",
    ]
    assert [(one.onset, one.duration) for one in file.annotations][3] == (90.0, 30.0)
    assert datetime.combine(file.startdate, file.starttime) == START


def test_edf_without_start_can_be_read(tmp_path: Path) -> None:
    """EDF+ needs a date; the earliest stands for none."""
    write_hypnogram_edf(predictions_of(start=None), tmp_path / "h.edf")

    assert len(edfio.read_edf(tmp_path / "h.edf").annotations) == STAGES.size


def test_st_file_reads_as_the_same_night(tmp_path: Path) -> None:
    """Our hypnogram can be compared like that of a person; an open epoch is unscored."""
    path = write_hypnogram_wfdb(predictions_of(uncertain=1), tmp_path, "night", fs=250.0, least_probability=0.5)

    annotations = read_annotations(path, "st")
    assert annotations.samples[:2].tolist() == [1, 15000]
    assert set(annotations.symbols) == {'"'}
    stages = read_scored_night(tmp_path / "night.hea").stages
    assert stages.tolist() == [0, -1, 1, 2, 2, 3, 3, 4, 4, 0]


def test_st_file_without_certain_epochs_is_empty(tmp_path: Path) -> None:
    """Everything left open is no error."""
    path = write_hypnogram_wfdb(predictions_of(), tmp_path, "night", fs=250.0, least_probability=0.99)

    assert path.read_bytes() == b"\0\0"


def test_st_file_refuses_a_name_that_wfdb_cannot_read(tmp_path: Path) -> None:
    """The message says what is allowed."""
    with pytest.raises(ConfigError, match="record name is 'a b'"):
        write_hypnogram_wfdb(predictions_of(), tmp_path, "a b", fs=250.0)


@pytest.mark.parametrize("start", [START, None])
@pytest.mark.parametrize("stage_set", sorted(STAGE_SETS))
def test_plot_shows_every_class_and_probabilities_up_to_one(start: datetime | None, stage_set: str) -> None:
    """The hypnodensity is full at every epoch."""
    figure = Figure()

    draw_hypnogram(figure, predictions_of(start=start, uncertain=3), stage_set=stage_set, least_probability=0.5)  # type: ignore[arg-type]

    above, below = figure.axes
    assert {text.get_text() for text in above.get_yticklabels()} == set(STAGE_SETS[stage_set].classes)  # type: ignore[index]
    top = below.patches[-1].get_data()
    np.testing.assert_allclose(top.values, 1, rtol=1e-5)
    assert below.get_xlabel() == ("time of day" if start else "hours since the start of the recording")


def test_results_are_written_together(tmp_path: Path) -> None:
    """A folder with everything a person asks for."""
    paths = write_sleep_results(predictions_of(uncertain=0), tmp_path, "night", fs=250.0, least_probability=0.5)

    assert [path.name for path in paths] == [
        "hypnogram.png",
        "hypnogram.csv",
        "hypnogram.edf",
        "night.st",
        "sleep.json",
    ]
    summary = json.loads((tmp_path / "sleep.json").read_text(encoding="utf-8"))
    assert summary["share_left_open"] == pytest.approx(0.1)
    assert summary["sleep_min"] == 3.5
    assert summary["start"] == START.isoformat()
