"""Stage 1 of 7: record file -> Record. WFDB records: a header, and signal files or segments beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.errors import RecordFormatError
from heartbert.records.limits import check_fs
from heartbert.records.record import ArraySource, Channel, Record, SampleSource, as_samples
from heartbert.records.units import Delivery, deliver
from heartbert.records.wfdb_header import FIXED_FORMATS, NO_FILE, SignalLine, WfdbHeader, read_header
from heartbert.records.wfdb_library import wfdb
from heartbert.records.wfdb_samples import DIRECT_FORMATS, DirectSource, FrameLayout

# Bytes per sample of the formats in which every sample has its own bytes, see signal(5).
_BYTES_PER_SAMPLE = {"8": 1, "16": 2, "24": 3, "32": 4, "61": 2, "80": 1, "160": 2}
# Bytes of an incomplete last group of samples, by samples in it: (samples, bytes) of a full group and the
# rest.
_GROUPS = {"212": (2, 3, {1: 2}), "310": (3, 4, {1: 2, 2: 4}), "311": (3, 4, {1: 2, 2: 3})}


def read_wfdb(path: Path, *, fs: float | None = None, unit: str | None = None) -> Record:
    """Open a WFDB record, single-segment or multi-segment with fixed or variable layout.

    Samples are read from the signal files when asked for. Two kinds of record are read at once and kept in
    memory, because their files cannot be entered in the middle: format 8 (differences), and headers without a
    number of samples. Signals with several samples per frame keep their own sampling frequency, and skew is
    removed; what skew moves beyond the end is missing. A signal that a variable layout names but no segment
    has is left out.

    Parameters
    ----------
    path : Path
        The ``.hea`` file.
    fs : float or None
        Sampling frequency in Hz, only needed where the header has none.
    unit : {"V", "mV", "uV"} or None
        Unit of the ECG leads where the header's is missing or wrong.

    Raises
    ------
    RecordFormatError
        If the header or a signal file is damaged, missing, too short or outside the folder.
    """
    header = read_header(path, fs)
    if header.segments:
        channels = _segmented_channels(header, unit)
    else:
        n_frames = _check_files(header)
        channels = tuple(_channel(header, number, n_frames, unit) for number in range(header.n_signals))
    return Record(path.stem, header.subject_id, channels, header.start, path)


@dataclass(frozen=True)
class SignalFileSource:
    """Samples of one signal in its file, read through `wfdb` and multiplied by `factor`."""

    record_path: str
    number: int
    n_frames: int
    samples_per_frame: int
    skew_frames: int
    factor: float

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop`` as float32; missing ones are NaN."""
        layout = FrameLayout(self.samples_per_frame, self.n_frames, self.skew_frames)
        return layout.read(start, stop, self._frames)

    def _frames(self, first: int, last: int) -> npt.NDArray[np.float32]:
        return as_samples(_read_frames(self.record_path, self.number, first, last), self.factor)


@dataclass(frozen=True)
class SegmentedSource:
    """Samples of one signal in the segments that have it, by first sample; NaN elsewhere."""

    parts: tuple[tuple[int, Channel], ...]

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop`` as float32; missing ones are NaN."""
        signal = np.full(max(stop - start, 0), np.nan, dtype=np.float32)
        for offset, part in self.parts:
            first, last = max(start, offset), min(stop, offset + part.n_samples)
            if first < last:
                signal[first - start : last - start] = part.read(first - offset, last - offset)
        return signal


def _read_frames(record_path: str, number: int, first: int, last: int | None) -> npt.NDArray[np.float64]:
    """Return the stored samples of some frames in the unit of the header, skew not removed."""
    try:
        record: Any = wfdb.rdrecord(
            record_path, sampfrom=first, sampto=last, channels=[number], smooth_frames=False, ignore_skew=True
        )
    except Exception as error:  # wfdb raises bare exceptions of many kinds
        raise RecordFormatError(
            f"record '{Path(record_path).name}': signal {number} cannot be read from frame {first} on "
            f"({error}); "
            "the signal file must be complete and of the format in the header. Download it again"
        ) from error
    return np.asarray(record.e_p_signal[0], dtype=np.float64)


def _channel(header: WfdbHeader, number: int, n_frames: int, unit: str | None) -> Channel:
    """Return one signal of a record without segments."""
    line = header.signals[number]
    delivery = deliver(line.name, line.unit, unit)
    fs = check_fs(header.fs * line.samples_per_frame, f"{header.path.name}, signal '{line.name}'")
    return Channel(
        line.name,
        fs,
        delivery.unit,
        n_frames * line.samples_per_frame,
        delivery.kind,
        _source(header, number, n_frames, delivery),
    )


def _source(header: WfdbHeader, number: int, n_frames: int, delivery: Delivery) -> SampleSource:
    """Return where the samples of one signal lie."""
    line = header.signals[number]
    skew, spf = line.skew_frames, line.samples_per_frame
    if line.storage in DIRECT_FORMATS:
        per_frame = [other.samples_per_frame if other.file_name == line.file_name else 0 for other in header.signals]
        return DirectSource(
            path=header.path.with_name(line.file_name),
            storage=line.storage,
            offset_bytes=line.offset_bytes,
            frame_samples=sum(per_frame),
            position=sum(per_frame[:number]),
            samples_per_frame=spf,
            n_frames=n_frames,
            skew_frames=skew,
            baseline=line.baseline,
            gain=line.gain,
            factor=delivery.factor,
        )
    if header.n_frames is not None and line.storage != "8":
        return SignalFileSource(header.record_path, number, n_frames, spf, skew, delivery.factor)
    signal = _read_frames(header.record_path, number, 0, header.n_frames)[skew * spf :]
    return ArraySource(np.pad(signal, (0, skew * spf), constant_values=np.nan), delivery.factor)


def _check_files(header: WfdbHeader) -> int:
    """Check that the signal files are there and long enough, and return the number of frames."""
    groups: dict[str, list[SignalLine]] = {}
    for line in header.signals:
        groups.setdefault(line.file_name, []).append(line)
    n_frames = header.n_frames or min(_stored_frames(header, lines) for lines in groups.values())
    place = 0
    for name, lines in groups.items():
        same = {(line.storage, line.offset_bytes) for line in lines}
        if header.signals[place : place + len(lines)] != tuple(lines) or len(same) > 1:
            raise RecordFormatError(
                f"{header.path.name}: the signals of '{name}' are scattered or differ in format or "
                f"offset; signals of "
                "one file must follow each other and share both. Correct the header or download it again"
            )
        place += len(lines)
        _check_length(header, lines, n_frames)
    return n_frames


def _check_length(header: WfdbHeader, lines: list[SignalLine], n_frames: int) -> None:
    """Check that one signal file holds `n_frames` frames."""
    size, line = _file_size(header, lines), lines[0]
    if line.storage in FIXED_FORMATS:
        n_samples = n_frames * sum(each.samples_per_frame for each in lines)
        expected = line.offset_bytes + n_bytes(line.storage, n_samples)
        if size < expected or n_frames == 0:
            raise RecordFormatError(
                f"{line.file_name} is truncated: {size} bytes found, {expected} expected for {n_frames} "
                f"frames of "
                f"{len(lines)} signals in format {line.storage}. Download or copy it again"
            )
    else:
        last = (header.n_frames or 1) - 1
        _read_frames(header.record_path, header.signals.index(line), last, last + 1)


def _stored_frames(header: WfdbHeader, lines: list[SignalLine]) -> int:
    """Return how many frames one signal file holds, for a header that does not say."""
    size, line = _file_size(header, lines), lines[0]
    if line.storage not in FIXED_FORMATS:
        raise RecordFormatError(
            f"{header.path.name} has no number of samples; FLAC signal files (format {line.storage}) "
            f"need it. "
            "Add it to the first line"
        )
    per_frame = sum(each.samples_per_frame for each in lines)
    samples, group_bytes, _ = _GROUPS.get(line.storage, (1, _BYTES_PER_SAMPLE.get(line.storage, 0), {}))
    return (size - line.offset_bytes) * samples // (group_bytes * per_frame)


def _file_size(header: WfdbHeader, lines: list[SignalLine]) -> int:
    """Return the bytes of a signal file that must exist."""
    file = header.path.with_name(lines[0].file_name)
    if lines[0].file_name == NO_FILE or not file.is_file():
        raise RecordFormatError(
            f"{header.path.name} needs the signal file '{lines[0].file_name}', which is not in its folder; "
            "header and signal file belong together. Put it beside the header"
        )
    return file.stat().st_size


def n_bytes(storage: str, n_samples: int) -> int:
    """Return the bytes that `n_samples` samples occupy in a signal file.

    Parameters
    ----------
    storage : str
        One of the fixed-size formats of signal(5).
    n_samples : int

    Examples
    --------
    >>> n_bytes("212", 3), n_bytes("16", 3), n_bytes("311", 5)
    (5, 6, 7)
    """
    if storage in _BYTES_PER_SAMPLE:
        return n_samples * _BYTES_PER_SAMPLE[storage]
    samples, size, rest = _GROUPS[storage]
    return n_samples // samples * size + rest.get(n_samples % samples, 0)


def _segmented_channels(header: WfdbHeader, unit: str | None) -> tuple[Channel, ...]:
    """Return the signals of a multi-segment record."""
    total = sum(length for _, length in header.segments)
    if header.n_frames is None or total != header.n_frames:
        raise RecordFormatError(
            f"{header.path.name}: the segments have {total} samples together but the first line states "
            f"{header.n_frames}; both must agree. Download the header again"
        )
    layout, offset, pieces = None, 0, []
    for name, length in header.segments:
        segment = None if name == NO_FILE else _segment_header(header, name)
        if segment is not None and length == 0:
            layout = segment
        elif segment is not None:
            pieces.append((offset, _segment_channels(segment, length, unit)))
        offset += length
    if not pieces:
        raise RecordFormatError(
            f"{header.path.name}: none of the {len(header.segments)} segments has samples; at least one "
            f"must. "
            "Choose another record"
        )
    if layout is None:
        return _fixed_layout(header, pieces)
    names = [line.name for line in layout.signals]
    found = {name: [(at, each) for at, channels in pieces for each in channels if each.name == name] for name in names}
    return tuple(_joined(header, name, found[name]) for name in names if found[name])


def _fixed_layout(header: WfdbHeader, pieces: list[tuple[int, tuple[Channel, ...]]]) -> tuple[Channel, ...]:
    """Join segments that all have the same signals in the same order."""
    counts = sorted({len(channels) for _, channels in pieces})
    if counts != [header.n_signals]:
        found = " and ".join(map(str, counts))
        raise RecordFormatError(
            f"{header.path.name} states {header.n_signals} signals but its segments have {found}; a "
            f"fixed layout "
            "needs the same signals in all. Download the record again"
        )
    names = [channel.name for channel in pieces[0][1]]
    return tuple(_joined(header, name, [(at, cs[i]) for at, cs in pieces]) for i, name in enumerate(names))


def _segment_header(header: WfdbHeader, name: str) -> WfdbHeader:
    """Read the header of one segment, which must not have segments of its own."""
    path = header.path.with_name(f"{name}.hea")
    if not path.is_file():
        raise RecordFormatError(
            f"{header.path.name} needs the segment '{name}', but {path.name} is not in its folder; "
            "all segments must be there. Put it beside the header"
        )
    segment = read_header(path, header.fs, needs_samples=dict(header.segments)[name] > 0)
    if segment.segments:
        raise RecordFormatError(
            f"{header.path.name}: segment '{name}' has segments itself; only one level is allowed by "
            f"header(5). "
            "List all segments in one header"
        )
    return segment


def _segment_channels(segment: WfdbHeader, length: int, unit: str | None) -> tuple[Channel, ...]:
    """Return the signals of one segment."""
    n_frames = _check_files(segment)
    if n_frames != length:
        raise RecordFormatError(
            f"segment '{segment.path.stem}' has {n_frames} samples but its record states {length}; both "
            f"must agree. "
            "Download the record again"
        )
    return tuple(_channel(segment, number, n_frames, unit) for number in range(segment.n_signals))


def _joined(header: WfdbHeader, name: str, parts: list[tuple[int, Channel]]) -> Channel:
    """Return one signal over all segments; `parts` are in frames from the start."""
    rates = sorted({part.fs for _, part in parts})
    units = sorted({part.unit for _, part in parts})
    if len(rates) > 1 or len(units) > 1:
        found = " and ".join([f"{rate:g} Hz" for rate in rates] + [f"'{each}'" for each in units])
        raise RecordFormatError(
            f"{header.path.name}: signal '{name}' changes between segments ({found}); one sampling "
            f"frequency and one "
            "unit are needed. Read the segments as records of their own"
        )
    per_frame = round(rates[0] / header.fs)
    n_samples = sum(length for _, length in header.segments) * per_frame
    source = SegmentedSource(tuple((at * per_frame, part) for at, part in parts))
    return Channel(name, rates[0], units[0], n_samples, parts[0][1].kind, source)
