"""Folders are recognised however they were unpacked, and each recording counts once."""

from pathlib import Path

import numpy as np
import pytest

from heartbert.databases.folders import identify, open_folder
from heartbert.errors import ConfigError, RecordFormatError
from heartbert.records import read_annotations, read_record


def _slug(folder: Path) -> str | None:
    database = identify(folder)
    return database.slug if database else None


@pytest.mark.parametrize(
    ("name", "fs", "leads", "slug"),
    [
        ("somewhere/e0103", 250.0, ("V4", "MLIII"), "edb"),
        ("somewhere/slp01a", 250.0, ("ECG", "BP", "EEG (C4-A1)", "Resp (sum)"), "slpdb"),
        ("somewhere/p00/p00000/p00000_s00", 250.0, ("ECG",), "icentia11k-continuous-ecg"),
        ("somewhere/sel100", 250.0, ("MLII", "V5"), "qtdb"),
        ("somewhere/training/A00/A00001", 300.0, ("ECG",), "challenge-2017"),
        ("somewhere/records500/00000/00001_hr", 500.0, tuple("abcdefghijkl"), "ptb-xl"),
        ("somewhere/100", 360.0, ("MLII", "V5"), None),
        ("mitdb/a", 360.0, ("MLII", "V5"), "mitdb"),
        ("mitdb/1.0.0/a", 360.0, ("MLII", "V5"), "mitdb"),
        ("MIT-BIH-arrhythmia-database-1.0.0/a", 360.0, ("MLII", "V5"), "mitdb"),
        ("mitdb/e0103", 250.0, ("V4", "MLIII"), "edb"),
        ("mine/patient7", 500.0, ("II",), None),
    ],
)
def test_identify_goes_by_the_recordings_then_by_the_name(write_record, tmp_path, name, fs, leads, slug) -> None:
    """People unpack by hand and rename folders; a short record named 100 is anybody's."""
    write_record(name, fs=fs, leads=leads)
    folder = tmp_path / name.split("/")[0]

    assert _slug(folder / "1.0.0" if "/1.0.0/" in name else folder) == slug


def test_identify_recognises_mitdb_by_its_length(tmp_path: Path) -> None:
    """The published name is three digits only."""
    (tmp_path / "100.hea").write_text("100 2 360 650000\n100.dat 212 200 11 1024 995 -22131 0 MLII\n")

    assert _slug(tmp_path) == "mitdb"


def test_identify_recognises_ptb_xl_by_its_table(tmp_path: Path) -> None:
    """The table alone may be there at first."""
    (tmp_path / "ptbxl_database.csv").write_text("ecg_id,patient_id\n")

    assert _slug(tmp_path) == "ptb-xl"


def test_identify_refuses_several_databases(write_record, tmp_path: Path) -> None:
    """Persons of one would be looked for in the tables of the other."""
    write_record("first/e0103", leads=("V4", "MLIII"))
    write_record("second/slp03", leads=("ECG", "BP"))
    write_record("third/x", leads=("ECG", "BP"))

    with pytest.raises(ConfigError, match=r"holds recordings of edb and slpdb and others; .* Give the folder of each"):
        identify(tmp_path)


def test_identify_refuses_a_file(tmp_path: Path) -> None:
    """The record is what most commands take; here it is the folder."""
    with pytest.raises(ConfigError, match="is no folder; a folder of recordings is needed"):
        identify(tmp_path / "100.hea")


def test_unnamed_folder_has_the_subjects_of_its_files(write_record, tmp_path: Path) -> None:
    """Recordings of one's own must work without a table."""
    write_record("own/day1", comments=["subject: 17"])
    write_record("own/day2", comments=["subject: 17"])
    write_record("own/other")
    (tmp_path / "own" / "empty").mkdir()

    folder = open_folder(tmp_path / "own")

    assert (folder.name, folder.database) == ("own", None)
    assert [folder.subject_of(path) for path in folder.records()] == ["17", "17", "other"]


def test_records_refuses_a_folder_without_recordings(tmp_path: Path) -> None:
    """A wrong path is the most common mistake."""
    with pytest.raises(RecordFormatError, match="holds no recording"):
        open_folder(tmp_path).records()


def test_records_leaves_out_unfinished_files(write_record, tmp_path: Path) -> None:
    """What is hidden is being written."""
    kept = write_record("own/day1")
    write_record("own/.tmp/day1")

    assert open_folder(tmp_path / "own").records() == [kept]


def test_records_in_segments_count_once(write_record, tmp_path: Path) -> None:
    """Segments are no recordings: they would be read twice, as persons of their own."""
    for name in ("own/part_0001", "own/part_0002", "own/whole", "own/deep/part_0001"):
        write_record(name, n_samples=1000)
    folder = tmp_path / "own"
    (folder / "part_layout.hea").write_text("part_layout 1 250 0\n~ 0 200(0)/mV 11 0 0 0 0 ECG\n")
    (folder / "night.hea").write_text("night/4 1 250 2010\npart_layout 0\npart_0001 1000\n~ 10\npart_0002 1000\n")
    (folder / "torn.hea").write_bytes(b"torn/1 1 250 10\n\x00\n")

    found = open_folder(folder)

    names = [path.relative_to(folder).as_posix() for path in found.records()]
    assert names == ["deep/part_0001.hea", "night.hea", "torn.hea", "whole.hea"]
    assert found.segments_of(folder / "night.hea") == ["part_layout", "part_0001", "~", "part_0002"]
    assert found.segments_of(folder / "torn.hea") == found.segments_of(folder / "night.edf") == []


def test_records_of_ptb_xl_come_once(write_record, tmp_path: Path) -> None:
    """The database holds each recording at two rates, and filtered copies exist."""
    leads = tuple("abcdefghijkl")
    hr = write_record("ptb/records500/00000/00001_hr", fs=500.0, leads=leads)
    write_record("ptb/records100/00000/00001_lr", fs=100.0, leads=leads)
    lr = write_record("ptb/records100/00000/00002_lr", fs=100.0, leads=leads)
    write_record("ptb/filtered100/00000/00002_filtered", fs=100.0, leads=leads)
    filtered = write_record("ptb/filtered100/00000/00003_filtered", fs=100.0, leads=leads)
    (tmp_path / "ptb" / "ptbxl_database.csv").write_text("ecg_id,patient_id\n1,5.0\n2,5.0\n")

    folder = open_folder(tmp_path / "ptb")

    assert folder.records() == sorted([hr, lr, filtered])
    assert [folder.subject_of(path) for path in (hr, lr, filtered)] == [
        "ptb-xl/patient-5",
        "ptb-xl/patient-5",
        "ptb-xl/00003",
    ]


def test_records_of_the_challenge_leave_out_its_copies(write_record, tmp_path: Path) -> None:
    """The folder validation holds training recordings once more."""
    kept = write_record("c/training/A00/A00001", fs=300.0)
    write_record("c/validation/A00001", fs=300.0)

    assert open_folder(tmp_path / "c").records() == [kept]


def test_records_of_mitdb_leave_out_its_copies(write_record, tmp_path: Path) -> None:
    """x_mitdb holds the first minutes of the same recordings."""
    kept = write_record("mitdb/108", fs=360.0, leads=("MLII", "V1"))
    copy = write_record("mitdb/x_mitdb/x_108", fs=360.0, leads=("MLII", "V1"))

    folder = open_folder(tmp_path / "mitdb")

    assert folder.records() == [kept]
    assert folder.subject_of(copy) == folder.subject_of(kept) == "mitdb/108"


def test_icentia11k_layout_is_read(write_record, tmp_path: Path) -> None:
    """The originals are not at hand: records in their layout stand for them."""
    for name in ("p00/p00000/p00000_s00", "p00/p00000/p00000_s01", "p10/p10999/p10999_s00"):
        write_record(
            f"icentia11k/{name}", fs=250.0, n_samples=1000, fmt="16",
            annotator="atr", symbols=["+", "N", "S", "V", "Q", "+"], notes=["(N", "", "", "", "", ")"],
        )  # fmt: skip

    folder = open_folder(tmp_path / "icentia11k")

    paths = folder.records()
    assert [path.stem for path in paths] == ["p00000_s00", "p00000_s01", "p10999_s00"]
    assert len({folder.subject_of(path) for path in paths}) == 2
    lead = read_record(paths[0]).lead()
    assert (lead.name, lead.fs, lead.read().shape) == ("ECG", 250.0, (1000,))
    assert read_annotations(paths[0], "atr").symbols == ("+", "N", "S", "V", "Q", "+")


def test_edb_layout_is_read(write_record, tmp_path: Path) -> None:
    """Two leads in format 212, beats and ST episodes in one file."""
    path = write_record(
        "edb/e0104", leads=("MLIII", "V4"), annotator="atr",
        symbols=["+", "N", "s", "V", "T"], notes=["(N", "", "(ST0+", "", "(T1-"],
        comments=["Age: 62  Sex: M", "Mixed angina"],
    )  # fmt: skip

    folder = open_folder(tmp_path / "edb")

    assert folder.records() == [path]
    assert [channel.name for channel in read_record(path).channels] == ["MLIII", "V4"]
    assert np.isfinite(read_record(path).lead().read()).all()


def test_slpdb_layout_is_read(write_record, tmp_path: Path) -> None:
    """Only the first of four channels is an ECG."""
    path = write_record("slpdb/slp01a", leads=("ECG", "BP", "EEG (C4-A1)", "Resp (sum)"))

    folder = open_folder(tmp_path / "slpdb")

    assert folder.records() == [path]
    assert read_record(path).lead().name == "ECG"


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "slug", "n_records", "n_subjects"),
    [
        ("mitdb", "mitdb", 48, 47),
        ("slpdb", "slpdb", 18, 16),
        ("cinc2017", "challenge-2017", 8528, 8528),
        ("qtdb", "qtdb", 105, 102),
        ("ptb-xl", "ptb-xl", 2285, 2251),
    ],
)
def test_real_folders_have_the_published_people(real_database, name, slug, n_records, n_subjects) -> None:
    """The counts that the databases state; 34 recordings of PTB-XL show somebody a second time."""
    folder = open_folder(real_database(name))
    if name == "ptb-xl":
        real_database("ptb-xl/filtered100")

    paths = folder.records()
    assert (folder.name, len(paths)) == (slug, n_records)
    assert len({folder.subject_of(path) for path in paths}) == n_subjects
