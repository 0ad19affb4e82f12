"""What the recordings of a database are labelled with, as one small table whatever the files look like."""

import ast
import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from heartbert.databases.folders import DatabaseFolder
from heartbert.databases.slpdb import read_notes
from heartbert.databases.subjects import PTB_XL_TABLE
from heartbert.errors import ConfigError, DatabaseError
from heartbert.evaluation.splits import MITDB_DS1, MITDB_DS2, MITDB_PACED
from heartbert.predictions.labels import BEAT_CLASS_OF_SYMBOL
from heartbert.predictions.sleep_labels import STAGE_OF_NOTE
from heartbert.progress import Progress, no_progress
from heartbert.records import Annotations, read_annotations

STAGES = tuple(STAGE_OF_NOTE)
"""Sleep stages of Rechtschaffen and Kales as `slpdb` writes them."""
SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
"""Diagnostic superclasses of PTB-XL."""
RHYTHMS = ("N", "A", "O", "~")
"""Labels of the Challenge 2017: normal, atrial fibrillation, other, too noisy."""

_STATEMENTS = "scp_statements.csv"
# All 21,799 labels in the folders that come with this project, whose ptbxl_database.csv has the first 500.
_ALL_LABELS = "labels_all_21k.csv"
_REFERENCE = "REFERENCE-v3.csv"
_MITDB_FOLDS = {
    record: fold
    for fold, records in (("DS1", MITDB_DS1), ("DS2", MITDB_DS2), ("paced", MITDB_PACED))
    for record in records
}


@dataclass(frozen=True)
class _Labelled:
    """Labels of one recording with how often each is given, and its published fold."""

    counts: Mapping[str, int]
    fold: str | None = None


def labels(folder: DatabaseFolder, *, progress: Progress = no_progress) -> pd.DataFrame:
    """Tabulate the labels of a database, one row for each recording and label.

    Parameters
    ----------
    folder : DatabaseFolder
        As `open_folder` gives it.
    progress : callable
        Told the stage and the fraction done.

    Returns
    -------
    table : DataFrame
        ``record`` (name of the file without suffix), ``subject_id``, ``label``, ``count`` (beats of that AAMI class,
        epochs of that sleep stage; 1 where the whole recording is labelled) and ``fold`` (published: DS1, DS2 or paced
        for mitdb, 1 to 10 for PTB-XL). A recording without label has one row with ``label`` missing and ``count`` 0.

    Raises
    ------
    ConfigError
        If no recording has a label.
    DatabaseError
        If a table of labels is missing or damaged.
    RecordFormatError
        If there is no recording, or an annotation file is damaged.

    Examples
    --------
    >>> labels(open_folder("mitdb")).head(2)  # doctest: +SKIP
      record subject_id label  count fold
    0    100  mitdb/100     N   2239  DS2
    1    100  mitdb/100     S     33  DS2
    """
    paths = folder.records()
    tables = _tables(folder)
    rows: list[tuple[str, str, str | None, int, str | None]] = []
    for index, path in enumerate(paths):
        progress("labels", index / len(paths))
        found = _labelled(folder, path, tables)
        counts: list[tuple[str | None, int]] = [(label, count) for label, count in found.counts.items() if count]
        subject_id = folder.subject_of(path)
        rows += [(path.stem, subject_id, label, count, found.fold) for label, count in counts or [(None, 0)]]
    if not any(count for *_, count, _ in rows):
        what = folder.database.labels if folder.database else "beats (.atr)"
        raise ConfigError(
            f"none of the {len(paths)} recordings in '{folder.path}' has a label; looked for: {what}. "
            "Put the files with the labels beside the recordings."
        )
    table = pd.DataFrame(rows, columns=["record", "subject_id", "label", "count", "fold"])
    return table.astype(dict.fromkeys(("record", "subject_id", "label", "fold"), "string"))


def read_stages(path: str | Path) -> Annotations:
    """Read the sleep stages of a recording of `slpdb`.

    Parameters
    ----------
    path : str or Path
        Record name with its folder, or the header.

    Returns
    -------
    stages : Annotations
        ``samples`` are the starts of the 30-s epochs, ``symbols`` their stages, of `STAGES`; ``aux_notes`` the events
        of the epoch. Epochs scored as movement (MT, M) or not at all are left out.
    """
    notes = read_notes(path)
    kept = [index for index, symbol in enumerate(notes.symbols) if symbol in STAGES]
    return Annotations(
        samples=notes.samples[kept],
        symbols=tuple(notes.symbols[index] for index in kept),
        aux_notes=tuple(notes.aux_notes[index] for index in kept),
        fs=notes.fs,
    )


def _labelled(folder: DatabaseFolder, path: Path, tables: Mapping[str, _Labelled] | None) -> _Labelled:
    recording = folder.recording_of(path)
    if tables is not None:
        return tables.get(recording, _Labelled({}))
    if folder.name == "slpdb":
        is_there = path.with_suffix(".st").is_file()
        found = Counter(read_stages(path).symbols) if is_there else Counter[str]()
        return _Labelled({stage: found[stage] for stage in STAGES})
    fold = _MITDB_FOLDS.get(recording) if folder.name == "mitdb" else None
    if not path.with_suffix(".atr").is_file():
        return _Labelled({}, fold)
    symbols = read_annotations(path, "atr").symbols
    classes = Counter(BEAT_CLASS_OF_SYMBOL[symbol] for symbol in symbols if symbol in BEAT_CLASS_OF_SYMBOL)
    return _Labelled({beat_class.name: classes[beat_class] for beat_class in sorted(classes)}, fold)


def _tables(folder: DatabaseFolder) -> dict[str, _Labelled] | None:
    """Read the labels of a database that keeps them in tables, by recording; None for those with annotation files."""
    if folder.name == "ptb-xl":
        return _superclasses(folder.path)
    if folder.name == "challenge-2017":
        return _rhythms(folder.path)
    return None


def _rhythms(folder: Path) -> dict[str, _Labelled]:
    found = sorted(folder.rglob(_REFERENCE), key=lambda path: (len(path.parts), path))
    if not found:
        raise DatabaseError(
            f"'{folder}' holds no {_REFERENCE}; it has the labels, and earlier versions differ in 412 of them. "
            f"Fetch it with 'heartbert download challenge-2017 --only {_REFERENCE} -o {folder}'"
        )
    rows = _rows(found[0], ("record", "label"))
    unknown = sorted({row["label"] for row in rows} - set(RHYTHMS))
    if unknown:
        raise DatabaseError(
            f"{found[0]} holds the label '{unknown[0]}'; allowed are {', '.join(RHYTHMS)}. Download it again"
        )
    return {row["record"]: _Labelled({row["label"]: 1}) for row in rows}


def _superclasses(folder: Path) -> dict[str, _Labelled]:
    labelled: dict[str, _Labelled] = {}
    if (folder / _ALL_LABELS).is_file():
        for row in _rows(folder / _ALL_LABELS, needed=("ecg_id", "strat_fold", *SUPERCLASSES)):
            counts = {name: int(row[name]) for name in SUPERCLASSES}
            labelled[f"{int(row['ecg_id']):05d}"] = _Labelled(counts, row["strat_fold"])
    statements, table = folder / _STATEMENTS, folder / PTB_XL_TABLE
    missing = [path.name for path in (statements, table) if not path.is_file()]
    if missing and not labelled:
        raise DatabaseError(
            f"'{folder}' holds no {' and no '.join(missing)}; the labels of PTB-XL are made from both. "
            f"Fetch them with 'heartbert download ptb-xl --only *.csv -o {folder}'"
        )
    if not missing:
        labelled |= _from_statements(statements, table)
    return labelled


def _from_statements(statements: Path, table: Path) -> dict[str, _Labelled]:
    """Give each recording the superclass of every diagnostic statement on it, whatever its likelihood."""
    needed = ("", "diagnostic", "diagnostic_class")
    diagnostic = [row for row in _rows(statements, needed=needed) if row["diagnostic"] in {"1", "1.0"}]
    class_of = {row[""]: row["diagnostic_class"] for row in diagnostic}
    labelled = {}
    for row in _rows(table, needed=("ecg_id", "scp_codes", "strat_fold")):
        codes = _codes(row, table)
        present = {class_of[code] for code in codes if code in class_of}
        fold = str(int(float(row["strat_fold"])))
        labelled[f"{int(row['ecg_id']):05d}"] = _Labelled({name: int(name in present) for name in SUPERCLASSES}, fold)
    return labelled


def _codes(row: Mapping[str, str], table: Path) -> Iterator[str]:
    """Return the statements of one row, written as a Python dictionary of likelihoods."""
    try:
        codes = ast.literal_eval(row["scp_codes"])
    except (SyntaxError, ValueError):
        codes = None
    if not isinstance(codes, dict):
        raise DatabaseError(
            f"{table}: 'scp_codes' of ecg_id {row['ecg_id']} is '{row['scp_codes'][:80]}'; "
            "it must read like {'NORM': 100.0}. Download the table again"
        )
    return iter(codes)


def _rows(path: Path, names: tuple[str, ...] | None = None, *, needed: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """Read a CSV table, of given columns where it has no first line for them."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, names)
        found = list(rows)
        lacking = [name for name in needed if name not in (rows.fieldnames or ())]
    broken = next((number for number, row in enumerate(found, 1) if None in row.values() or None in row), None)
    if lacking or broken:
        problem = f"has no column '{lacking[0]}'" if lacking else f"has too few or too many cells in row {broken}"
        raise DatabaseError(f"{path} {problem}; the table as published is needed. Download it again")
    return found
