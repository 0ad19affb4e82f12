"""Stage 1 of 7: record file -> Record. WFDB annotation files: marks at samples.

The words of annot(5) are decoded here: `wfdb.rdann` never returns on a file that starts with a note such as
``## comment``, and reads a truncated file as a shorter one. Its table of symbols is used.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.errors import RecordFormatError
from heartbert.records.record import Annotations
from heartbert.records.wfdb_header import read_header
from heartbert.records.wfdb_library import ann_labels

# Codes of annot(5) that are no marks, and the code of a note.
_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63
_NOTE = 22
# Words behind the end, so that a skip that is cut off can be decoded before the missing end is noticed.
_PADDING = 2
_SYMBOLS: dict[int, str] = {label.label_store: label.symbol for label in ann_labels}
_RESOLUTION = re.compile(r"## time resolution: ([\d.]+)")
_DEFINITION = re.compile(r"(\d+) (\S+)(?: .*)?")


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
    marks, stated_fs = _without_definitions(list(_marks(file)))
    samples = np.array([mark.sample for mark in marks], dtype=np.int64)
    if samples.size and samples.min() < 0:
        raise RecordFormatError(
            f"{file.name}: mark {int(samples.argmin())} is at sample {samples.min()}; times must not be "
            "negative. Download the file again"
        )
    order = np.argsort(samples, kind="stable")
    return Annotations(
        samples=samples[order],
        symbols=tuple(marks[i].symbol for i in order),
        aux_notes=tuple(marks[i].note for i in order),
        fs=_rate(file, stated_fs),
        subtypes=np.array([marks[i].subtype for i in order], dtype=np.int64),
    )


@dataclass(frozen=True)
class _Mark:
    """One annotation: sample index, code of annot(5), its symbol, a note and a subtype."""

    sample: int
    code: int
    symbol: str
    note: str = ""
    subtype: int = 0


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


def _marks(file: Path) -> Iterator[_Mark]:
    """Yield the annotations of a file in its order."""
    words, at, sample = _words(file), 0, 0
    mark: _Mark | None = None
    while words[at] != 0:
        code, value = divmod(int(words[at]), 1 << 10)
        if code == _SKIP:
            interval = int(words[at + 1]) << 16 | int(words[at + 2])
            sample += interval - (1 << 32 if interval >= 1 << 31 else 0)
            at += 2
        elif code == _AUX:
            n_words = (value + 1) // 2
            note = words[at + 1 : at + 1 + n_words].tobytes()[:value].decode("utf-8", "replace")
            mark = replace(mark, note=note.split("\0")[0]) if mark else None
            at += n_words
        elif code == _SUB:
            mark = replace(mark, subtype=_signed_byte(value)) if mark else None
        elif code not in {_NUM, _CHN}:
            if mark:
                yield mark
            sample += value
            mark = _Mark(sample, code, _SYMBOLS.get(code, "")) if code else None
        at += 1
        if at >= len(words) - _PADDING:
            raise _incomplete(file, "the end mark '0000' is missing")
    if mark:
        yield mark


def _signed_byte(value: int) -> int:
    """Read the low 8 bits of a word as the WFDB library does: 0 to 127, then -128 to -1."""
    return (value & 0xFF ^ 0x80) - 0x80


def _words(file: Path) -> npt.NDArray[np.uint16]:
    """Return the file as little-endian words, and padding."""
    content = file.read_bytes()
    if len(content) < 2 or len(content) % 2:
        raise _incomplete(file, "it must have an even number of bytes, at least 2")
    if content[-2:] != b"\0\0":
        raise _incomplete(file, "the end mark '0000' is missing")
    return np.frombuffer(content + bytes(2 * _PADDING), dtype="<u2")


def _incomplete(file: Path, reason: str) -> RecordFormatError:
    """Return the error for a damaged or truncated file."""
    return RecordFormatError(
        f"{file.name} is no complete WFDB annotation file of {file.stat().st_size} bytes: {reason}, see "
        f"annot(5). "
        "Download it again"
    )


def _without_definitions(marks: list[_Mark]) -> tuple[list[_Mark], float | None]:
    """Split off the notes at the start that state the time resolution and symbols of the file's own."""
    fs: float | None = None
    own_symbols: dict[int, str] = {}
    n_notes, defining = 0, False
    for mark in marks:
        resolution, definition = _RESOLUTION.match(mark.note), _DEFINITION.fullmatch(mark.note)
        if mark.code != _NOTE or mark.sample != 0 or not (defining or mark.note.startswith("## ")):
            break
        if resolution:
            fs = float(resolution[1])
        elif defining and definition:
            own_symbols[int(definition[1])] = definition[2]
        defining = mark.note != "## end of definitions" and (defining or mark.note == "## annotation type definitions")
        n_notes += 1
    return [replace(mark, symbol=own_symbols.get(mark.code, mark.symbol)) for mark in marks[n_notes:]], fs


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
