"""The numbers of a staged night."""

import json
from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from heartbert.evaluation.sleep import SleepStatistics
from heartbert.predictions.sleep_labels import STAGE_SETS, SleepPredictions
from heartbert.results.sleep_summary import DEFINITIONS, sleep_rows, summarise_sleep, trust_sentence
from heartbert.results.summary import readable_rows, summarise
from heartbert.results.tables import write_summary_json


def test_summary_counts_open_epochs_and_keeps_them_in_the_statistics(staged):
    """A night of half its epochs has no sleep efficiency, so doubtful epochs count with their likeliest stage."""
    summary = summarise_sleep(staged)

    assert (summary.n_epochs, summary.n_left_open, summary.min_confidence) == (10, 1, 0.5)
    assert summary.mean_confidence == pytest.approx((9 * 0.8 + 0.4) / 10)
    assert (summary.statistics.recorded_min, summary.statistics.sleep_min) == (5.0, 3.5)
    assert summary.origin is staged.origin


def test_every_statistic_has_a_definition():
    """Sleep efficiency alone has three definitions in use."""
    assert set(DEFINITIONS) == {field.name for field in fields(SleepStatistics)}


def test_rows_give_every_number_with_its_unit(staged):
    """The command line and the report show the same."""
    rows = dict(sleep_rows(summarise_sleep(staged)))

    assert rows["recorded"] == "0 h 05 min (10 epochs of 30 s)"
    assert rows["asleep"] == "0 h 04 min (70.0 %: sleep efficiency)"
    assert rows["until sleep"] == "1 min"
    assert rows["from sleep to R"] == "2.5 min"
    assert rows["N3 in sleep"] == "28.6 %"
    assert rows["epochs open because below 0.5"] == "1 (10.0 %)"
    unlimited = replace(staged, predictions=replace(staged.predictions, min_confidence=0.0))
    assert "epochs open because below 0" not in dict(sleep_rows(summarise_sleep(unlimited)))


def test_a_night_without_sleep_has_dashes(staged):
    """There is no latency then."""
    five = np.tile(np.array([0.8, 0.05, 0.05, 0.05, 0.05], dtype=np.float32), (4, 1))
    awake = SleepPredictions(None, {name: stage_set.join(five) for name, stage_set in STAGE_SETS.items()})

    rows = dict(sleep_rows(summarise_sleep(replace(staged, predictions=awake))))

    assert (rows["until sleep"], rows["from sleep to R"]) == ("–", "–")


def test_trust_names_scores_persons_and_what_is_not_known(staged):
    """Who reads one sentence must read this one."""
    measured = trust_sentence(staged.origin)
    unknown = trust_sentence(replace(staged.origin, agreement=None))

    assert "50 % of the epochs and a kappa of 0.50 (0.40 to 0.60) for wake, non-REM, REM;" in measured
    assert "on 16 persons of slpdb left out of training" in measured
    assert unknown.endswith("was not measured.")
    for sentence in (measured, unknown):
        assert sentence.startswith("For research only. The sleep head was trained on 16 men examined for sleep apnoea")


def test_summary_of_an_analysis_holds_the_night(analysis, staged, tmp_path):
    """In JSON with definitions and origin, on the command line as rows; nothing of it without a night."""
    night = replace(analysis, sleep=staged)

    write_summary_json(night, tmp_path / "summary.json")

    stored = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["sleep"]
    assert stored["statistics"]["efficiency"] == pytest.approx(0.7)
    assert stored["definitions"] == dict(DEFINITIONS)
    assert stored["origin"] == asdict(staged.origin)
    assert dict(readable_rows(summarise(night)))["  asleep"] == "0 h 04 min (70.0 %: sleep efficiency)"
    assert summarise(analysis).sleep is None
    assert not any(name.strip() == "asleep" for name, _ in readable_rows(summarise(analysis)))
