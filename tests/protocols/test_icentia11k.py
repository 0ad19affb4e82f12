"""Patients of Icentia11k are on one side of the split, whatever folder their segments lie in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import wfdb

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError, LeakageError, RecordFormatError
from heartbert.protocols.beat_rows import OURS
from heartbert.protocols.beat_table import TableSettings
from heartbert.protocols.heartbeats import HeartbeatTask, evaluate_heartbeats
from heartbert.protocols.icentia11k import evaluate_icentia11k, find_segments, split_patients
from tests.synthetic import synthetic_ecg

PATIENTS = range(5)


@pytest.fixture(scope="module")
def icentia(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return five patients with two segments of half a minute each in the published layout, one segment of noise."""
    root = tmp_path_factory.mktemp("icentia11k")
    for patient in PATIENTS:
        for segment in range(2):
            write_segment(root, patient, segment)
    noise = root / "p00" / "p00002" / "p00002_s01"
    wfdb.wrann(noise.name, "atr", np.array([5]), ["+"], fs=250, aux_note=["(N"], write_dir=str(noise.parent))
    return root


def write_segment(root: Path, patient: int, segment: int) -> None:
    """Write one segment with beats N, S, V and Q and marks of rhythm, as published."""
    folder = root / "p00" / f"p{patient:05d}"
    folder.mkdir(parents=True, exist_ok=True)
    signal, samples, symbols = synthetic_ecg(30.0, 250.0, seed=10 * patient + segment, ventricular_share=0.25)
    name = f"p{patient:05d}_s{segment:02d}"
    wfdb.wrsamp(
        name, fs=250, units=["mV"], sig_name=["ecg"], p_signal=signal[:, None].astype(float), fmt=["16"],
        adc_gain=[1000.0], baseline=[0], write_dir=str(folder),
    )  # fmt: skip
    symbols[3], symbols[5] = "S", "Q"
    marks = [(10, "+", "(N"), *((int(at), symbol, "") for at, symbol in zip(samples, symbols, strict=True))]
    columns = [list(column) for column in zip(*marks, strict=True)]
    wfdb.wrann(name, "atr", np.array(columns[0]), columns[1], aux_note=columns[2], fs=250, write_dir=str(folder))


@pytest.fixture
def ours_only(quick: TableSettings) -> TableSettings:
    """Return settings of the shortest table."""
    return replace(quick, rows=("majority class", OURS), placements=("reference",))


def test_segments_without_beats_are_left_out(icentia: Path) -> None:
    """A segment of noise has nothing to score."""
    segments = find_segments(icentia)

    assert {patient: len(paths) for patient, paths in segments.items()} == {
        "p00000": 2, "p00001": 2, "p00002": 1, "p00003": 2, "p00004": 2,
    }  # fmt: skip


def test_drawn_patients_and_segments_are_the_same_each_time(icentia: Path) -> None:
    """The whole database is too much for most; everybody must take the same part."""
    first, second = (find_segments(icentia, n_patients=3, n_segments=1) for _ in range(2))

    assert first == second
    assert [len(paths) for paths in first.values()] == [1, 1, 1]


def test_patients_are_on_one_side(icentia: Path) -> None:
    """Two segments of one patient show one heart."""
    split = split_patients(find_segments(icentia))

    sides = [{one.person for one in side} for side in (split.training, split.validation, split.test)]
    assert [len(side) for side in sides] == [3, 1, 1]
    assert len(set.union(*sides)) == 5


def test_too_few_patients_are_refused(icentia: Path) -> None:
    """Training, validation and test need one each."""
    with pytest.raises(ConfigError, match="2 patients with annotated beats; at least 3 are needed"):
        split_patients(find_segments(icentia, n_patients=2))


def test_folder_without_segments_is_refused(tmp_path: Path) -> None:
    """A wrong folder is the most common mistake."""
    with pytest.raises(RecordFormatError, match=r"holds no annotated segment like p00/p00000/p00000_s00.hea"):
        find_segments(tmp_path)


def test_table_scores_held_out_patients_without_class_f(
    bundle: Bundle, ours_only: TableSettings, icentia: Path, tmp_path: Path
) -> None:
    """The technologists marked N, S, V and Q."""
    task = HeartbeatTask("icentia11k", icentia, n_segments=1)

    result = evaluate_heartbeats(bundle, task, tmp_path / "out", ours_only)

    assert set(result["f1"]) == {"N", "S", "V"}
    assert result["protocol"] == "icentia11k"
    assert result["leaks"] == []
    assert np.sum(result["confusion"][4]) > 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"runs", "result.json", "records.csv", "scores.png"}


def test_windows_of_the_published_task_are_split_by_patient(
    bundle: Bundle, ours_only: TableSettings, icentia: Path, tmp_path: Path
) -> None:
    """HeartBERT's own heartbeat task was windows of Icentia11k."""
    task = HeartbeatTask("paper", icentia, n_segments=1)

    result = evaluate_heartbeats(bundle, task, tmp_path / "out", ours_only)

    assert result["leaks"] == []
    assert np.sum(result["confusion"]) == np.sum(result["random_windows"]["confusion"]) == 5 * 10


def test_encoder_that_saw_another_segment_of_a_test_patient_is_refused(
    bundle: Bundle, ours_only: TableSettings, icentia: Path, tmp_path: Path
) -> None:
    """The patient is who must be new, not the segment."""
    segments = find_segments(icentia)
    patient = split_patients(segments).test[0].record.partition("_")[0]
    known = replace(bundle, manifest={**bundle.manifest, "corpus": {"records": [f"{patient}_s49"]}})

    with pytest.raises(LeakageError, match=f"unlabelled signal of 1 test person, first '.*/{patient}'"):
        evaluate_icentia11k(known, segments, tmp_path / "out", ours_only)
