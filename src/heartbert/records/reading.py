"""Stage 1 of 7: record file -> Record. Picks the reader for a path by its suffix and content."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from heartbert.errors import RecordFormatError
from heartbert.records.array_files import read_npy, read_npz
from heartbert.records.csv_files import read_csv
from heartbert.records.edf_files import BDF_START, EDF_START, read_edf
from heartbert.records.limits import check_given_fs, check_same_fs
from heartbert.records.parquet_files import read_parquet
from heartbert.records.record import Record
from heartbert.records.units import check_unit
from heartbert.records.wfdb_annotations import read_annotations
from heartbert.records.wfdb_files import read_wfdb
from heartbert.records.wfdb_header import segment_names

__all__ = ["read_annotations", "read_record"]


class Reader(Protocol):
    """A function that reads one format."""

    def __call__(self, path: Path, *, fs: float | None = None, unit: str | None = None) -> Record:
        """Open the file at `path`."""
        ...


# Format by suffix, and reader by format.
_FORMAT_OF = {
    ".hea": "WFDB header",
    ".edf": "EDF",
    ".bdf": "BDF",
    ".csv": "text",
    ".tsv": "text",
    ".txt": "text",
    ".npy": "npy",
    ".npz": "npz",
    ".parquet": "parquet",
}
_READERS: dict[str, Reader] = {
    "WFDB header": read_wfdb,
    "EDF": read_edf,
    "BDF": read_edf,
    "text": read_csv,
    "npy": read_npy,
    "npz": read_npz,
    "parquet": read_parquet,
}
# First bytes of the formats that have some, and of files that are often taken for recordings.
_STARTS = (
    (EDF_START, "EDF"),
    (BDF_START, "BDF"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "npz"),
    (b"PAR1", "parquet"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"MATLAB", "a MATLAB file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"<?xml", "an XML document"),
)
_CHOICES = ", ".join(_FORMAT_OF)
# Formats that no first bytes announce.
_TEXT = {"WFDB header", "text"}
# Names listed in a message about a folder.
_N_LISTED = 10


def read_record(path: str | Path, *, fs: float | None = None, unit: str | None = None) -> Record:
    """Open a recording; samples are read when asked for.

    ECG leads, and channels whose name says nothing, are delivered in mV; where the file gives no voltage
    their unit is ``"NU"`` (amplitude unknown) and their values are those of the file.

    Parameters
    ----------
    path : str or Path
        A WFDB header, record name or signal file, or a folder with one WFDB record; an EDF, EDF+C or BDF
        file; a CSV, TSV or TXT table; an npy, npz or parquet file.
    fs : float or None
        Sampling frequency in Hz, for formats without one. There is no default, and a contradiction is an
        error.
    unit : {"V", "mV", "uV"} or None
        Unit of the ECG leads where the file's is missing or wrong; it wins over the file's.

    Returns
    -------
    record : Record

    Raises
    ------
    RecordFormatError
        If the file is missing, damaged, of another format than its suffix says, or of none that is read.
    ConfigError
        If `fs` or `unit` is impossible or contradicts the file.

    Examples
    --------
    >>> record = read_record("mitdb/100")  # doctest: +SKIP
    >>> record.lead("MLII").read(0, 3)  # doctest: +SKIP
    array([-0.145, -0.145, -0.145], dtype=float32)
    """
    check_given_fs(fs)
    check_unit(unit)
    file = _locate(path)
    kind = _format(file)
    try:
        record = _READERS[kind](file, fs=fs, unit=unit)
    except OSError as error:
        raise RecordFormatError(
            f"{file.name} cannot be read ({error}); the file and the folder for temporary files must be "
            f"accessible. "
            "Check permissions and free space"
        ) from error
    check_same_fs(fs, [channel.fs for channel in record.channels], file.name)
    if unit is None:
        return record
    return replace(record, channels=tuple(replace(channel, unit_given=True) for channel in record.channels))


def _locate(path: str | Path) -> Path:
    """Return the file to open for any of the allowed ways to name a recording."""
    text = os.fspath(path)
    if re.match(r"[A-Za-z][A-Za-z0-9+.\-]+:/", text) or "::" in text or "\0" in text:
        raise RecordFormatError(
            f"'{text}' is a URL; only files on this computer are read. Download the recording and give its path"
        )
    path = Path(text)
    if path.is_dir():
        return _only_record(path)
    header = path.with_suffix(".hea") if path.suffix.lower() == ".dat" else path.with_name(f"{path.name}.hea")
    if path.is_file() and path.suffix.lower() != ".dat":
        return path
    if header.is_file():
        return header
    if path.is_file():
        raise RecordFormatError(
            f"{path.name} is a signal file, but its header {header.name} is not in its folder; both are "
            f"needed. "
            "Put the header beside it"
        )
    raise RecordFormatError(
        f"'{text}' does not exist; a folder, a WFDB record name or a file ending in {_CHOICES} is allowed. "
        "Check the path"
    )


def _only_record(folder: Path) -> Path:
    """Return the header of the only record in a folder; segments of a record do not count."""
    headers = sorted(folder.glob("*.hea"))
    segments = {name for header in headers for name in segment_names(header)} if len(headers) > 1 else set()
    records = [header for header in headers if header.stem not in segments]
    if len(records) == 1:
        return records[0]
    if not records:
        raise RecordFormatError(
            f"folder '{folder}' holds no WFDB header (.hea); exactly one record is needed. "
            f"Give the path of a file ending in {_CHOICES}"
        )
    listed = ", ".join(header.stem for header in records[:_N_LISTED])
    more = f" and {len(records) - _N_LISTED} more" if len(records) > _N_LISTED else ""
    raise RecordFormatError(
        f"folder '{folder}' holds {len(records)} records: {listed}{more}; exactly one is needed. "
        "Give the path of one of them"
    )


def _format(file: Path) -> str:
    """Return the format of a file whose suffix and content agree."""
    stated = _FORMAT_OF.get(file.suffix.lower())
    found = _content(file)
    if stated is None:
        hint = f"; its content is {found}" if found else ""
        raise RecordFormatError(
            f"{file.name} ends in '{file.suffix}'{hint}; allowed are {_CHOICES}. Rename or convert the file"
        )
    if file.stat().st_size == 0:
        raise RecordFormatError(
            f"{file.name} is empty (0 bytes); a file of format {stated} is needed. Download it again"
        )
    if found != stated and (found is not None or stated not in _TEXT):
        content = found or "something else"
        suffixes = [suffix for suffix, kind in _FORMAT_OF.items() if kind == found]
        advice = f"Rename it to end in {suffixes[0]}" if suffixes else f"Convert it to one of {_CHOICES}"
        raise RecordFormatError(
            f"{file.name} ends in '{file.suffix}' but its content is {content}; suffix and content must agree. {advice}"
        )
    return stated


def _content(file: Path) -> str | None:
    """Return what the first bytes of a file say, None if nothing."""
    try:
        with file.open("rb") as opened:
            start = opened.read(16)
    except OSError as error:
        raise RecordFormatError(f"{file.name} cannot be opened ({error}); check that you may read it") from error
    return next((kind for first, kind in _STARTS if start.startswith(first)), None)
