"""Stage 1 of 7: record file -> Record. What all tables share: columns, time, names."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.errors import RecordFormatError
from heartbert.records.limits import check_fs, check_same_fs
from heartbert.records.record import ArraySource, Channel, Record, as_samples
from heartbert.records.temporary import temporary_table
from heartbert.records.units import deliver, split_unit

_TIME = re.compile(
    r"(?:time|t|timestamps?|elapsed(?:[ _]time)?|seconds?|secs?|milliseconds?|msecs?)"
    r"(?:[ _]*[(\[]?(?P<unit>s|sec|seconds?|ms|msec|milliseconds?|us|\u00b5s|\u03bcs|microseconds?)[)\]]?)?",
    re.IGNORECASE,
)
# Below this rate in Hz no ECG is recorded: a time column that yields less is in another unit than its name
# says.
_LEAST_FS = 10.0
# A time stamp may be off the uniform grid by this share of a step: rounding to milliseconds at 360 Hz is
# 0.18 of a
# step and must pass, while a lost sample moves some stamp by at least 0.5.
_GRID_TOLERANCE = 0.45
_BLOCK_ROWS = 1 << 18


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes
    ----------
    signals : mapping of str to ndarray, each shape (n_samples,)
        Values by the column's name with its unit; names may differ in nothing but a unit.
    time : tuple of (str, ndarray) or None
        Name and values of the time column.
    """

    signals: Mapping[str, npt.NDArray[np.generic]]
    time: tuple[str, npt.NDArray[np.generic]] | None = None


def table_record(path: Path, columns: Columns, *, fs: float | None, unit: str | None) -> Record:
    """Build a record from the columns of a table.

    Parameters
    ----------
    path : Path
    columns : Columns
    fs : float or None
        Sampling frequency in Hz; needed where there is no time column, and must agree with it to 0.1 % if
        both are there.
    unit : {"V", "mV", "uV"} or None
        Unit of the ECG leads where the names do not say it.

    Raises
    ------
    RecordFormatError
        If there is no signal, no sample, no sampling frequency, or the time column is not uniform.
    ConfigError
        If `fs` contradicts the time column.
    """
    if not columns.signals or not all(len(values) for values in columns.signals.values()):
        found = f"{len(columns.signals)} signals, the shortest with 0 samples" if columns.signals else "no signals"
        raise RecordFormatError(
            f"{path.name} has {found}; at least one column of numbers with one sample is needed. Export it again"
        )
    if columns.time is not None:
        found_fs = fs_of_times(path, *columns.time)
        check_same_fs(fs, [found_fs], f"{path.name}, column '{columns.time[0]}',")
        fs = found_fs
    if fs is None:
        raise RecordFormatError(
            f"{path.name} has no sampling frequency: no column is named like a time ('time', 't', "
            f"'time_ms', ...). "
            "Give it in Hz with --fs or fs=..."
        )
    channels = tuple(_channel(column, values, fs, unit) for column, values in columns.signals.items())
    return Record(path.stem, path.stem, channels, None, path)


def _channel(column: str, values: npt.NDArray[np.generic], fs: float, unit: str | None) -> Channel:
    """Return one column as a channel."""
    name, file_unit = split_unit(column)
    delivery = deliver(name, file_unit, unit)
    return Channel(name, fs, delivery.unit, len(values), delivery.kind, ArraySource(values, delivery.factor))


def seconds_per_unit(column: str) -> float | None:
    """Return how many seconds one unit of a time column is, or None if the name is not that of a time.

    Examples
    --------
    >>> seconds_per_unit("time [s]"), seconds_per_unit("time_ms"), seconds_per_unit("V5")
    (1.0, 0.001, None)
    """
    match = _TIME.fullmatch(column.strip())
    if match is None:
        return None
    unit = (match["unit"] or column.strip()).casefold()
    if unit in {"us", "\u00b5s", "\u03bcs"} or unit.startswith("micro"):
        return 1e-6
    return 1e-3 if unit == "ms" or unit.startswith(("msec", "milli")) else 1.0


def time_column(names: Sequence[str]) -> int | None:
    """Return the position of the first column named like a time."""
    return next((i for i, name in enumerate(names) if seconds_per_unit(name) is not None), None)


def fs_of_times(path: Path, name: str, times: npt.NDArray[np.generic]) -> float:
    """Return the sampling frequency in Hz that a uniform time column gives.

    The rate is that of the straight line from the first to the last time. Every time must lie within 0.45 of
    a step of that line, and the column must increase throughout. If the rate is a whole number to within what
    the deviations allow, that whole number is returned.

    Parameters
    ----------
    path : Path
    name : str
        Name of the column; its unit is read from it, seconds without one.
    times : ndarray, shape (n_samples,)

    Raises
    ------
    RecordFormatError
        If there are fewer than 2 times, one is missing, or they are not uniform.
    """
    scale = seconds_per_unit(name) or 1.0
    if len(times) < 2:
        raise RecordFormatError(
            f"{path.name}, column '{name}': {len(times)} time; at least 2 are needed for a sampling "
            f"frequency. "
            "Rename the column and give --fs or fs=..."
        )
    first, last = float(times[0]), float(times[-1])
    step = (last - first) / (len(times) - 1)
    with np.errstate(invalid="ignore"):
        deviation = _deviation(path, name, times, step=step)
    fs = check_fs(1 / (step * scale), f"{path.name}, column '{name}'")
    if fs < _LEAST_FS:
        raise RecordFormatError(
            f"{path.name}, column '{name}': its step of {step:g} would be {fs:g} Hz; at least "
            f"{_LEAST_FS:g} Hz is "
            "allowed. If it is not in seconds, say so in the name, for example 'time_ms'"
        )
    whole = round(fs)
    return float(whole) if abs(fs - whole) <= fs * (2 * deviation / (len(times) - 1) + 1e-9) else fs


def _deviation(path: Path, name: str, times: npt.NDArray[np.generic], *, step: float) -> float:
    """Return the largest distance in steps of a time from the uniform grid, or raise."""
    worst, previous, first = 0.0, -np.inf, float(times[0])
    for start in range(0, len(times), _BLOCK_ROWS):
        block = np.asarray(times[start : start + _BLOCK_ROWS], dtype=np.float64)
        grid = first + step * np.arange(start, start + block.size)
        increasing = np.diff(block, prepend=previous) > 0
        near = np.abs(block - grid) <= _GRID_TOLERANCE * abs(step)
        bad = np.flatnonzero(~(increasing & near))
        if bad.size or not np.isfinite(step):
            at = int(bad[0]) if bad.size else 0
            raise RecordFormatError(
                f"{path.name}, column '{name}' is not uniform: sample {start + at} is at {block[at]:g}, "
                f"expected "
                f"{grid[at]:g}; steps must be equal. Resample the recording, or drop the column and "
                f"give --fs or fs=..."
            )
        worst, previous = max(worst, float(np.abs(block - grid).max() / step)), float(block[-1])
    return worst


def spool(names: Sequence[str], blocks: Iterable[npt.NDArray[np.float64]]) -> Columns:
    """Write blocks of a table of any length to a temporary file and return its columns as memory maps.

    Parameters
    ----------
    names : sequence of str
        Names of the columns; the first one named like a time becomes the time column.
    blocks : iterable of ndarray of float64, each shape (n_rows, n_columns)
        Infinite values become NaN.
    """
    at = time_column(names)
    kept = [i for i in range(len(names)) if i != at]
    with temporary_table(len(kept), np.float32) as signals, temporary_table(1, np.float64) as times:
        for block in blocks:
            signals.append(as_samples(block[:, kept]))
            if at is not None:
                times.append(block[:, [at]])
        table, clock = signals.values(), times.values()
    columns = {name: table[:, i] for i, name in enumerate(unique_names([names[i] for i in kept]))}
    return Columns(columns, None if at is None else (names[at], clock[:, 0]))


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names in which repeated ones carry a number, as in ``["ECG", "ECG (2)"]``."""
    unique: list[str] = []
    for name in names:
        numbered = itertools.chain([name], (f"{name} ({number})" for number in itertools.count(2)))
        unique.append(next(each for each in numbered if each not in unique))
    return unique


def numbered_names(n_columns: int) -> list[str]:
    """Return names for columns that have none: ``"channel 1"`` and so on."""
    return [f"channel {i + 1}" for i in range(n_columns)]


def is_numeric(values: npt.NDArray[Any]) -> bool:
    """Tell whether an array holds real numbers."""
    return values.dtype.kind in "iuf"
