"""Counts equal those of bxb; tests/data/README.md says how they were made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heartbert.evaluation.ec57 import Comparison, Rules, compare_annotators
from heartbert.evaluation.ec57_files import read_marks, score_files
from heartbert.evaluation.ec57_marks import Marks
from heartbert.records.record import Annotations
from tests.evaluation.perturbing import PerturbedMark, perturb

STORED: dict[str, Any] = json.loads((Path(__file__).parent.parent / "data" / "ec57_bxb.json").read_text())
MITDB_FS, MITDB_SAMPLES = 360.0, 650_000


def _marks(marks: list[PerturbedMark], fs: float) -> Marks:
    samples, symbols, subtypes = zip(*marks, strict=True)
    annotations = Annotations(np.array(samples, dtype=np.int64), tuple(symbols), ("",) * len(symbols), fs)
    return Marks(annotations, np.array(subtypes, dtype=np.int64))


def _assert_equal(comparison: Comparison, stored: dict[str, Any], fs: float) -> None:
    assert comparison.counts.tolist() == stored["counts"]
    assert comparison.rr_error_ms == pytest.approx((stored["sum_rr"] / stored["n_rr"]) ** 0.5 * 1000 / fs)


@pytest.mark.parametrize("case", STORED["synthetic"])
def test_counts_of_random_annotations_equal_those_of_bxb(case: dict[str, Any]) -> None:
    """Fibrillation, shutdown, escape beats, close beats, other rates, windows and ends, all mixed."""
    fs, end = float(case["fs"]), case["end_sample"]
    rules = Rules(start_s=case["start_s"], window_s=case["window_s"], labelling="bxb")

    comparison = compare_annotators(
        _marks(case["reference"], fs),
        _marks(case["test"], fs),
        duration_s=None if end is None else end / fs,
        rules=rules,
    )

    _assert_equal(comparison, case, fs)


@pytest.mark.data
def test_counts_of_every_changed_mitdb_record_equal_those_of_bxb(data_folder: Path) -> None:
    """104,383 pairs, with the fibrillation of 207, shutdown on both sides, escape and paced beats."""
    for name, stored in STORED["mitdb"].items():
        reference = read_marks(data_folder / "mitdb" / name, "atr")
        annotations = reference.annotations
        marks = zip(annotations.samples.tolist(), annotations.symbols, reference.subtypes.tolist(), strict=True)
        test = _marks(perturb(marks), MITDB_FS)

        comparison = compare_annotators(
            reference, test, duration_s=MITDB_SAMPLES / MITDB_FS, rules=Rules(labelling="bxb")
        )

        _assert_equal(comparison, stored, MITDB_FS)
        assert int(comparison.shutdown_s + 0.5) == stored["shutdown_s"]


@pytest.mark.data
def test_mitdb_against_itself_is_perfect(data_folder: Path) -> None:
    """All beats after the learning periods, and nothing off the diagonal."""
    scores = score_files(data_folder / "mitdb", data_folder / "mitdb")

    assert len(scores.records) == 48
    assert int(scores.counts.sum()) == int(np.trace(scores.counts)) == 91_285
    assert {ratio.value for ratio in scores.gross.values()} == {0.0, 1.0}
    assert scores.rr_error_ms == 0
