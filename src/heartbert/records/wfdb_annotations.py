"""Stage 1 of 7: record file -> Record. WFDB annotation files: marks at samples."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from heartbert.errors import RecordFormatError
from heartbert.records.record import Annotations
from heartbert.records.wfdb_header import read_header


def read_annotations(path: str | Path, annotator: str) -> Annotations:
    """Read the marks that one annotator made on a WFDB record.

    Parameters
    ----------
    path : str or Path
        Record name with its folder, or the header or annotation file itself.
    annotator : str
        Suffix of the annotation file without dot, for example ``"atr"`` or ``"st"``.

    Returns
    -------
    annotations : Annotations
        In time order; equal times keep the order of the file.

    Raises
    ------
    RecordFormatError
        If the file is missing, damaged or truncated, or nothing states the sampling frequency of its times.

    Examples
    --------
    >>> annotations = read_annotations("mitdb/100", "atr")  # doctest: +SKIP
    >>> annotations.symbols[:3], annotations.samples[:3]  # doctest: +SKIP
    (('+', 'N', 'N'), array([ 18,  77, 370]))
    """
    file = _annotation_file(Path(path), annotator)
    _check_end(file)
    parsed = _parse(file)
    samples = np.asarray(parsed.sample, dtype=np.int64)
    symbols = tuple(str(symbol) for symbol in parsed.symbol)
    if samples.size and samples.min() < 0:
        raise RecordFormatError(
            f"{file.name}: mark {int(samples.argmin())} is at sample {samples.min()}; times must not be "
            f"negative. "
            "Download the file again"
        )
    order = np.argsort(samples, kind="stable")
    notes = [str(note or "").rstrip("\0") for note in parsed.aux_note]
    return Annotations(
        samples=samples[order],
        symbols=tuple(symbols[i] for i in order),
        aux_notes=tuple(notes[i] for i in order),
        fs=_rate(file, parsed.fs),
    )


def _annotation_file(path: Path, annotator: str) -> Path:
    """Return the annotation file of a record given in any of the allowed ways."""
    if not re.fullmatch(r"[\w\-]+", annotator, re.ASCII):
        raise RecordFormatError(
            f"annotator is '{annotator}'; letters, digits, '_' and '-' are allowed. Give the suffix of the "
            "annotation file without dot, for example 'atr'"
        )
    if path.suffix in {".hea", ".dat", f".{annotator}"}:
        path = path.with_suffix("")
    file = path.with_name(f"{path.name}.{annotator}")
    if not file.is_file():
        others = sorted(each.suffix[1:] for each in file.parent.glob("*") if each.stem == path.name)
        raise RecordFormatError(
            f"there is no annotation file {file.name} in '{file.parent}'; files of that record end in "
            f"{', '.join(others) or 'nothing'}. Choose another annotator or put the file there"
        )
    return file


def _check_end(file: Path) -> None:
    """Check that the file is whole: pairs of bytes, the last of them zero, see annot(5)."""
    content = file.read_bytes()
    if len(content) < 2 or len(content) % 2 or content[-2:] != b"\0\0":
        raise RecordFormatError(
            f"{file.name} is no complete WFDB annotation file: it has {len(content)} bytes and ends in "
            f"'{content[-2:].hex()}'; an even number of bytes ending in '0000' is needed. Download it again"
        )


def _parse(file: Path) -> Any:
    """Return the annotations as `wfdb` reads them."""
    try:
        return wfdb.rdann(str(file.with_suffix("")), file.suffix[1:])
    except Exception as error:  # wfdb raises bare exceptions of many kinds
        raise RecordFormatError(
            f"{file.name} is no valid WFDB annotation file ({error}); see annot(5) of the WFDB manual. "
            "Download it again"
        ) from error


def _rate(file: Path, found: float | None) -> float:
    """Return the sampling frequency in Hz of the annotation times: stated in the file, else in the header."""
    header = file.with_suffix(".hea")
    if header.is_file():
        return float(found if found is not None else read_header(header).fs)
    if found is None:
        raise RecordFormatError(
            f"{file.name} does not state the sampling frequency of its times and {header.name} is not "
            f"in its folder; "
            "one of them is needed. Put the header beside it"
        )
    return float(found)
