"""Stage 1 of 7: record file -> Record. Parquet tables, streamed in blocks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from heartbert.errors import RecordFormatError
from heartbert.records.record import Record
from heartbert.records.tables import seconds_per_unit, spool, table_record

_BLOCK_ROWS = 1 << 16


def read_parquet(path: Path, *, fs: float | None = None, unit: str | None = None) -> Record:
    """Open a parquet table: one column of numbers per lead, one row per sample; null is a missing sample.

    A time column may be numbers or timestamps. The table is copied once to a temporary binary file, so memory
    does not depend on its length.

    Parameters
    ----------
    path : Path
    fs : float or None
        Sampling frequency in Hz; needed unless a column is named like a time and increases uniformly.
    unit : {"V", "mV", "uV"} or None

    Raises
    ------
    RecordFormatError
        If the file is damaged or a column holds something else than numbers.
    """
    try:
        with pa.parquet.ParquetFile(path) as file:
            names = [str(name) for name in file.schema_arrow.names]
            _check_types(path, file.schema_arrow)
            columns = spool(names, _blocks(file))
    except (pa.ArrowException, OSError) as error:
        raise RecordFormatError(
            f"{path.name} is no readable parquet file ({str(error)[:120]}); a complete file is needed. "
            "Write or download it again"
        ) from error
    return table_record(path, columns, fs=fs, unit=unit)


def _check_types(path: Path, schema: Any) -> None:
    """Refuse columns that are neither numbers nor the timestamps of a time column."""
    for field in schema:
        is_clock = pa.types.is_timestamp(field.type) and seconds_per_unit(field.name) == 1.0
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or is_clock):
            raise RecordFormatError(
                f"{path.name}: column '{field.name}' is of type {field.type}; integers and floats are "
                f"allowed, one row "
                "per sample. Drop or convert the column"
            )


def _blocks(file: Any) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the numbers of a table, shape (n_rows, n_columns)."""
    for batch in file.iter_batches(batch_size=_BLOCK_ROWS):
        if batch.num_rows and batch.num_columns:
            yield np.column_stack([_numbers(column) for column in batch.columns])


def _numbers(column: Any) -> npt.NDArray[np.float64]:
    """Return a column as float64; timestamps in seconds, null as NaN."""
    if pa.types.is_timestamp(column.type):
        seconds: npt.NDArray[np.float64] = _numbers(column.cast(pa.timestamp("us")).cast(pa.int64())) * 1e-6
        return seconds
    numbers: npt.NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers
