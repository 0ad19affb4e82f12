"""Stage 1 of 7: record file -> Record. WFDB header files, checked before any file they name is opened.

`wfdb` reads headers leniently: it drops non-ASCII characters (so ``µV`` becomes ``V``), ignores what it
cannot parse (so a negative sampling frequency becomes the default of 250 Hz) and does not compare counts.
The lines are therefore checked against header(5) here; `wfdb` then gives the values.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from heartbert.errors import RecordFormatError
from heartbert.records.limits import check_fs, check_same_fs
from heartbert.records.wfdb_library import wfdb

# Signal formats of signal(5) that are stored in a fixed number of bytes, and the FLAC ones.
FIXED_FORMATS = frozenset({"8", "16", "24", "32", "61", "80", "160", "212", "310", "311"})
FLAC_FORMATS = frozenset({"508", "516", "524"})
# File name and format of a signal that a variable-layout header only describes.
NO_FILE = "~"

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FORMAT = re.compile(r"\d+(?:x\d+)?(?::\d+)?(?:\+\d+)?")
_GAIN = re.compile(rf"{_NUMBER}(?:\(-?\d+\))?(?:/(?P<unit>\S+))?")
_RATE = re.compile(r"(?P<fs>[^/(]*)(?:/.*)?")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SUBJECT = re.compile(
    r"\W*(?:subject|patient)(?:[ _\-]?(?:id|no|number|code))?\W*\s*[:=]\s*(?P<id>\S+)\s*", re.IGNORECASE
)
_NOBODY = {"x", "na", "n/a", "none", "unknown", "m", "f", "male", "female", "?", "-"}


@dataclass(frozen=True)
class SignalLine:
    """One signal specification: where its samples lie and what they are.

    Attributes
    ----------
    name : str
        Description, or ``"record NAME, signal NUMBER"`` where the header has none.
    file_name : str
        Name inside the folder of the header.
    storage : str
        Number of the signal format, for example ``"212"``.
    samples_per_frame : int
    skew_frames : int
        Frames by which the signal is stored late.
    offset_bytes : int
    gain, baseline : float
        A stored value ``d`` means ``(d - baseline) / gain`` in `unit`.
    unit : str
    """

    name: str
    file_name: str
    storage: str
    samples_per_frame: int
    skew_frames: int
    offset_bytes: int
    gain: float
    baseline: float
    unit: str


@dataclass(frozen=True)
class WfdbHeader:
    """A checked header.

    Attributes
    ----------
    path : Path
        The ``.hea`` file.
    fs : float
        Frames per second.
    n_frames : int or None
        None where the header leaves it to the length of the signal file.
    n_signals : int
    start : datetime or None
    subject_id : str
        From a comment such as ``# subject: 17``, else the record's name.
    signals : tuple of SignalLine
        Empty for a multi-segment record.
    segments : tuple of (str, int)
        Name and number of frames of each segment; empty for a record that is its own only segment.
    """

    path: Path
    fs: float
    n_frames: int | None
    n_signals: int
    start: datetime | None
    subject_id: str
    signals: tuple[SignalLine, ...]
    segments: tuple[tuple[str, int], ...]

    @property
    def record_path(self) -> str:
        """Path without suffix, as `wfdb` takes it."""
        return str(self.path.with_suffix(""))


def read_header(path: Path, fs: float | None = None, *, needs_samples: bool = True) -> WfdbHeader:
    """Read and check one header file, without the headers of its segments.

    Parameters
    ----------
    path : Path
        The ``.hea`` file.
    fs : float or None
        Sampling frequency in Hz, only needed where the header has none.
    needs_samples : bool
        False for the header that only names the signals of a variable layout.

    Raises
    ------
    RecordFormatError
        If the header breaks header(5), names a file outside its own folder, or has no sampling frequency and
        none is given. header(5) would assume 250 Hz then; a recording of unknown rate is refused here
        instead.
    """
    lines = _header_lines(path)
    tokens = lines[0].split()
    segmented = "/" in tokens[0]
    n_signals = _count(path, tokens, 1, "number of signals")
    rate = _stated_rate(path, tokens, fs)
    n_frames = _count(path, tokens, 3, "number of samples") if len(tokens) > 3 else None
    if n_frames == 0 and needs_samples:
        raise RecordFormatError(
            f"{path.name}: the record has 0 samples; at least 1 is needed. Record or convert it again"
        )
    _check_lines(path, lines, segmented=segmented, n_signals=n_signals)
    parsed = _parse(path)
    if len(tokens) > 2 and (parsed.fs, parsed.sig_len) != (rate, n_frames):
        raise RecordFormatError(
            f"{path.name}: the first line is '{lines[0][:80]}'; plain numbers 'NAME N_SIGNALS FS "
            f"N_SAMPLES' are "
            "allowed. Write them out in the header"
        )
    return WfdbHeader(
        path=path,
        fs=rate,
        n_frames=n_frames,
        n_signals=n_signals,
        start=parsed.base_datetime,
        subject_id=_subject_id(parsed.comments) or path.stem,
        signals=() if segmented else tuple(_signal_line(path, i, parsed, lines[1 + i]) for i in range(n_signals)),
        segments=tuple(zip(parsed.seg_name, parsed.seg_len, strict=True)) if segmented else (),
    )


def segment_names(path: Path) -> list[str]:
    """Return the names of the segments of a record; none for a record that has no segments."""
    lines = _header_lines(path)
    return [line.split()[0] for line in lines[1:]] if "/" in lines[0].split()[0] else []


def _header_lines(path: Path) -> list[str]:
    """Return the lines that are neither empty nor comments; the same ones that `wfdb` sees."""
    content = path.read_bytes()
    if _CONTROL.search(content):
        raise RecordFormatError(
            f"{path.name} is no WFDB header: it holds binary data; a header is text. Choose the .hea file of the record"
        )
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = [line.strip() for line in re.split(r"[\r\n]+", text)]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines or not lines[0].isascii():
        found = f"starts with '{lines[0][:80]}'" if lines else "is empty"
        raise RecordFormatError(
            f"{path.name} {found}; a WFDB header starts with 'NAME N_SIGNALS FS N_SAMPLES'. Download it again"
        )
    return lines


def _count(path: Path, tokens: Sequence[str], position: int, what: str) -> int:
    """Return a number without sign from the record line."""
    if len(tokens) <= position or not re.fullmatch(r"\d{1,18}", tokens[position], re.ASCII):
        found = f"'{tokens[position]}'" if len(tokens) > position else "missing"
        raise RecordFormatError(
            f"{path.name}: the {what} is {found}; a whole number is allowed. "
            "The first line must read 'NAME N_SIGNALS FS N_SAMPLES'; correct the header or download it again"
        )
    return int(tokens[position])


def _stated_rate(path: Path, tokens: Sequence[str], fs: float | None) -> float:
    """Return the sampling frequency of the record line, or the given one where there is none."""
    if len(tokens) < 3:
        if fs is None:
            raise RecordFormatError(
                f"{path.name} has no sampling frequency (WFDB programs then assume 250 Hz); give it with --fs or fs=..."
            )
        return fs
    match = _RATE.fullmatch(tokens[2])
    try:
        rate = float(match["fs"]) if match else math.nan
    except ValueError:
        rate = math.nan
    check_fs(rate, path.name)
    check_same_fs(fs, [rate], path.name)
    return rate


def _check_lines(path: Path, lines: Sequence[str], *, segmented: bool, n_signals: int) -> None:
    """Check number and file names of the lines, before `wfdb` opens anything."""
    if n_signals == 0:
        raise RecordFormatError(
            f"{path.name}: the record has 0 signals; at least 1 is needed. "
            "A header of annotations alone cannot be analysed; choose another record"
        )
    name = re.fullmatch(r"[^/]+(?:/(\d{1,9}))?", lines[0].split()[0], re.ASCII)
    if name is None:
        raise RecordFormatError(
            f"{path.name} starts with '{lines[0][:80]}'; a record is named 'NAME' or 'NAME/N_SEGMENTS'. "
            "Correct the header or download it again"
        )
    n_lines = n_signals if name[1] is None else int(name[1])
    if len(lines) - 1 != n_lines:
        raise RecordFormatError(
            f"{path.name}: the first line states {n_lines} {'segments' if segmented else 'signals'} but "
            f"{len(lines) - 1} lines follow; one line each is needed. Download the header again"
        )
    for line in lines[1:]:
        _check_inside(path, line.split()[0])


def _check_inside(path: Path, name: str) -> None:
    """Refuse the name of a file or segment that is not simply in the folder of the header."""
    if name == NO_FILE or re.fullmatch(r"[\w\-]+(?:\.\w+)?", name, re.ASCII):
        return
    raise RecordFormatError(
        f"{path.name} names the file '{name}'; letters, digits, '_', '-' and one '.' are allowed, and "
        f"only files "
        "in the folder of the header are opened. Put the file there and correct its name in the header"
    )


def _parse(path: Path) -> Any:
    """Return the header as `wfdb` reads it."""
    try:
        return wfdb.rdheader(str(path.with_suffix("")))
    except Exception as error:  # wfdb raises bare exceptions of many kinds
        raise RecordFormatError(
            f"{path.name} is no valid WFDB header ({error}); see header(5) of the WFDB manual. Download it again"
        ) from error


def _signal_line(path: Path, number: int, parsed: Any, line: str) -> SignalLine:
    """Return one signal specification: numbers from `wfdb`, name and unit from the line itself."""
    tokens = line.split(None, 8)
    numbers_fit = all(re.fullmatch(r"-?\d+", token, re.ASCII) for token in tokens[3:8])
    gain = _GAIN.fullmatch(tokens[2]) if len(tokens) > 2 else None
    if len(tokens) < 2 or not _FORMAT.fullmatch(tokens[1]) or not numbers_fit or (len(tokens) > 2 and not gain):
        raise RecordFormatError(
            f"{path.name}: the line of signal {number} is '{line[:80]}'; it must read 'FILE FORMAT "
            "GAIN(BASELINE)/UNIT RESOLUTION ZERO FIRST_VALUE CHECKSUM BLOCK_SIZE NAME'. Download the "
            "header again"
        )
    storage = parsed.fmt[number]
    if tokens[0] != NO_FILE and storage not in FIXED_FORMATS | FLAC_FORMATS:
        allowed = ", ".join(sorted(FIXED_FORMATS | FLAC_FORMATS, key=int))
        raise RecordFormatError(
            f"{path.name}: signal {number} is stored in format {storage}; allowed are {allowed}. "
            "Convert the record to format 16, for example with 'xform'"
        )
    return SignalLine(
        name=tokens[8] if len(tokens) > 8 else f"record {path.stem}, signal {number}",
        file_name=tokens[0],
        storage=storage,
        samples_per_frame=parsed.samps_per_frame[number] or 1,
        skew_frames=parsed.skew[number] or 0,
        offset_bytes=parsed.byte_offset[number] or 0,
        gain=parsed.adc_gain[number],
        baseline=parsed.baseline[number],
        unit=(gain["unit"] if gain else None) or "mV",
    )


def _subject_id(comments: Sequence[str]) -> str | None:
    """Return the person named by a comment of its own such as ``subject: 17``."""
    for comment in comments:
        match = _SUBJECT.fullmatch(comment)
        if match and match["id"].casefold() not in _NOBODY:
            return match["id"]
    return None
