"""One table of labels whatever the files look like."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from heartbert.databases.folders import open_folder
from heartbert.databases.labelling import labels, read_stages
from heartbert.errors import ConfigError, DatabaseError

TWELVE = tuple("abcdefghijkl")
STATEMENTS = (
    ",description,diagnostic,diagnostic_class\nNORM,,1.0,NORM\nIMI,,1.0,MI\nASMI,,1.0,MI\nSR,,,\nLVH,,1.0,HYP\n"
)


def _rows(table: pd.DataFrame) -> list[tuple[object, ...]]:
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in table.itertuples(index=False)]


@pytest.fixture
def ptb_xl(write_record, tmp_path: Path) -> Path:
    """Return a folder of three recordings in the layout of PTB-XL, without tables."""
    for number in (1, 2, 3):
        write_record(f"ptb-xl/records500/00000/{number:05d}_hr", fs=500.0, leads=TWELVE)
    return tmp_path / "ptb-xl"


def _write_tables(folder: Path, codes: str = "{'NORM': 100.0, 'SR': 0.0}") -> None:
    (folder / "scp_statements.csv").write_text(STATEMENTS)
    (folder / "ptbxl_database.csv").write_text(
        f'ecg_id,patient_id,scp_codes,strat_fold\n1,7.0,"{codes}",3\n'
        "2,7.0,\"{'IMI': 0.0, 'ASMI': 50.0, 'LVH': 35.0}\",3\n3,8.0,\"{'SR': 0.0}\",10\n"
    )


def test_labels_counts_beats_by_class_and_gives_the_published_fold(write_record, tmp_path: Path) -> None:
    """Symbols differ between databases, AAMI classes do not."""
    write_record("mitdb/100", fs=360.0, annotator="atr", symbols=["+", "N", "L", "A", "V", "~"])
    write_record("mitdb/208", fs=360.0, annotator="atr", symbols=["F", "N"])
    write_record("mitdb/102", fs=360.0, annotator="atr", symbols=["/"])

    assert _rows(labels(open_folder(tmp_path / "mitdb"))) == [
        ("100", "mitdb/100", "N", 2, "DS2"),
        ("100", "mitdb/100", "S", 1, "DS2"),
        ("100", "mitdb/100", "V", 1, "DS2"),
        ("102", "mitdb/102", "Q", 1, "paced"),
        ("208", "mitdb/208", "N", 1, "DS1"),
        ("208", "mitdb/208", "F", 1, "DS1"),
    ]


def test_labels_gives_a_recording_without_label_a_row(write_record, tmp_path: Path) -> None:
    """A recording that vanishes from a table is not missed."""
    write_record("edb/e0103", leads=("V4", "MLIII"), annotator="atr", symbols=["N", "S"])
    write_record("edb/e0104", leads=("V4", "MLIII"))

    assert _rows(labels(open_folder(tmp_path / "edb")))[-1] == ("e0104", "edb/e0104", None, 0, None)


def test_labels_counts_beats_of_icentia11k_by_person(write_record, tmp_path: Path) -> None:
    """Its segments are told apart from its people."""
    for segment in ("s00", "s01"):
        write_record(f"i/p00/p00007/p00007_{segment}", annotator="atr", symbols=["N", "S", "V", "Q"])

    table = labels(open_folder(tmp_path / "i"))

    assert set(table["subject_id"]) == {"icentia11k-continuous-ecg/p00007"}
    assert table.groupby("label")["count"].sum().to_dict() == {"N": 2, "S": 2, "V": 2, "Q": 2}


def test_labels_counts_epochs_of_each_stage(write_record, tmp_path: Path) -> None:
    """A note is a stage followed by events, movement is no stage, and some notes end in NUL."""
    notes = ["W\0", "1", "2 LA", "4 LA LA", "MT", "M", "R", "2", "", "H"]
    write_record("slpdb/slp02b", annotator="st", symbols=['"'] * len(notes), notes=notes)
    write_record("slpdb/slp03")

    rows = _rows(labels(open_folder(tmp_path / "slpdb")))

    assert [row[2:4] for row in rows] == [("W", 1), ("1", 1), ("2", 2), ("4", 1), ("R", 1), (None, 0)]
    assert rows[0][1] == "slpdb/slp02a"


def test_read_stages_keeps_times_and_events(write_record) -> None:
    """Epochs are found by their first sample."""
    path = write_record("slpdb/slp41", annotator="st", symbols=['"'] * 3, notes=["W\0", "MT", "4 LA LA"])

    stages = read_stages(path)

    assert stages.samples.tolist() == [10, 30]
    assert (stages.symbols, stages.aux_notes, stages.fs) == (("W", "4"), ("", "LA LA"), 250.0)


def test_labels_of_ptb_xl_are_superclasses(ptb_xl: Path) -> None:
    """Statements count whatever their likelihood, a class once, and rhythm is no diagnosis."""
    _write_tables(ptb_xl)

    assert _rows(labels(open_folder(ptb_xl))) == [
        ("00001_hr", "ptb-xl/patient-7", "NORM", 1, "3"),
        ("00002_hr", "ptb-xl/patient-7", "MI", 1, "3"),
        ("00002_hr", "ptb-xl/patient-7", "HYP", 1, "3"),
        ("00003_hr", "ptb-xl/patient-8", None, 0, "10"),
    ]


def test_labels_of_ptb_xl_take_the_longer_table_where_the_published_is_cut(ptb_xl: Path) -> None:
    """The folders that come with this project have the labels of all recordings and the signals of some."""
    (ptb_xl / "labels_all_21k.csv").write_text("ecg_id,age,strat_fold,NORM,MI,STTC,CD,HYP\n3,60,9,0,0,1,1,0\n")

    rows = _rows(labels(open_folder(ptb_xl)))

    assert [row[2:] for row in rows] == [(None, 0, None), (None, 0, None), ("STTC", 1, "9"), ("CD", 1, "9")]


def test_labels_of_ptb_xl_says_which_tables_are_missing(ptb_xl: Path) -> None:
    """They are small and easily forgotten."""
    with pytest.raises(DatabaseError, match=r"no scp_statements.csv and no ptbxl_database.csv; .*heartbert download"):
        labels(open_folder(ptb_xl))


@pytest.mark.parametrize("codes", ["NORM", "__import__('os')", "['NORM']"])
def test_labels_of_ptb_xl_refuses_what_is_no_dictionary(ptb_xl: Path, codes: str) -> None:
    """The cell is Python text, and must not be run."""
    _write_tables(ptb_xl, codes)

    with pytest.raises(DatabaseError, match=r"'scp_codes' of ecg_id 1 is .*it must read like"):
        labels(open_folder(ptb_xl))


def test_labels_refuses_a_table_without_its_columns(ptb_xl: Path) -> None:
    """Another version would give other labels in silence."""
    _write_tables(ptb_xl)
    (ptb_xl / "scp_statements.csv").write_text(",description,diagnostic\nNORM,,1.0\n")

    with pytest.raises(DatabaseError, match=r"scp_statements.csv has no column 'diagnostic_class'"):
        labels(open_folder(ptb_xl))


def test_labels_refuses_a_row_that_is_cut_off(ptb_xl: Path) -> None:
    """Half a table is what an aborted copy leaves."""
    _write_tables(ptb_xl)
    with (ptb_xl / "scp_statements.csv").open("a") as file:
        file.write("CLBBB,,1.0\n")

    with pytest.raises(DatabaseError, match="too few or too many cells in row 6"):
        labels(open_folder(ptb_xl))


def test_labels_of_the_challenge_are_its_third_reference(write_record, tmp_path: Path) -> None:
    """Earlier references differ in hundreds of recordings."""
    for number in (1, 2):
        write_record(f"cinc2017/A0000{number}", fs=300.0)
    (tmp_path / "cinc2017" / "REFERENCE-v3.csv").write_text("A00001,N\nA00002,~\n")

    rows = _rows(labels(open_folder(tmp_path / "cinc2017")))

    assert [(row[0], row[2]) for row in rows] == [("A00001", "N"), ("A00002", "~")]


def test_labels_of_the_challenge_refuses_other_references(write_record, tmp_path: Path) -> None:
    """REFERENCE.csv may be any of them."""
    write_record("cinc2017/A00001", fs=300.0)
    (tmp_path / "cinc2017" / "REFERENCE.csv").write_text("A00001,N\n")

    with pytest.raises(DatabaseError, match=r"holds no REFERENCE-v3.csv; .* differ in 412"):
        labels(open_folder(tmp_path / "cinc2017"))


def test_labels_of_the_challenge_refuses_an_unknown_label(write_record, tmp_path: Path) -> None:
    """A fifth class is a damaged file."""
    write_record("cinc2017/A00001", fs=300.0)
    (tmp_path / "cinc2017" / "REFERENCE-v3.csv").write_text("A00001,X\n")

    with pytest.raises(DatabaseError, match="the label 'X'; allowed are N, A, O, ~"):
        labels(open_folder(tmp_path / "cinc2017"))


def test_labels_of_an_unnamed_folder_are_its_beats(write_record, tmp_path: Path) -> None:
    """Annotations beside a recording of one's own count like published ones."""
    write_record("own/x", annotator="atr", symbols=["N", "V"], comments=["subject: 3"])

    assert _rows(labels(open_folder(tmp_path / "own"))) == [("x", "3", "N", 1, None), ("x", "3", "V", 1, None)]


def test_labels_refuses_a_folder_without_labels(write_record, tmp_path: Path) -> None:
    """An empty table would be taken for a result."""
    write_record("own/x")

    with pytest.raises(ConfigError, match=r"none of the 1 recordings in .* has a label; looked for: beats"):
        labels(open_folder(tmp_path / "own"))


@pytest.mark.data
def test_labels_of_mitdb_are_those_counted_before(data_folder: Path) -> None:
    """The counts of METHOD: any other split or mapping is not comparable."""
    counts = labels(open_folder(data_folder / "mitdb")).groupby(["fold", "label"])["count"].sum()

    assert counts["DS1"].to_dict() == {"N": 45866, "S": 944, "V": 3788, "F": 415, "Q": 8}
    assert counts["DS2"].to_dict() == {"N": 44259, "S": 1837, "V": 3221, "F": 388, "Q": 7}


@pytest.mark.data
def test_labels_of_slpdb_are_all_scored_epochs(data_folder: Path) -> None:
    """10,197 notes, of which 16 are movement."""
    assert labels(open_folder(data_folder / "slpdb"))["count"].sum() == 10197 - 16


@pytest.mark.data
def test_labels_of_the_challenge_are_the_published_counts(real_database: Callable[[str], Path]) -> None:
    """Those of REFERENCE-v3.csv."""
    counts = labels(open_folder(real_database("cinc2017"))).groupby("label")["count"].sum().to_dict()

    assert counts == {"N": 5076, "A": 758, "O": 2415, "~": 279}


@pytest.mark.data
def test_superclasses_made_from_statements_equal_the_listed_ones(data_folder: Path, tmp_path: Path) -> None:
    """Two ways to the same labels: the published tables, and the list of all recordings."""
    source, only_list = data_folder / "ptb-xl", tmp_path / "ptb-xl"
    only_list.mkdir()
    (only_list / "labels_all_21k.csv").symlink_to(source / "labels_all_21k.csv")
    for header in (source / "records500").rglob("*.hea"):
        (only_list / header.name).symlink_to(header)
    table = labels(open_folder(source))
    table = table[table["record"].str.endswith("_hr")]

    listed = labels(open_folder(only_list))

    # Twelve of the first 500 were withdrawn by version 1.0.3, of which the list is.
    both = set(listed.dropna(subset="fold")["record"])
    kept = [one[one["record"].isin(both)][["record", "label", "count", "fold"]] for one in (table, listed)]
    assert len(both) == 488
    assert kept[0].reset_index(drop=True).equals(kept[1].reset_index(drop=True))
