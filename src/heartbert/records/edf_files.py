"""Stage 1 of 7: record file -> Record. EDF, EDF+C and BDF: headers by `edfio`, samples by a memory map.

`edfio` parses the header; it would load a whole BDF file into memory, and float seconds address its slices.
Samples are therefore taken from a memory map of the data records, the same way for both formats.
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import edfio
import numpy as np
import numpy.typing as npt
from edfio.edf_header import AnonymizedDateError

from heartbert.errors import RecordFormatError
from heartbert.records.limits import check_fs, check_same_fs
from heartbert.records.record import Channel, Record, as_samples
from heartbert.records.units import UNKNOWN_UNIT, Delivery, deliver

EDF_START = b"0       "
BDF_START = b"\xffBIOSEMI"

# Positions in the fixed part of the header, and bytes of the fields of each signal before and in front of the
# number of samples, see https://www.edfplus.info/specs/edf.html.
_FIXED_BYTES = 256
_N_RECORDS = slice(236, 244)
_LABEL_BYTES = 16
_BEFORE_N_SAMPLES_BYTES = 16 + 80 + 8 + 8 + 8 + 8 + 8 + 80


def read_edf(path: Path, *, fs: float | None = None, unit: str | None = None) -> Record:
    """Open an EDF, EDF+C, BDF or BDF+C file; annotation signals are no channels.

    A signal without a usable calibration (equal minimum and maximum) is delivered as its digital values with
    unit ``"NU"``. The person is the patient code of an EDF+ header, else the file's name.

    Parameters
    ----------
    path : Path
    fs : float or None
        Sampling frequency in Hz; must be one in the file if given.
    unit : {"V", "mV", "uV"} or None
        Unit of the ECG leads where the file's is missing or wrong.

    Raises
    ------
    RecordFormatError
        If the file is discontinuous (EDF+D), truncated or damaged, or has no signal.
    ConfigError
        If `fs` contradicts the file.
    """
    layout = _read_layout(path)
    ordinary = [i for i, label in enumerate(layout.labels) if label != layout.annotation_label]
    _check_rates(layout, ordinary)
    parsed = _parse(path, layout)
    records = np.memmap(path, np.uint8, "r", offset=layout.header_bytes, shape=(layout.n_records, layout.record_bytes))
    signals: tuple[edfio.EdfSignal | edfio.BdfSignal, ...] = parsed.signals
    channels = [
        _channel(layout, number, signal, records=records, unit=unit)
        for number, signal in zip(ordinary, signals, strict=True)
    ]
    check_same_fs(fs, [channel.fs for channel in channels], path.name)
    return Record(path.stem, _subject_id(parsed) or path.stem, tuple(channels), _start(parsed), path)


@dataclass(frozen=True)
class _Layout:
    """Where the samples of each signal lie, in bytes and records."""

    name: str
    is_bdf: bool
    header_bytes: int
    n_records: int
    record_s: float
    labels: tuple[str, ...]
    samples_per_record: tuple[int, ...]

    @property
    def sample_bytes(self) -> int:
        return 3 if self.is_bdf else 2

    @property
    def record_bytes(self) -> int:
        return sum(self.samples_per_record) * self.sample_bytes

    @property
    def annotation_label(self) -> str:
        return "BDF Annotations" if self.is_bdf else "EDF Annotations"


@dataclass(frozen=True)
class DataRecordSource:
    """Samples of one signal in the data records of a file.

    Attributes
    ----------
    records : ndarray of uint8, shape (n_records, record_bytes)
    first_byte, last_byte : int
        Columns of `records` that belong to the signal.
    sample_bytes : int
        2 for EDF, 3 for BDF; little-endian integers.
    gain, offset : float
        A digital value ``d`` is ``d * gain + offset`` in the delivered unit.
    """

    records: npt.NDArray[np.uint8]
    first_byte: int
    last_byte: int
    sample_bytes: int
    gain: float
    offset: float

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop`` as float32."""
        per_record = (self.last_byte - self.first_byte) // self.sample_bytes
        if stop <= start:
            return np.empty(0, dtype=np.float32)
        rows = self.records[start // per_record : -(-stop // per_record), self.first_byte : self.last_byte]
        digital = _integers(np.ascontiguousarray(rows).reshape(-1, self.sample_bytes))
        skip = start % per_record
        values = digital[skip : skip + stop - start] * self.gain + self.offset
        return as_samples(values)


def _integers(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Turn little-endian integers of 2 or 3 bytes, shape (n, 2 or 3), into int32."""
    wide = np.zeros((len(raw), 4), dtype=np.uint8)
    wide[:, 4 - raw.shape[1] :] = raw
    shifted: npt.NDArray[np.int32] = wide.view("<i4")[:, 0] >> (8 * (4 - raw.shape[1]))
    return shifted.astype(np.int32)


def _read_layout(path: Path) -> _Layout:
    """Read and check everything that says where samples lie."""
    size = path.stat().st_size
    with path.open("rb") as file:
        fixed = file.read(_FIXED_BYTES)
        if len(fixed) < _FIXED_BYTES:
            raise RecordFormatError(
                f"{path.name} is truncated: {size} bytes found, its header alone needs {_FIXED_BYTES}. Copy it again"
            )
        n_signals = int(_number(path, fixed[252:256], "number of signals", least=0))
        signals = file.read(_FIXED_BYTES * n_signals)
    is_bdf = fixed.startswith(BDF_START)
    _check_continuous(path, fixed[192:236].decode("latin-1"))
    if n_signals == 0 or len(signals) < _FIXED_BYTES * n_signals:
        raise RecordFormatError(
            f"{path.name} states {n_signals} signals but has {len(signals)} bytes of signal headers; at "
            f"least one "
            f"signal and {_FIXED_BYTES} bytes for each are needed. Copy or export it again"
        )
    first = _BEFORE_N_SAMPLES_BYTES * n_signals
    counts = [signals[first + 8 * i : first + 8 * i + 8] for i in range(n_signals)]
    labels = [signals[_LABEL_BYTES * i : _LABEL_BYTES * (i + 1)].decode("latin-1").rstrip() for i in range(n_signals)]
    layout = _Layout(
        name=path.name,
        is_bdf=is_bdf,
        header_bytes=_FIXED_BYTES * (n_signals + 1),
        n_records=int(_number(path, fixed[_N_RECORDS], "number of data records", least=-1)),
        record_s=_number(path, fixed[244:252], "duration of a data record", least=0),
        labels=tuple(labels),
        samples_per_record=tuple(int(_number(path, each, "number of samples in a record", least=0)) for each in counts),
    )
    return _with_stored_records(layout, size)


def _check_continuous(path: Path, reserved: str) -> None:
    """Refuse files with gaps between data records."""
    kind = reserved[:5]
    if kind in {"EDF+D", "BDF+D"}:
        family = kind[:3]
        raise RecordFormatError(
            f"{path.name} is {kind} (discontinuous); only continuous {family} and {family}+C are read. "
            "Export it as continuous parts."
        )


def _number(path: Path, field: bytes, what: str, *, least: float) -> float:
    """Return a number from a header field."""
    text = field.decode("latin-1").strip(" \0")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    whole = what.startswith("duration") or value == np.round(value)
    if not (np.isfinite(value) and value >= least and whole):
        raise RecordFormatError(
            f"{path.name}: the {what} is '{text}'; a number from {least} up is allowed. "
            "The header is damaged; copy or export the file again"
        )
    return value


def _with_stored_records(layout: _Layout, size: int) -> _Layout:
    """Check the file's length; -1 records (a recording that was not closed) means all whole ones."""
    n_records = layout.n_records
    if layout.record_bytes and n_records == -1:
        n_records = (size - layout.header_bytes) // layout.record_bytes
    expected = layout.header_bytes + layout.record_bytes * n_records
    if n_records < 1 or not layout.record_bytes:
        raise RecordFormatError(
            f"{layout.name} has 0 samples ({n_records} data records of {layout.record_bytes} bytes); at "
            f"least 1 is "
            "needed. Copy or export it again"
        )
    if size < expected:
        raise RecordFormatError(
            f"{layout.name} is truncated: {size} bytes found, {expected} expected for {n_records} data "
            f"records. "
            "Copy or download it again"
        )
    return _Layout(**{**vars(layout), "n_records": n_records})


def _check_rates(layout: _Layout, ordinary: list[int]) -> None:
    """Check that there are signals beside annotations, each with a sampling frequency."""
    if not ordinary:
        raise RecordFormatError(
            f"{layout.name} has no signals, only annotations; at least one signal is needed. "
            "Choose the file with the ECG"
        )
    for number in ordinary:
        n_samples = layout.samples_per_record[number]
        if n_samples == 0 or layout.record_s == 0:
            raise RecordFormatError(
                f"{layout.name}: signal '{layout.labels[number]}' has {n_samples} samples in records of "
                f"{layout.record_s:g} s, so no sampling frequency; both must be above 0. Export the file again"
            )


def _parse(path: Path, layout: _Layout) -> edfio.Edf | edfio.Bdf:
    """Return the header as `edfio` reads it, with the first data record, which holds the sub-second start."""
    with path.open("rb") as file:
        content = bytearray(file.read(layout.header_bytes + layout.record_bytes))
    content[_N_RECORDS] = b"1       "
    content[184:192] = f"{layout.header_bytes:<8d}".encode()
    try:
        if layout.is_bdf:
            return edfio.read_bdf(bytes(content), header_encoding="latin-1")
        return edfio.read_edf(bytes(content), header_encoding="latin-1")
    except Exception as error:  # edfio lets errors of many kinds through
        raise RecordFormatError(
            f"{path.name} has no valid {'BDF' if layout.is_bdf else 'EDF'} header ({error}); see "
            f"edfplus.info/specs. "
            "Copy or export it again"
        ) from error


def _channel(
    layout: _Layout,
    number: int,
    signal: edfio.EdfSignal | edfio.BdfSignal,
    *,
    records: npt.NDArray[np.uint8],
    unit: str | None,
) -> Channel:
    """Return one ordinary signal."""
    name, n_samples = layout.labels[number].strip(), layout.samples_per_record[number]
    fs = check_fs(n_samples / layout.record_s, f"{layout.name}, signal '{name}'")
    delivery, gain, offset = _calibration(layout, name, signal, unit)
    first = sum(layout.samples_per_record[:number]) * layout.sample_bytes
    last = first + n_samples * layout.sample_bytes
    source = DataRecordSource(
        records, first, last, layout.sample_bytes, gain * delivery.factor, offset * delivery.factor
    )
    return Channel(name, fs, delivery.unit, n_samples * layout.n_records, delivery.kind, source)


def _calibration(
    layout: _Layout, name: str, signal: edfio.EdfSignal | edfio.BdfSignal, unit: str | None
) -> tuple[Delivery, float, float]:
    """Return the delivery of a signal, and the gain and offset from its digital values to its file's unit."""
    try:
        digital, physical = signal.digital_range, signal.physical_range
        file_unit = signal.physical_dimension.strip()
    except ValueError as error:
        raise RecordFormatError(
            f"{layout.name}: the calibration of signal '{name}' is unreadable ({error}); numbers are needed. "
            "Copy or export the file again"
        ) from error
    if digital[0] == digital[1] or physical[0] == physical[1]:
        return deliver(name, UNKNOWN_UNIT, unit), 1.0, 0.0
    gain = (physical[1] - physical[0]) / (digital[1] - digital[0])
    return deliver(name, file_unit, unit), gain, physical[0] - digital[0] * gain


def _start(parsed: edfio.Edf | edfio.Bdf) -> datetime | None:
    """Return the wall-clock time of the first sample, None where it is anonymised or unreadable."""
    try:
        day: date = parsed.recording.startdate
    except AnonymizedDateError:
        return None
    except Exception:  # no EDF+ recording field: the date of the fixed header counts
        try:
            day = parsed.startdate
        except ValueError:
            return None
    try:
        return datetime.combine(day, parsed.starttime)
    except Exception:  # an unreadable time or a damaged first time-keeping annotation
        return None


def _subject_id(parsed: edfio.Edf | edfio.Bdf) -> str | None:
    """Return the patient code of an EDF+ header; the field of plain EDF is free text."""
    code = parsed.local_patient_identification.split(" ")[0]
    return code if parsed.reserved[3:5] == "+C" and code not in {"", "X"} else None
