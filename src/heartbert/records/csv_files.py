"""Stage 1 of 7: record file -> Record. CSV, TSV and TXT tables, streamed in blocks."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from heartbert.errors import RecordFormatError
from heartbert.records.record import Record
from heartbert.records.tables import numbered_names, spool, table_record

# In this order: a comma beside semicolons is a decimal comma, a blank beside commas is decoration.
_DELIMITERS = (";", "\t", "|", ",", " ")
_MISSING = ["", "nan", "NaN", "NAN", "NA", "N/A", "n/a", "null", "NULL", "None", "-"]
# Bytes looked at for delimiter and header, and bytes read at a time.
_HEAD_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 20
# Rows from which the delimiter is recognised.
_N_SNIFFED = 20
_INDEX_NAME = "index"


def read_csv(path: Path, *, fs: float | None = None, unit: str | None = None) -> Record:
    """Open a table of numbers as text: one column per lead, one row per sample.

    The delimiter (comma, semicolon, tab, bar or blanks) and a header row are recognised; the decimal sign is
    the point. Lines at the top that start with ``#`` are skipped, as is a row of units below the header,
    which counts. Empty cells and NaN are missing samples. The file is copied once to a temporary binary
    file, so memory does not depend on its length.

    Parameters
    ----------
    path : Path
    fs : float or None
        Sampling frequency in Hz; needed unless a column is named like a time and increases uniformly.
    unit : {"V", "mV", "uV"} or None
        Unit of the ECG leads where the header does not say it, as in ``"II (mV)"``.

    Raises
    ------
    RecordFormatError
        If the file is no text, has rows of different length, or a cell that is no number.
    """
    form = _recognise(path)
    return table_record(path, spool(form.names, _blocks(path, form)), fs=fs, unit=unit)


@dataclass(frozen=True)
class _Form:
    """How a text table is written: delimiter, names of its columns, rows in front of the numbers."""

    delimiter: str
    names: tuple[str, ...]
    n_skipped: int


def _recognise(path: Path) -> _Form:
    """Find out delimiter and header from the first lines."""
    lines = _first_lines(path)
    n_comments = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    rows = lines[n_comments:]
    if not any(line.strip() for line in rows):
        raise RecordFormatError(
            f"{path.name} is empty; a table of numbers with one column per lead is needed. Export it again"
        )
    delimiter = _delimiter(rows)
    first = _cells(rows[0], delimiter)
    if all(_is_number(cell) for cell in first):
        return _Form(delimiter, tuple(numbered_names(len(first))), n_comments)
    units = _cells(rows[1], delimiter) if len(rows) > 1 else []
    names = [name if name and not name.startswith("Unnamed:") else _INDEX_NAME for name in first]
    if len(units) == len(first) and not any(_is_number(cell) for cell in units):
        bare = [unit.strip("()[]") for unit in units]
        return _Form(delimiter, tuple(f"{n} ({u})" for n, u in zip(names, bare, strict=True)), n_comments + 2)
    return _Form(delimiter, tuple(names), n_comments + 1)


def _first_lines(path: Path) -> list[str]:
    """Return the whole lines at the top of a text file."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head or re.search(rb"[\x01-\x08\x0e-\x1f]", head):
        raise RecordFormatError(
            f"{path.name} is no text table: it holds binary data or UTF-16; UTF-8 text is allowed. Save it as UTF-8 CSV"
        )
    try:
        text = head.decode("utf-8-sig", errors="strict" if len(head) < _HEAD_BYTES else "ignore")
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    lines = text.splitlines()
    return lines[:-1] if len(head) == _HEAD_BYTES and len(lines) > 1 else lines


def _delimiter(rows: list[str]) -> str:
    """Return the delimiter that cuts the first rows into the same number of cells, more than one."""
    rows = [row for row in rows[:_N_SNIFFED] if row.strip()]
    for delimiter in _DELIMITERS:
        counts = {len(_cells(row, delimiter)) for row in rows}
        if len(counts) == 1 and counts.pop() > 1:
            return delimiter
    return max(_DELIMITERS, key=lambda delimiter: sum(len(_cells(row, delimiter)) for row in rows[1:]))


def _cells(row: str, delimiter: str) -> list[str]:
    """Cut one row into cells without quotes and blanks around them."""
    if delimiter == " ":
        return row.split()
    return [cell.strip().strip("'").strip() for cell in next(csv.reader([row], delimiter=delimiter), [])]


def _is_number(cell: str) -> bool:
    """Tell whether a cell of the first row is a value and not a name."""
    if cell in _MISSING[1:]:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _blocks(path: Path, form: _Form) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the numbers of a text table, shape (n_rows, n_columns), a block of the file at a time."""
    keys = [f"{i}" for i in range(len(form.names))]
    try:
        with path.open("rb") as file:
            for _ in range(form.n_skipped):
                file.readline()
            source = io.BufferedReader(_Squeezed(file)) if form.delimiter == " " else file
            reader = pa.csv.open_csv(
                source,
                pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=keys),
                pa.csv.ParseOptions(delimiter=form.delimiter),
                pa.csv.ConvertOptions(column_types=dict.fromkeys(keys, pa.float64()), null_values=_MISSING),
            )
            for batch in reader:
                yield np.column_stack([column.to_numpy(zero_copy_only=False) for column in batch.columns])
    except pa.ArrowInvalid as error:
        if "Empty CSV file" not in str(error):
            raise RecordFormatError(_explain(path, form, str(error))) from error


class _Squeezed(io.RawIOBase):
    """A text file in which runs of blanks are one blank, and lines neither begin nor end with one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            lines = self._file.readlines(_BLOCK_BYTES)
            if not lines:
                return 0
            self._rest = b"".join(b" ".join(line.split()) + b"\n" for line in lines if line.strip())
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _explain(path: Path, form: _Form, message: str) -> str:
    """Turn a message of pyarrow into one that names row and column as a person counts them."""
    row = re.search(r"Row #(\d+)", message)
    place = f", row {int(row[1]) + form.n_skipped}" if row else ""
    cell = re.search(r"CSV column #(\d+).*invalid value '(.*)'", message, re.DOTALL)
    if cell:
        number = int(cell[1])
        hint = (
            " Write decimals with a point" if re.fullmatch(r"[-+]?\d+,\d+", cell[2]) else " Correct or empty the cell"
        )
        return (
            f"{path.name}{place}, column {number + 1} ('{form.names[number]}'): '{cell[2][:40]}' is no "
            f"number; "
            f"numbers, NaN and empty cells are allowed.{hint}"
        )
    counts = re.search(r"Expected (\d+) columns, got (\d+)", message)
    if counts:
        return (
            f"{path.name}{place}: {counts[2]} cells found where {counts[1]} are expected; all rows need "
            f"the same "
            "number. The file may be truncated; export it again"
        )
    return f"{path.name} is no table of numbers ({message[:120]}); rows of numbers are needed. Export it as CSV again"
