"""A table of labels is read as it is meant, and every mistake in it is named with its row."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from heartbert.errors import ConfigError
from heartbert.training.label_tables import read_label_table
from tests.labelled import write_table

HEADER = ("record", "subject", "label")
ROWS = (("a.npz", "p1", "x"), ("b.npz", "p2", "y"), ("c.npz", "p3", "x"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abc":
        (tmp_path / f"{name}.npz").touch()
    (tmp_path / "100.hea").touch()
    return tmp_path


def _read(folder: Path, rows: Sequence[Sequence[object]] = ROWS, header: Sequence[str] = HEADER, **options: Any) -> Any:
    write_table(folder / "labels.csv", header, rows)
    return read_label_table(folder / "labels.csv", **({"unit": "record"} | options))


def test_classes_are_numbered_in_alphabetical_order(folder: Path) -> None:
    """The order of rows must not decide what a class is called."""
    table = _read(folder)

    assert table.classes == ("x", "y")
    assert table.targets.tolist() == [0, 1, 0]
    assert table.subjects == ("p1", "p2", "p3")
    assert table.paths[0] == folder / "a.npz"
    assert table.sides is None
    assert len(table) == 3


@pytest.mark.parametrize("suffix", [".tsv", ".parquet"])
def test_other_formats_hold_the_same(folder: Path, suffix: str) -> None:
    """A table comes from where it comes from; NA is a label like any other in text."""
    rows = [("a.npz", "1", "NA"), ("b.npz", "2", "x")]
    path = folder / f"labels{suffix}"
    if suffix == ".tsv":
        write_table(path, HEADER, rows)
    else:
        pd.DataFrame(rows, columns=list(HEADER)).astype({"subject": int}).to_parquet(path)

    table = read_label_table(path, unit="record")

    assert table.classes == ("NA", "x")
    assert table.subjects == ("1", "2")


def test_records_start_from_another_folder_and_need_no_suffix(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """WFDB names records without a suffix."""
    path = write_table(tmp_path_factory.mktemp("labels") / "l.csv", HEADER, [("100", "p1", "x"), ("a.npz", "p2", "y")])

    assert read_label_table(path, unit="record", data=folder).paths == (folder / "100", folder / "a.npz")


def test_several_labels_become_columns(folder: Path) -> None:
    """An empty cell means none of them."""
    table = _read(folder, [("a.npz", "p", "x; y"), ("b.npz", "q", ""), ("c.npz", "r", "y")], kind="multi")

    assert table.classes == ("x", "y")
    assert table.targets.tolist() == [[1, 1], [0, 0], [0, 1]]


def test_numbers_are_read(folder: Path) -> None:
    """Decimal points and signs as usual."""
    table = _read(folder, [("a.npz", "p", "1.5"), ("b.npz", "q", "-2")], kind="number")

    assert table.classes == ("value",)
    assert table.targets.tolist() == [1.5, -2.0]


def test_waived_subjects_are_told_apart_from_missing_ones(folder: Path) -> None:
    """Nobody may forget the column by accident."""
    table = _read(folder, [row[::2] for row in ROWS], ("record", "label"), subjects=False)

    assert table.subjects is None


@pytest.mark.parametrize(
    ("unit", "columns", "places", "expected"),
    [
        ("window", ("start_s", "stop_s"), (2, 4.5), (2.0, 4.5, -1)),
        ("epoch", ("epoch",), (2,), (60.0, 90.0, -1)),
        ("epoch", ("start_s",), (60,), (60.0, 90.0, -1)),
        ("beat", ("sample",), (77,), (np.nan, np.nan, 77)),
    ],
)
def test_units_below_the_record_are_placed(
    folder: Path, unit: str, columns: tuple[str, ...], places: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    """Each unit has columns of its own."""
    rows = [("a.npz", "p", "x", *places), ("b.npz", "q", "y", *places)]

    table = _read(folder, rows, (*HEADER, *columns), unit=unit)

    assert np.array_equal((table.starts_s[0], table.stops_s[0], table.samples[0]), expected, equal_nan=True)


def test_lead_and_split_are_read(folder: Path) -> None:
    """Who has a published split wants to keep it."""
    rows = [
        (*row, lead, side)
        for row, lead, side in zip(ROWS, ("II", "", "V5"), ("train", "Validation", "test"), strict=True)
    ]

    table = _read(folder, rows, (*HEADER, "lead", "split"))

    assert table.leads == ("II", None, "V5")
    assert table.sides == ("train", "validation", "test")


def test_highest_fold_is_the_test(folder: Path) -> None:
    """As PTB-XL recommends: fold 10 for the test, 9 for validation."""
    rows = [(*row, fold) for row, fold in zip(ROWS, (9, 10, 3), strict=True)]

    assert _read(folder, rows, (*HEADER, "fold")).sides == ("validation", "test", "train")


def test_same_stretch_in_two_leads_is_no_repeat(folder: Path) -> None:
    """Each lead was labelled for itself."""
    rows = [("a.npz", "p", "x", "II"), ("a.npz", "p", "y", "V5")]

    assert len(_read(folder, rows, (*HEADER, "lead"))) == 2


MISTAKES: list[tuple[Sequence[str], Sequence[Sequence[object]], dict[str, Any], str]] = [
    (("record", "patient", "label"), ROWS, {}, "no column 'subject'.*Is it 'patient'.*--no-subjects"),
    (("record", "subject", "labl"), ROWS, {}, "no column 'label'.*Is it 'labl'"),
    (("recording", "subject", "label"), ROWS, {}, "no column 'record'.*Is it 'recording'"),
    (("record;subject;label",), [("a.npz;p;x",)], {}, "separated by ';'"),
    (HEADER, ROWS, {"unit": "window"}, "no column 'start_s'.*Add it"),
    ((*HEADER, "label"), [(*row, "x") for row in ROWS], {}, "the column 'label' twice"),
    ((*HEADER, "sample"), [(*row, 1) for row in ROWS], {}, "'sample', which places the units beat and not 'record'"),
    (HEADER, [], {}, "no row below its header"),
    (HEADER, [("a.npz", "", "x"), ROWS[1]], {}, r"row 2: 'subject' is empty"),
    (HEADER, [("a.npz", "p", " "), ROWS[1]], {}, r"row 2: 'label' is empty"),
    (HEADER, [ROWS[0], ("z", "p", "x"), ("y", "p", "x")], {}, r"row 3 \(2 rows in all\): record 'z' does not.*1 other"),
    (HEADER, [("a.npz", "p", "x"), ("b.npz", "q", "x")], {}, "all labels are 'x'; at least two"),
    (HEADER, [("a.npz", "p", "x;y"), ("b.npz", "q", "x")], {}, "several labels; they belong to --kind multi"),
    (HEADER, [("a.npz", "p", "x"), ("a.npz", "p", "x")], {}, "row 3: the same unit stands in row 2 already"),
    (HEADER, [("a.npz", "p", "x"), ("a.npz", "p", "y")], {}, "label 'y' here and 'x' in row 2. Decide"),
    (HEADER, [("a.npz", "p", "1"), ("b.npz", "q", "high")], {"kind": "number"}, "row 3: 'label' is 'high'; a number"),
    (HEADER, [("a.npz", "p", "1"), ("b.npz", "q", "inf")], {"kind": "number"}, "'label' is 'inf'"),
    (HEADER, [("a.npz", "p", "1"), ("b.npz", "q", "1")], {"kind": "number"}, "all labels are 1"),
    (HEADER, [("a.npz", "p", "x;x"), ("b.npz", "q", "")], {"kind": "multi"}, "one label stands there twice"),
    (HEADER, [("a.npz", "p", ""), ("b.npz", "q", "")], {"kind": "multi"}, "no row has a label"),
    (HEADER, [("a.npz", "p", "x"), ("b.npz", "q", "x;y")], {"kind": "multi"}, "every row has the label 'x'"),
    ((*HEADER, "split"), [(*row, "dev") for row in ROWS], {}, "'split' is 'dev'; it must be one of train"),
    ((*HEADER, "fold"), [(*row, 1) for row in ROWS], {}, "'fold' has 1 different numbers"),
    ((*HEADER, "fold"), [(*row, 1.5) for row in ROWS], {}, "'fold' is '1.5'; a whole number"),
    ((*HEADER, "fold", "split"), [(*row, 1, "train") for row in ROWS], {}, "both columns 'split' and 'fold'"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "rows", "options", "said"), MISTAKES)
def test_mistakes_are_named(
    folder: Path, header: Sequence[str], rows: Sequence[Sequence[object]], options: dict[str, Any], said: str
) -> None:
    """Who made the table must find the row without a search."""
    with pytest.raises(ConfigError, match=said):
        _read(folder, rows, header, **options)


@pytest.mark.parametrize(
    ("unit", "columns", "places", "said"),
    [
        ("window", ("start_s", "stop_s"), (4, 4), "'stop_s' is not after"),
        ("window", ("start_s", "stop_s"), (-1, 4), "starts before its recording"),
        ("epoch", ("epoch",), (-1,), "starts before its recording"),
        ("epoch", ("epoch",), (1.5,), "'epoch' is '1.5'; a whole number"),
        ("epoch", ("start_s",), (31,), "no multiple of 30 s"),
        ("beat", ("sample",), (-3,), "'sample' is negative"),
    ],
)
def test_impossible_places_are_refused(
    folder: Path, unit: str, columns: tuple[str, ...], places: tuple[float, ...], said: str
) -> None:
    """A wrong time would label another stretch."""
    rows = [("a.npz", "p", "x", *places), ("b.npz", "q", "y", *places)]

    with pytest.raises(ConfigError, match=said):
        _read(folder, rows, (*HEADER, *columns), unit=unit)


def test_one_recording_of_two_persons_is_refused(folder: Path) -> None:
    """Windows of one recording would come to two sides."""
    rows = [("a.npz", "p", "x", 0, 1), ("a.npz", "q", "y", 1, 2)]

    with pytest.raises(ConfigError, match="row 3: the recording shows 'q' here and 'p' in an earlier row"):
        _read(folder, rows, (*HEADER, "start_s", "stop_s"), unit="window")


@pytest.mark.parametrize(
    ("name", "said"),
    [("labels.xlsx", "ends in '.xlsx'"), ("none.csv", "does not exist"), ("bad.parquet", "cannot be read")],
)
def test_files_that_are_no_tables_are_refused(folder: Path, name: str, said: str) -> None:
    """The message says which formats are read."""
    (folder / "bad.parquet").write_text("no table", encoding="ascii")

    with pytest.raises(ConfigError, match=said):
        read_label_table(folder / name, unit="record")


def test_two_columns_of_one_name_are_refused(folder: Path) -> None:
    """Parquet can hold them, and CSV too; nobody knows which is meant."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table([["a.npz"], ["p"], ["x"]], names=["record", "subject", "label"])
    pq.write_table(table.append_column("label ", pa.array(["y"])), folder / "t.parquet")

    with pytest.raises(ConfigError, match="the column 'label' twice"):
        read_label_table(folder / "t.parquet", unit="record")
