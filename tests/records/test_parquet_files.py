"""Reading parquet tables."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from heartbert.errors import RecordFormatError
from heartbert.records import parquet_files
from heartbert.records.parquet_files import read_parquet


def _write(folder: Path, columns: dict[str, object]) -> Path:
    pa.parquet.write_table(pa.table(columns), folder / "a.parquet")
    return folder / "a.parquet"


def test_read_parquet_returns_written_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks, nulls, and integers beside floats."""
    monkeypatch.setattr(parquet_files, "_BLOCK_ROWS", 16)
    wave = np.sin(np.arange(100))
    path = _write(tmp_path, {"II (mV)": wave, "V1": [None, *range(99)], "t": np.arange(100) / 250})
    record = read_parquet(path)
    assert [(c.name, c.fs, c.unit) for c in record.channels] == [("II", 250.0, "mV"), ("V1", 250.0, "NU")]
    np.testing.assert_allclose(record.channels[0].read(10, 90), wave[10:90], atol=1e-6)
    np.testing.assert_array_equal(record.channels[1].read(0, 3), [np.nan, 0, 1])


def test_read_parquet_takes_rate_from_timestamps(tmp_path: Path) -> None:
    """Data frames carry times as timestamps."""
    times = np.datetime64("2024-05-17T22:00") + np.arange(100) * np.timedelta64(4, "ms")
    assert read_parquet(_write(tmp_path, {"timestamp": times, "II": np.zeros(100)})).channels[0].fs == 250.0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"II": [1.0], "note": ["a"]}, "column 'note' is of type string"),
        ({"II": [[1.0, 2.0]]}, "column 'II' is of type list"),
        ({"II": pa.array([], pa.float64())}, "0 samples"),
        ({"II": [1.0]}, "no sampling frequency"),
        ({"t": [0.0, 0.1]}, "has no signals"),
    ],
)
def test_read_parquet_names_the_fault_when_unsuitable(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    """The column is named, as tables may have hundreds."""
    with pytest.raises(RecordFormatError, match=message):
        read_parquet(_write(tmp_path, columns))


def test_read_parquet_refuses_truncated_files(tmp_path: Path) -> None:
    """The end of the file holds its structure."""
    path = _write(tmp_path, {"II": np.zeros(100)})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecordFormatError, match=r"a.parquet is no readable parquet file"):
        read_parquet(path, fs=250.0)
