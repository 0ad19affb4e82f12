"""Counts and scores of classified beats equal those worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from heartbert.predictions.labels import AamiClass
from heartbert.protocols.beat_scoring import (
    N_BINS,
    Run,
    calibration_bins,
    calibration_error,
    run_from_json,
    score_records,
    scores_by_record,
    summarise_runs,
)
from tests.protocols.conftest import beats_at, certain

N, S, V = int(AamiClass.N), int(AamiClass.S), int(AamiClass.V)


def test_records_are_compared_beat_by_beat() -> None:
    """Of four beats one is missed, one is called V, and a beat is found where none is."""
    run = score_records([beats_at([1.0, 2.05, 3.5, 4.0], "NNVN", labels=[N, N, -1, N])], [certain("NVVN")])

    pairs = run.pairs[0]
    assert (pairs[N, N], pairs[N, V], pairs[V, 5], pairs[5, V]) == (2, 1, 1, 1)
    assert pairs.sum() == 5


def test_learning_period_is_left_out_of_the_standard_comparison() -> None:
    """EC57 does not score the first five minutes; a recording that is no longer has no standard score."""
    long = beats_at([1.0 + number for number in range(320)], "N" * 320)
    short = beats_at([1.0, 2.0], "NN", record="short")

    run = score_records([long, short], [certain("N" * 320), certain("NN")])

    assert run.pairs.sum(axis=(1, 2)).tolist() == [320, 2]
    assert run.standard_pairs.sum(axis=(1, 2)).tolist() == [21, 0]


def test_recording_without_a_found_beat_misses_all() -> None:
    """A detector that finds nothing must not vanish from the table."""
    run = score_records([beats_at([], "NNV")], [np.empty((0, 5), dtype=np.float32)])

    assert (run.pairs[0, N, 5], run.pairs[0, V, 5]) == (2, 1)


def test_calibration_error_equals_the_one_worked_out_by_hand() -> None:
    """Ten beats at 0.9 of which six are right, and ten at 0.5 of which five are: (3 + 0) / 20."""
    probabilities = np.zeros((21, 5), dtype=np.float32)
    probabilities[:10, 0], probabilities[10:, 0] = 0.9, 0.5
    labels = np.array([0] * 6 + [1] * 4 + [0] * 5 + [1] * 5 + [-1])

    bins = calibration_bins(labels, probabilities)

    assert bins.shape == (N_BINS, 3)
    assert bins[:, 0].sum() == 20
    assert float(calibration_error(bins)) == pytest.approx(0.15, abs=1e-6)
    assert np.isnan(calibration_error(np.zeros((N_BINS, 3))))


def test_full_confidence_falls_into_the_last_bin() -> None:
    """A probability of 1 has no bin of its own."""
    assert calibration_bins(np.array([0]), certain("N"))[-1].tolist() == [1, 1, 1]


def test_run_survives_its_file() -> None:
    """An interrupted protocol reads its runs again."""
    run = score_records([beats_at([1.0, 2.0], "NV")], [certain("NN")])

    again = run_from_json(run.as_json())

    assert again.records == run.records
    for name in ("pairs", "standard_pairs", "bins"):
        assert np.array_equal(getattr(again, name), getattr(run, name))


def _run(*found: str) -> Run:
    """Return a run over recordings of ten beats, NNNNNNNSSV, whose beats are all found."""
    records = [beats_at([1.0 + beat for beat in range(10)], "NNNNNNNSSV", record=f"r{i}") for i in range(len(found))]
    return score_records(records, [certain(one) for one in found])


def test_summary_is_the_mean_over_seeds_with_an_interval_over_records() -> None:
    """One seed is perfect; the other calls all beats of one recording N."""
    runs = [_run("NNNNNNNSSV", "NNNNNNNSSV"), _run("NNNNNNNSSV", "NNNNNNNNNN")]

    summary = summarise_runs(runs)

    assert summary["accuracy"]["mean"] == pytest.approx((1 + 0.85) / 2)
    assert summary["accuracy"]["low"] == pytest.approx(0.85)
    assert summary["accuracy"]["high"] == 1
    assert summary["sensitivity"]["S"]["mean"] == pytest.approx((1 + 0.5) / 2)
    assert summary["macro_f1_by_seed"][0] == 1
    assert set(summary["f1"]) == {"N", "S", "V"}
    assert np.array(summary["confusion"]).sum() == 20
    assert "ec57" not in summary


def test_summary_has_the_statistics_of_the_standard_where_records_are_long_enough() -> None:
    """VEB and SVEB tables need five minutes and more."""
    record = beats_at([1.0 + number for number in range(320)], "N" * 310 + "V" * 10)
    run = score_records([record], [certain("N" * 312 + "V" * 8)])

    standard = summarise_runs([run])["ec57"]

    assert standard["gross"]["VEB Se"] == pytest.approx(0.8)
    assert standard["gross"]["VEB +P"] == 1
    assert standard["gross"]["SVEB Se"] is None
    assert standard["average"]["QRS Se"] == 1
    assert standard["accuracy"]["mean"] == pytest.approx(19 / 21)


def test_records_are_listed_by_what_they_cost() -> None:
    """The user wants to see first where the errors are."""
    rows = scores_by_record([_run("NNNNNNNSSV", "NNNNNNNNNN", "NNNNNNNSSN")])

    assert [row["record"] for row in rows] == ["r1", "r2", "r0"]
    assert [row["n_errors"] for row in rows] == [3, 1, 0]
    assert rows[0]["share_of_errors"] == 0.75
    assert (rows[0]["n_S"], rows[0]["f1_S"], rows[0]["f1_F"]) == (2, 0, None)


def test_records_of_other_rates_are_compared_in_time() -> None:
    """Icentia11k is at 250 Hz, found beats are at 360 Hz."""
    record = beats_at([1.0, 2.0], "NV")
    slow = replace(record.reference.annotations, samples=np.array([250, 500]), fs=250.0)
    record = replace(record, reference=replace(record.reference, annotations=slow))

    assert score_records([record], [certain("NV")]).pairs[0, V, V] == 1
