"""Stage 1 of 7: record file -> Record. A table of any length in a temporary file, as a memory map."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import numpy.typing as npt


class TemporaryTable:
    """Rows appended to a temporary file that goes with the last array made from it."""

    def __init__(self, file: IO[bytes], n_columns: int, dtype: npt.DTypeLike) -> None:
        self._file = file
        self._n_columns = n_columns
        self._dtype: np.dtype[np.generic] = np.dtype(dtype)
        self.n_rows = 0

    def append(self, rows: npt.NDArray[np.generic]) -> None:
        """Add rows, shape (n, n_columns)."""
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).tobytes())
        self.n_rows += len(rows)

    def values(self) -> npt.NDArray[np.generic]:
        """Return all rows as a read-only memory map, shape (n_rows, n_columns)."""
        self._file.flush()
        shape = (self.n_rows, self._n_columns)
        if 0 in shape:
            return np.empty(shape, dtype=self._dtype)
        return np.memmap(self._file, dtype=self._dtype, mode="r", shape=shape)


@contextmanager
def temporary_table(n_columns: int, dtype: npt.DTypeLike) -> Iterator[TemporaryTable]:
    """Open a table for appending; what `TemporaryTable.values` returned stays readable after the block."""
    with tempfile.TemporaryFile(prefix="heartbert-") as file:
        yield TemporaryTable(file, n_columns, dtype)
