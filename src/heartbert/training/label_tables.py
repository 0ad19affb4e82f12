"""A table of labels -> examples: which stretch of which recording, whom it shows, and what it is called."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from heartbert.errors import ConfigError
from heartbert.predictions.lead_attention import TaskKind
from heartbert.predictions.task_units import EPOCH_S, UnitKind

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = ("train", "validation", "test")

# Columns that place a unit in its recording; a window is placed by both.
_PLACES: dict[UnitKind, tuple[tuple[str, ...], ...]] = {
    "record": ((),),
    "window": (("start_s", "stop_s"),),
    "epoch": (("epoch",), ("start_s",)),
    "beat": (("sample",),),
}
_ALL_PLACES = ("start_s", "stop_s", "epoch", "sample")
# Other names that people give to columns.
_OTHER_NAMES = {
    "record": ("file", "filename", "path", "recording", "record_name"),
    "subject": ("patient", "patient_id", "subject_id", "person", "participant", "id"),
    "label": ("labels", "class", "target", "y", "value", "diagnosis"),
}
_READERS: dict[str, Callable[[Path], "pd.DataFrame"]] = {
    ".csv": lambda path: _read_text(path, ","),
    ".tsv": lambda path: _read_text(path, "\t"),
    ".parquet": lambda path: pd.read_parquet(path),
}


@dataclass(frozen=True)
class LabelTable:
    """Labelled units, in the order of the table.

    Attributes
    ----------
    unit : {"record", "window", "epoch", "beat"}
    kind : {"single", "multi", "number"}
    paths : tuple of Path
        Recording of each unit.
    subjects : tuple of str or None
        Person of each unit; None where persons were waived.
    starts_s, stops_s : ndarray of float64, shape (n_units,)
        NaN for the unit ``record`` and for beats.
    samples : ndarray of int64, shape (n_units,)
        R-peak of a beat as a sample of its lead; -1 for other units.
    leads : tuple of str or None
        Lead of each unit where the table names one.
    classes : tuple of str
        Names in alphabetical order; ``("value",)`` for a number.
    targets : ndarray
        int64 (n_units,), float32 (n_units, n_classes) of 0 and 1, or float32 (n_units,), by the kind.
    sides : tuple of Side or None
        Side of each unit where the table has a column ``split`` or ``fold``.
    """

    unit: UnitKind
    kind: TaskKind
    paths: tuple[Path, ...]
    subjects: tuple[str, ...] | None
    starts_s: npt.NDArray[np.float64]
    stops_s: npt.NDArray[np.float64]
    samples: npt.NDArray[np.int64]
    leads: tuple[str | None, ...]
    classes: tuple[str, ...]
    targets: npt.NDArray[np.int64] | npt.NDArray[np.float32]
    sides: tuple[Side, ...] | None

    def __len__(self) -> int:
        return len(self.paths)


def read_label_table(
    path: Path, *, unit: UnitKind, kind: TaskKind = "single", data: Path | None = None, subjects: bool = True
) -> LabelTable:
    """Read a table of labels.

    Parameters
    ----------
    path : Path
        CSV, TSV or parquet with a header. Columns: ``record``, a path; ``subject``; ``label``, with ``;`` between
        several; ``start_s`` and ``stop_s`` of a window, ``epoch`` (counted from 0) or ``start_s`` of an epoch,
        ``sample`` of a beat; and, if wanted, ``lead``, and ``split`` (train, validation, test) or ``fold`` (a whole
        number: the highest is the test, the one below it validation).
        Other columns are not read.
    unit : {"record", "window", "epoch", "beat"}
    kind : {"single", "multi", "number"}
    data : Path, optional
        Folder that the paths of the recordings start from; by default that of the table.
    subjects : bool
        False waives the column ``subject``: each recording counts as a person of its own.

    Raises
    ------
    ConfigError
        If the table cannot be read, lacks a column, or a row cannot be used; the message names the first such row, the
        header being row 1.
    """
    frame = _read(path)
    _check_columns(frame, path, unit, subjects)
    rows = _Rows(path, frame)
    folder = path.parent if data is None else data
    paths = _paths(rows, folder)
    names = rows.filled("subject") if subjects else None
    starts_s, stops_s, samples = _places(rows, unit)
    leads = tuple(name or None for name in rows.texts("lead")) if rows.has("lead") else (None,) * len(rows)
    keys = list(zip(paths, leads, starts_s.tolist(), stops_s.tolist(), samples.tolist(), strict=True))
    _refuse_repeats(rows, [tuple(map(str, key)) for key in keys])
    if names is not None:
        _refuse_two_persons(rows, paths, names)
    classes, targets = _targets(rows, kind)
    sides = _sides(rows)
    return LabelTable(unit, kind, paths, names, starts_s, stops_s, samples, leads, classes, targets, sides)


class _Rows:
    """A table whose complaints name it and the row."""

    def __init__(self, path: Path, frame: "pd.DataFrame") -> None:
        self._path, self._frame = path, frame

    def __len__(self) -> int:
        return len(self._frame)

    def has(self, column: str) -> bool:
        return column in self._frame.columns

    def texts(self, column: str) -> list[str]:
        return [_text(value) for value in self._frame[column]]

    def filled(self, column: str) -> tuple[str, ...]:
        texts = self.texts(column)
        self.refuse([not text for text in texts], f"'{column}' is empty; every row needs one. Fill it in.")
        return tuple(texts)

    def numbers(self, column: str, *, whole: bool = False) -> npt.NDArray[np.float64]:
        texts = self.filled(column)
        values = np.array([_number(text) for text in texts])
        wrong = ~np.isfinite(values) | (whole & (values != np.floor(values)))
        what = "whole number" if whole else "number"
        first = texts[int(np.argmax(wrong))] if wrong.any() else ""
        self.refuse(wrong.tolist(), f"'{column}' is '{first}'; a {what} is needed. Correct it.")
        return values

    def refuse(self, wrong: Sequence[bool], message: str) -> None:
        """Raise if a row is wrong, naming the first."""
        if any(wrong):
            more = f" ({sum(wrong)} rows in all)" if sum(wrong) > 1 else ""
            raise ConfigError(f"{self._path.name}, row {list(wrong).index(True) + 2}{more}: {message}")

    def complain(self, message: str) -> ConfigError:
        return ConfigError(f"{self._path.name}: {message}")


def _read(path: Path) -> "pd.DataFrame":
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            f"'{path.name}' ends in '{path.suffix}'; a table of labels ends in {', '.join(_READERS)}. Convert it."
        )
    try:
        frame = reader(path)
    except FileNotFoundError as error:
        raise ConfigError(f"the table of labels '{path}' does not exist; check the path.") from error
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read as a table ({error}); correct or export it again.") from error
    frame.columns = [str(name).strip() for name in frame.columns]
    if not len(frame):
        raise ConfigError(f"{path.name} has no row below its header; every labelled unit needs one.")
    return frame


def _read_text(path: Path, separator: str) -> "pd.DataFrame":
    """Read a text table cell by cell; two columns of one name both keep it."""
    cells = pd.read_csv(path, dtype=str, keep_default_na=False, sep=separator, header=None, encoding="utf-8-sig")
    return cells.iloc[1:].set_axis(cells.iloc[0].tolist(), axis=1)


def _check_columns(frame: "pd.DataFrame", path: Path, unit: UnitKind, subjects: bool) -> None:  # noqa: FBT001
    found = list(frame.columns)
    needed = ["record", *(["subject"] if subjects else []), "label"]
    options = _PLACES[unit]
    if not any(set(option) <= set(found) for option in options):
        needed += options[0]
    missing = [name for name in needed if name not in found]
    if missing:
        name = missing[0]
        candidates = [*difflib.get_close_matches(name, found, n=1), *(set(_OTHER_NAMES.get(name, ())) & set(found))]
        hint = f" Is it '{candidates[0]}'? Rename that column." if candidates else ""
        waive = " Or give --no-subjects, if each recording is another person." if name == "subject" else ""
        alone = " The columns seem to be separated by ';': save the table with commas." if ";" in found[0] else ""
        raise ConfigError(
            f"{path.name} has no column '{name}', which the unit '{unit}' needs; it has {', '.join(found)}."
            f"{hint or alone or ' Add it.'}{waive}"
        )
    repeated = [name for name in found if found.count(name) > 1]
    if repeated:
        raise ConfigError(f"{path.name} has the column '{repeated[0]}' twice. Remove one.")
    own = {name for option in options for name in option}
    foreign = [
        name for name in _ALL_PLACES if name in found and name not in own | ({"stop_s"} if unit == "epoch" else own)
    ]
    if foreign:
        units = [name for name, places in _PLACES.items() if any(foreign[0] in option for option in places)]
        raise ConfigError(
            f"{path.name} has the column '{foreign[0]}', which places the units {' and '.join(units)} and not "
            f"'{unit}'. Choose that unit, or remove the column."
        )


def _paths(rows: _Rows, folder: Path) -> tuple[Path, ...]:
    """Return the path of each recording; all must exist."""
    names = rows.filled("record")
    there = {name: _exists(folder / name) for name in dict.fromkeys(names)}
    unknown = [name for name, found in there.items() if not found]
    if unknown:
        wrong = [not there[name] for name in names]
        also = f", and {len(unknown) - 1} other recordings do not either" if len(unknown) > 1 else ""
        rows.refuse(
            wrong,
            f"record '{unknown[0]}' does not exist in '{folder}'{also}. Give paths that start there, or the folder "
            "they start from with --data.",
        )
    return tuple(folder / name for name in names)


def _exists(path: Path) -> bool:
    return path.exists() or path.with_name(f"{path.name}.hea").is_file()


def _places(
    rows: _Rows, unit: UnitKind
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return where each unit lies: start and stop in seconds, or the sample of a beat."""
    starts_s, stops_s = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    samples = np.full(len(rows), -1, dtype=np.int64)
    if unit == "beat":
        samples = rows.numbers("sample", whole=True).astype(np.int64)
        rows.refuse((samples < 0).tolist(), "'sample' is negative; samples are counted from 0. Correct it.")
    elif unit == "window":
        starts_s, stops_s = rows.numbers("start_s"), rows.numbers("stop_s")
        rows.refuse((stops_s <= starts_s).tolist(), "'stop_s' is not after 'start_s'. Correct them.")
    elif unit == "epoch":
        by_index = rows.has("epoch")
        starts_s = rows.numbers("epoch", whole=True) * EPOCH_S if by_index else rows.numbers("start_s")
        off_grid = (starts_s % EPOCH_S != 0).tolist()
        rows.refuse(off_grid, f"'start_s' is no multiple of {EPOCH_S:g} s; use the unit 'window' for other stretches.")
        stops_s = starts_s + EPOCH_S
    rows.refuse((starts_s < 0).tolist(), "the unit starts before its recording; time is counted from 0. Correct it.")
    return starts_s, stops_s, samples


def _targets(rows: _Rows, kind: TaskKind) -> tuple[tuple[str, ...], npt.NDArray[np.int64] | npt.NDArray[np.float32]]:
    """Return the names of the classes and the targets."""
    if kind == "number":
        values = rows.numbers("label")
        if np.ptp(values) == 0:
            raise rows.complain(f"all labels are {values[0]:g}; there is nothing to learn. Give other labels.")
        return ("value",), values.astype(np.float32)
    if kind == "multi":
        present = [[part.strip() for part in text.split(";") if part.strip()] for text in rows.texts("label")]
        twice = [len(set(names)) < len(names) for names in present]
        rows.refuse(twice, "one label stands there twice. Remove one.")
        classes = tuple(sorted({name for names in present for name in names}))
        if not classes:
            raise rows.complain("no row has a label; there is nothing to learn. Give other labels.")
        targets = np.array([[name in names for name in classes] for names in present], dtype=np.float32)
        always = targets.all(axis=0)
        if always.any():
            raise rows.complain(
                f"every row has the label '{classes[int(np.argmax(always))]}'; rows without it are needed to learn it. "
                "An empty cell means that no label is present."
            )
        return classes, targets
    texts = rows.filled("label")
    wrong = [";" in text for text in texts]
    rows.refuse(wrong, "'label' holds several labels; they belong to --kind multi. Choose that, or give one label.")
    classes = tuple(sorted(set(texts)))
    if len(classes) < 2:
        raise rows.complain(f"all labels are '{classes[0]}'; at least two classes are needed. Give other labels.")
    number = {name: index for index, name in enumerate(classes)}
    return classes, np.array([number[text] for text in texts], dtype=np.int64)


def _refuse_repeats(rows: _Rows, keys: Sequence[tuple[str, ...]]) -> None:
    """Refuse a unit that is labelled twice, and say whether the labels differ."""
    first: dict[tuple[str, ...], int] = {}
    labels = rows.texts("label")
    for number, key in enumerate(keys):
        before = first.setdefault(key, number)
        if before == number:
            continue
        wrong = [False] * number + [True]
        if labels[before] == labels[number]:
            rows.refuse(wrong, f"the same unit stands in row {before + 2} already, with the same label. Remove one.")
        rows.refuse(
            wrong,
            f"the same unit has the label '{labels[number]}' here and '{labels[before]}' in row {before + 2}. Decide "
            "for one; several labels at once belong to --kind multi, in one row.",
        )


def _refuse_two_persons(rows: _Rows, paths: Sequence[Path], subjects: Sequence[str]) -> None:
    person: dict[Path, str] = {}
    for path, subject in zip(paths, subjects, strict=True):
        person.setdefault(path, subject)
    wrong = [person[path] != subject for path, subject in zip(paths, subjects, strict=True)]
    at = wrong.index(True) if any(wrong) else 0
    rows.refuse(
        wrong, f"the recording shows '{subjects[at]}' here and '{person[paths[at]]}' in an earlier row. Correct one."
    )


def _sides(rows: _Rows) -> tuple[Side, ...] | None:
    """Return the side of each row, if the table says it."""
    if rows.has("split") and rows.has("fold"):
        raise rows.complain("it has both columns 'split' and 'fold'; each says who is in the test. Remove one.")
    if rows.has("split"):
        texts = [text.casefold() for text in rows.filled("split")]
        wrong = [text not in SIDES for text in texts]
        first = texts[wrong.index(True)] if any(wrong) else ""
        rows.refuse(wrong, f"'split' is '{first}'; it must be one of {', '.join(SIDES)}. Correct it.")
        return tuple(cast(Side, text) for text in texts)
    if not rows.has("fold"):
        return None
    folds = rows.numbers("fold", whole=True)
    numbers = np.unique(folds)
    if numbers.size < 3:
        raise rows.complain(
            f"the column 'fold' has {numbers.size} different numbers; at least 3 are needed: the highest is the test, "
            "the one below it validation, the others training. Give more folds."
        )
    return tuple("test" if fold == numbers[-1] else "validation" if fold == numbers[-2] else "train" for fold in folds)


def _text(value: Any) -> str:
    """Return a cell as text without blanks around it; nothing for a missing one."""
    return "" if pd.isna(value) else str(value).strip()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
