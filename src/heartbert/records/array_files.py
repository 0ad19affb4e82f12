"""Stage 1 of 7: record file -> Record. NumPy arrays: npy and npz."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.errors import RecordFormatError
from heartbert.records.limits import check_fs, check_same_fs
from heartbert.records.record import Record
from heartbert.records.tables import Columns, is_numeric, numbered_names, table_record, time_column


def read_npy(path: Path, *, fs: float | None = None, unit: str | None = None) -> Record:
    """Open one array: a lead, or several with the longer axis as time. It is mapped, not loaded.

    Parameters
    ----------
    path : Path
    fs : float or None
        Sampling frequency in Hz; needed, as the format has none.
    unit : {"V", "mV", "uV"} or None

    Raises
    ------
    RecordFormatError
        If the file is damaged or is no array of real numbers with one or two axes.
    """
    try:
        values = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy lets errors of many kinds through
        raise _unreadable(path, error) from error
    leads = _leads(path.name, values)
    return table_record(path, Columns(dict(zip(numbered_names(len(leads)), leads, strict=True))), fs=fs, unit=unit)


def read_npz(path: Path, *, fs: float | None = None, unit: str | None = None) -> Record:
    """Open named arrays: one for each lead, or a single one with two axes; the whole file is loaded.

    An array ``fs`` with a single number is the sampling frequency in Hz; an array named like a time gives it
    too.

    Parameters
    ----------
    path : Path
    fs : float or None
        Sampling frequency in Hz; needed where the file has none, and must agree with it otherwise.
    unit : {"V", "mV", "uV"} or None

    Raises
    ------
    RecordFormatError
        If the file is damaged or an array is unsuitable.
    ConfigError
        If `fs` contradicts the file.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except Exception as error:  # numpy and zipfile let errors of many kinds through
        raise _unreadable(path, error) from error
    stored = arrays.pop("fs", None)
    if stored is not None:
        if stored.size != 1 or not is_numeric(stored):
            raise RecordFormatError(
                f"{path.name}: array 'fs' has shape {stored.shape} and type {stored.dtype}; one number "
                f"in Hz is allowed. "
                "Save it again"
            )
        found = check_fs(float(stored.reshape(())), path.name)
        check_same_fs(fs, [found], path.name)
        fs = found
    return table_record(path, _columns(path, arrays), fs=fs, unit=unit)


def _columns(path: Path, arrays: dict[str, npt.NDArray[np.generic]]) -> Columns:
    """Sort named arrays into signals and a time column."""
    names = list(arrays)
    at = time_column(names)
    time = None if at is None else (names[at], _leads(f"{path.name}, array '{names[at]}'", arrays.pop(names[at]))[0])
    if len(arrays) == 1 and next(iter(arrays.values())).ndim == 2:
        leads = _leads(path.name, next(iter(arrays.values())))
        return Columns(dict(zip(numbered_names(len(leads)), leads, strict=True)), time)
    signals = {}
    for name, values in arrays.items():
        leads = _leads(f"{path.name}, array '{name}'", values)
        if len(leads) != 1:
            raise RecordFormatError(
                f"{path.name}, array '{name}': shape {values.shape}; beside other arrays each one must "
                f"be a single lead. "
                "Save one array per lead, or one array with all leads"
            )
        signals[name] = leads[0]
    return Columns(signals, time)


def _leads(what: str, values: npt.NDArray[np.generic]) -> list[npt.NDArray[np.generic]]:
    """Return the leads of an array with one or two axes, the longer one being time."""
    if not is_numeric(values) or values.ndim not in {1, 2} or values.size == 0:
        raise RecordFormatError(
            f"{what}: shape {values.shape} and type {values.dtype}; real numbers with one axis (time) "
            f"or two (leads "
            "and time) and at least one sample are allowed. Save it again in that form"
        )
    if values.ndim == 1:
        return [values]
    if values.shape[0] == values.shape[1]:
        raise RecordFormatError(
            f"{what}: shape {values.shape}; the longer axis is taken as time, but both are equal. "
            "Save each lead as an array of its own in an npz file"
        )
    table = values if values.shape[0] > values.shape[1] else values.T
    return [table[:, i] for i in range(table.shape[1])]


def _unreadable(path: Path, error: Exception) -> RecordFormatError:
    """Return the error for a file that NumPy does not load."""
    return RecordFormatError(
        f"{path.name} cannot be loaded ({error}); arrays of numbers without pickled objects are allowed. "
        "Save it again with numpy.save or numpy.savez"
    )
