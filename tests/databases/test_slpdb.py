"""Nights of the Polysomnographic Database, generated and real."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import wfdb

from heartbert.databases.labelling import read_stages
from heartbert.databases.slpdb import age_and_sex, read_notes, read_scored_night, read_text_epochs, scored_records
from heartbert.errors import DatabaseError, RecordFormatError
from tests.sleeping import write_slpdb_record

NOTES = ["W", "W", "1 OA", "2", "MT", "3 H", "4 LA LA", "R\0"]


def _write_text(path: Path, **changes: object) -> None:
    arrays: dict[str, object] = {
        "levels": (np.arange(3000).reshape(3, 1000) % 90 + [[0], [0], [9]]).astype(np.uint8),
        "record": np.array(["slp59", "slp59", "slp99"]),
        "epoch_index": np.array([3, 1, 0]),
        "csv_class_set": np.array(["5", "3", "5"]),
        "split": np.array(["train", "dev", "train"]),
        "confidence": np.array(["sure", "likely", "sure"]),
        **changes,
    }
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})  # type: ignore[arg-type]


def test_night_is_read_with_stages_beats_and_start(tmp_path: Path) -> None:
    """The published layout without waveforms is enough; movement time is no stage."""
    path = write_slpdb_record(tmp_path, "slp01a", NOTES, with_signal=False)

    night = read_scored_night(path)

    assert night.stages.tolist() == [0, 0, 1, 2, -1, 3, 3, 4]
    assert night.start == datetime(1989, 1, 19, 23, 7)
    assert night.subject_id == "slpdb/slp01a"
    np.testing.assert_allclose(np.diff(night.beats_s), 0.8, atol=0.005)


def test_notes_are_told_apart_from_their_events(tmp_path: Path) -> None:
    """A stage is the first word; movement time and an empty note keep their place."""
    path = write_slpdb_record(tmp_path, "slp01a", ["4 LA LA", "MT", "", "R\0"], with_signal=False)

    notes = read_notes(path)

    assert notes.symbols == ("4", "MT", "", "R")
    assert notes.aux_notes == ("LA LA", "", "", "")
    assert notes.samples.size == 4


def test_both_readers_of_stages_agree(tmp_path: Path) -> None:
    """A table of labels and a training set must be of one mind about what was scored."""
    path = write_slpdb_record(tmp_path, "slp01a", NOTES, with_signal=False)

    night, stages = read_scored_night(path), read_stages(path)

    scored = np.flatnonzero(night.stages >= 0)
    np.testing.assert_array_equal(np.round(stages.samples / stages.fs / 30.0), scored)
    assert [symbol in "34" for symbol in stages.symbols] == (night.stages[scored] == 3).tolist()


def test_epochs_before_the_first_note_are_unscored(tmp_path: Path) -> None:
    """Some records are scored from the sixth minute on, and time must not slip."""
    path = write_slpdb_record(tmp_path, "slp59", ["W", "2"], first_epoch=3, with_signal=False)

    night = read_scored_night(path)

    assert (night.stages.tolist(), night.first_scored) == ([-1, -1, -1, 0, 2], 3)


def test_both_halves_of_one_night_show_one_person(tmp_path: Path) -> None:
    """Otherwise a split by record puts a person on both sides."""
    paths = [write_slpdb_record(tmp_path, name, NOTES, with_signal=False) for name in ("slp02a", "slp02b")]

    assert len({read_scored_night(path).subject_id for path in paths}) == 1


def test_notes_off_the_grid_are_refused(tmp_path: Path) -> None:
    """Stages would be given to the wrong half minute."""
    path = write_slpdb_record(tmp_path, "slp03", NOTES, with_signal=False)
    wfdb.wrann("slp03", "st", np.array([1, 7600]), ['"', '"'], aux_note=["W", "2"], fs=250, write_dir=str(tmp_path))

    with pytest.raises(RecordFormatError, match=r"note 1 is at 30\.40 s"):
        read_scored_night(path)


def test_a_record_without_notes_is_refused(tmp_path: Path) -> None:
    """An empty file of stages is no scored night."""
    path = write_slpdb_record(tmp_path, "slp03", NOTES, with_signal=False)
    (tmp_path / "slp03.st").write_bytes(b"\0\0")

    with pytest.raises(RecordFormatError, match="holds no note"):
        read_scored_night(path)


def test_a_record_without_beats_has_none(tmp_path: Path) -> None:
    """They are detected elsewhere, in the waveform."""
    path = write_slpdb_record(tmp_path, "slp04", NOTES, with_signal=False, with_beats=False)

    assert read_scored_night(path).beats_s.size == 0


def test_a_folder_without_stages_is_refused(tmp_path: Path) -> None:
    """The message says how to get them; the published README.st is no record."""
    (tmp_path / "README.st").write_text("I. Sleep Stages", encoding="ascii")

    with pytest.raises(DatabaseError, match=r"holds no record with sleep stages.*heartbert download slpdb"):
        scored_records(tmp_path)


def test_text_epochs_count_from_the_first_scored_one(tmp_path: Path) -> None:
    """The file counts scored epochs, a night counts from its start."""
    night = read_scored_night(write_slpdb_record(tmp_path, "slp59", ["W"] * 5, first_epoch=2, with_signal=False))
    _write_text(tmp_path / "text.npz")

    texts, rows = read_text_epochs(tmp_path / "text.npz", {"slp59": night})

    assert list(texts) == ["slp59"]
    assert texts["slp59"].epochs.tolist() == [3, 5]
    assert texts["slp59"].levels[1, 7] == 7
    assert [(row.epoch, row.class_set, row.split) for row in rows] == [(5, "stages5", "train"), (3, "stages3", "dev")]


def test_text_of_uncertain_identity_is_left_out(tmp_path: Path) -> None:
    """A text at the wrong minute teaches the wrong stage."""
    night = read_scored_night(write_slpdb_record(tmp_path, "slp59", ["W"] * 5, with_signal=False))
    _write_text(tmp_path / "text.npz", confidence=np.array(["rejected", "sure", "sure"]))

    texts, _ = read_text_epochs(tmp_path / "text.npz", {"slp59": night})

    assert texts["slp59"].epochs.tolist() == [1]


def test_the_first_of_two_texts_of_an_epoch_is_taken(tmp_path: Path) -> None:
    """The files were made with different breakpoints; both rows stay rows."""
    night = read_scored_night(write_slpdb_record(tmp_path, "slp59", ["W"] * 5, with_signal=False))
    _write_text(tmp_path / "text.npz", epoch_index=np.array([2, 2, 0]))

    texts, rows = read_text_epochs(tmp_path / "text.npz", {"slp59": night})

    assert texts["slp59"].levels[:, :3].tolist() == [[0, 1, 2]]
    assert len(rows) == 2


def test_text_without_an_array_is_refused(tmp_path: Path) -> None:
    """The message names what is missing."""
    _write_text(tmp_path / "text.npz", split=None)

    with pytest.raises(DatabaseError, match="no array 'split'"):
        read_text_epochs(tmp_path / "text.npz", {})


def test_comment_without_age_says_nothing() -> None:
    """A guess would be worse."""
    assert age_and_sex("BP gain is a guess") == (None, None)


@pytest.mark.data
def test_the_real_nights_have_the_published_number_of_epochs(real_database: Callable[[str], Path]) -> None:
    """18 recordings of 16 persons, 10,197 epochs, of which 16 are movement time."""
    nights = [read_scored_night(path) for path in scored_records(real_database("slpdb"))]

    assert len(nights) == 18
    assert len({night.subject_id for night in nights}) == 16
    assert sum(int((night.stages >= 0).sum()) for night in nights) == 10_197 - 16
