"""The protocols of sleep staging, on generated records in the published layout."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heartbert.bundle import load_bundle
from heartbert.databases.slpdb import TextRow
from heartbert.errors import ConfigError, DatabaseError, RecordFormatError
from heartbert.predictions.sleep_epochs import EpochEncoder
from heartbert.protocols.sleep import SleepProtocol, evaluate_slpdb, evaluate_tokens
from heartbert.protocols.sleep_data import TEXT_FILE, SleepDatabase, deal_persons, epoch_encoder, read_sleep_database
from heartbert.protocols.sleep_paper import evaluate_paper
from heartbert.protocols.sleep_rows import train_boosting, train_majority
from heartbert.protocols.sleep_scoring import PredictedNight, score_row, short_scores
from heartbert.training.sleep_config import SleepConfig
from tests.sleeping import cycle_of_stages, labelled_night, notes_of, write_slpdb_record

CONFIG = SleepConfig(n_units=4, n_embedding_units=2, n_training_epochs=1, n_networks=1)
PROTOCOL = SleepProtocol((CONFIG,), n_folds=2, n_inner_folds=2, n_seeds=1)


@pytest.fixture(scope="module")
def encoder(tiny_bundle: Path) -> EpochEncoder:
    return epoch_encoder(load_bundle(tiny_bundle), 1)


def _database(n_embedding: int = 0, n_nights: int = 4) -> SleepDatabase:
    nights = tuple(labelled_night(name, seed=seed, n_embedding=n_embedding) for seed, name in enumerate("abcdef"))
    return SleepDatabase(nights[:n_nights], (), {"a": "nothing"})


def _perfect(night: Any) -> PredictedNight:
    five = np.eye(5, dtype=np.float32)[np.maximum(night.stages, 0)]
    from heartbert.predictions.sleep_labels import STAGE_SETS

    return PredictedNight(night, {name: stage_set.join(five) for name, stage_set in STAGE_SETS.items()})


def test_beats_are_scored_beside_the_baselines() -> None:
    """A table without baselines proves nothing; without tokens there are no rows of tokens."""
    result = evaluate_slpdb(_database(), PROTOCOL)

    assert set(result["baselines"]) == {"majority class", "heart-rate variability, gradient boosting"}
    assert "tokens" not in result
    row = result["beats"]
    assert (row["n_epochs"], row["n_persons"], row["n_seeds"]) == (160, 4, 1)
    assert row["stages3"]["accuracy"]["low"] <= row["stages3"]["accuracy"]["mean"] <= row["stages3"]["accuracy"]["high"]
    assert set(row["stages5"]["per_subject"]) == {f"slpdb/{name}" for name in "abcd"}
    assert result["baselines"]["majority class"]["stages5"]["kappa"]["mean"] == pytest.approx(0, abs=0.3)
    json.dumps(result)


def test_tokens_are_scored_where_there_are_some() -> None:
    """Each number says on which epochs it stands."""
    result = evaluate_slpdb(_database(n_embedding=6), PROTOCOL)

    n_epochs = {name: result[name]["n_epochs"] for name in ("beats", "tokens", "both", "beats_where_tokens")}
    assert n_epochs == {"beats": 160, "tokens": 80, "both": 80, "beats_where_tokens": 80}
    assert result["both_everywhere"]["n_epochs"] == 160


def test_rows_of_another_encoder_have_the_same_classes_without_temperatures() -> None:
    """To leave the calibration out saves time and must change nothing that is compared."""
    data = _database(n_embedding=6)
    whole, rows = evaluate_slpdb(data, PROTOCOL), evaluate_tokens(data, PROTOCOL)

    assert set(rows) == {"tokens", "both"}
    for name, row in rows.items():
        assert row["stages5"]["confusion"] == whole[name]["stages5"]["confusion"]
        assert row["n_epochs"] == 80
    assert rows["both"]["stages5"]["calibration"] != whole["both"]["stages5"]["calibration"]


def test_a_setting_is_chosen_inside_the_training_persons_and_kept(tmp_path: Path) -> None:
    """An interrupted run continues, and gives the same numbers."""
    two = replace(PROTOCOL, settings=(CONFIG, replace(CONFIG, n_units=5)), store=tmp_path)

    first = evaluate_slpdb(_database(n_nights=4), two)
    n_files = len(list(tmp_path.iterdir()))
    second = evaluate_slpdb(_database(n_nights=4), two)

    assert first == second
    assert len(list(tmp_path.iterdir())) == n_files
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_only_rows_of_the_same_nights_are_read_from_the_store(tmp_path: Path) -> None:
    """Predictions of another encoder must not be taken for these; those of beats alone may."""
    kept, data = replace(PROTOCOL, store=tmp_path), _database(n_embedding=6)
    evaluate_slpdb(_database(), kept)
    n_beats = len(list(tmp_path.iterdir()))
    evaluate_slpdb(data, kept)
    n_all = len(list(tmp_path.iterdir()))
    other = [replace(one, night=replace(one.night, embeddings=-one.night.embeddings)) for one in data.nights]

    evaluate_slpdb(replace(data, nights=tuple(other)), kept)

    n_rows, n_folds = 2, 2
    assert n_all - n_beats == n_rows * n_folds
    assert len(list(tmp_path.iterdir())) - n_all == n_rows * n_folds


def test_no_person_is_in_two_folds() -> None:
    """The folds are what everything else stands on."""
    folds = deal_persons(_database(n_nights=6).nights, 4)

    assert sorted(person for fold in folds for person in fold) == [f"slpdb/{name}" for name in "abcdef"]
    assert deal_persons(_database(n_nights=3).nights, 16) != []


@pytest.mark.parametrize(("name", "value"), [("n_folds", 1), ("n_inner_folds", 1), ("n_seeds", 0)])
def test_protocol_refuses_too_few(name: str, value: int) -> None:
    """One fold tests nobody."""
    with pytest.raises(ConfigError, match=f"{name} is {value}; at least"):
        replace(PROTOCOL, **{name: value})


def test_protocol_refuses_no_setting() -> None:
    """There is nothing to train then."""
    with pytest.raises(ConfigError, match="no setting"):
        SleepProtocol(())


def test_perfect_predictions_score_one() -> None:
    """The bookkeeping loses no epoch."""
    row = score_row([[_perfect(night) for night in _database().nights]])

    assert short_scores(row)["stages4"]["kappa"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert row["stages5"]["calibration"]["expected_calibration_error"] == pytest.approx(0)


def test_majority_gives_frequencies() -> None:
    """Its probabilities are those of the training nights, whatever the night."""
    nights = _database().nights
    stager = train_majority(nights, CONFIG)

    share = stager(nights[0].night)["stages5"][0]

    stages = np.concatenate([night.stages for night in nights])
    np.testing.assert_allclose(share, np.bincount(stages, minlength=5) / stages.size, rtol=1e-5)


def test_boosting_gives_a_class_unseen_in_training_no_probability() -> None:
    """Columns stay those of the set of classes."""
    nights = [replace(night, stages=np.minimum(night.stages, 3)) for night in _database(n_nights=2).nights]

    probabilities = train_boosting(nights, CONFIG)(nights[0].night)["stages5"]

    assert probabilities.shape == (40, 5)
    assert (probabilities[:, 4] == 0).all()


def _write_night(folder: Path, name: str, **options: Any) -> None:
    notes = notes_of(cycle_of_stages(20, seed=len(name)))
    write_slpdb_record(folder, name, notes, seed=int(name[3:5]), **options)


def test_waveforms_in_the_published_layout_are_read(tmp_path: Path, encoder: EpochEncoder) -> None:
    """Who has the full database gets tokens and detected beats by the same commands."""
    _write_night(tmp_path, "slp03", with_beats=False)
    _write_night(tmp_path, "slp04")

    data = read_sleep_database(tmp_path, encoder, cache=tmp_path / "cache")
    again = read_sleep_database(tmp_path, encoder, cache=tmp_path / "cache")

    assert data.tokens_from == {"slp03": "waveform", "slp04": "waveform"}
    assert all(np.isfinite(night.night.embeddings).all() for night in data.nights)
    assert data.fingerprint() == again.fingerprint()
    rates = [night.night.features[10, :].sum() for night in data.nights]
    assert np.isfinite(rates).all()


def test_text_stands_in_for_a_waveform(tmp_path: Path, encoder: EpochEncoder) -> None:
    """Epochs without text have beats alone."""
    _write_night(tmp_path, "slp03", with_signal=False)
    levels = np.random.default_rng(0).integers(0, 100, (2, 1000)).astype(np.uint8)
    np.savez(
        tmp_path / TEXT_FILE, levels=levels, record=np.array(["slp03"] * 2), epoch_index=np.array([4, 9]),
        csv_class_set=np.array(["5", "3"]), split=np.array(["train", "dev"]), confidence=np.array(["sure"] * 2),
    )  # fmt: skip

    data = read_sleep_database(tmp_path, encoder)

    known = np.isfinite(data.nights[0].night.embeddings).all(axis=1)
    assert np.flatnonzero(known).tolist() == [4, 9]
    assert data.tokens_from == {"slp03": "text"}
    assert len(data.text_rows) == 2


def test_a_record_with_neither_beats_nor_waveform_is_refused(tmp_path: Path) -> None:
    """There is nothing to stage it by."""
    _write_night(tmp_path, "slp03", with_signal=False, with_beats=False)

    with pytest.raises(RecordFormatError, match=r"'slp03' has no beats \(\.ecg\) and no waveform"):
        read_sleep_database(tmp_path, None)


def test_published_split_stands_beside_the_split_by_person() -> None:
    """The difference is what the leak was worth, and the guard refuses the published one."""
    data = _database(n_embedding=6)
    rows = tuple(
        TextRow(night.record, epoch, f"stages{n_classes}", "dev" if epoch % 8 == 0 else "train")
        for night in data.nights
        for epoch in range(0, 40, 2)
        for n_classes in (3, 5)
    )

    result = evaluate_paper(replace(data, text_rows=rows), n_seeds=1, n_folds=2)

    assert "Put all of a recording on one side" in result["refused_by_the_guard"]
    assert result["paper_split"]["stages5"]["accuracy"]["mean"] > 0.8
    assert set(result["person_split"]["stages3"]) == {"accuracy", "kappa", "macro_f1"}


def test_paper_protocol_needs_text() -> None:
    """It is about the rows of two files."""
    with pytest.raises(DatabaseError, match="no published text"):
        evaluate_paper(_database())


@pytest.mark.data
def test_the_real_database_has_text_of_a_third_of_its_epochs(real_database: Callable[[str], Path]) -> None:
    """The published rows find their place in the nights."""
    data = read_sleep_database(real_database("slpdb"), None)

    assert set(data.tokens_from.values()) == {"text"}
    assert len(data.text_rows) == 4325
