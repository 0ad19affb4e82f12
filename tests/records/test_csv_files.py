"""Reading tables of text."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heartbert.errors import RecordFormatError
from heartbert.records import csv_files
from heartbert.records.csv_files import read_csv


def _write(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        "time,II (mV),V1\n0,1,4\n0.01,2,5\n0.02,3,6\n",
        "time;II (mV);V1\r\n0;1;4\r\n0.01;2;5\r\n0.02;3;6\r\n",
        "time\tII (mV)\tV1\n0\t1\t4\n0.01\t2\t5\n0.02\t3\t6",
        "time|II (mV)|V1\n0|1|4\n0.01|2|5\n0.02|3|6\n",
        "time  II_mV V1\n 0   1 4\n 0.01 2  5 \n\n 0.02 3 6\n",
        "# made by hand\n# fs 100\ntime, II (mV), V1\n0, 1, 4\n0.01, 2, 5\n0.02, 3, 6\n",
        '"time","II [mV]","V1"\n"0","1","4"\n"0.01","2","5"\n"0.02","3","6"\n',
        "'time','II','V1'\n's','mV','NU'\n0,1,4\n0.01,2,5\n0.02,3,6\n",
        "\ufefftime,II (mV),V1\n0,1,4\n0.01,2,5\n0.02,3,6\n",
    ],
    ids=["comma", "semicolon", "tab", "bar", "blanks", "comments", "quotes", "units row", "byte order mark"],
)
def test_read_csv_reads_every_way_to_write_a_table(tmp_path: Path, text: str) -> None:
    """Every device exports its own dialect."""
    record = read_csv(_write(tmp_path, text))
    assert [(c.name, c.fs, c.unit) for c in record.channels] == [("II", 100.0, "mV"), ("V1", 100.0, "NU")]
    np.testing.assert_array_equal(record.channels[0].read(), [1, 2, 3])
    np.testing.assert_array_equal(record.channels[1].read(1, 3), [5, 6])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 2), min_size=1, max_size=30),
    delimiter=st.sampled_from([",", ";", "\t", " "]),
)
def test_read_csv_returns_written_samples(tmp_path: Path, rows: list[tuple[float, float]], delimiter: str) -> None:
    """Reading what was written returns the same samples."""
    text = "".join(f"{a!r}{delimiter}{b!r}\n" for a, b in rows)
    record = read_csv(_write(tmp_path, text), fs=250.0)
    assert [c.name for c in record.channels] == ["channel 1", "channel 2"]
    found = np.stack([c.read() for c in record.channels], axis=1)
    np.testing.assert_array_equal(found, np.array(rows, dtype=np.float32))


def test_read_csv_joins_blocks_of_a_long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long files are read in pieces; none may be lost."""
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 1 << 12)
    monkeypatch.setattr(csv_files, "_HEAD_BYTES", 1 << 10)
    for delimiter in ",", " ":
        text = "".join(f"{i}{delimiter}{-i}\n" for i in range(5000))
        record = read_csv(_write(tmp_path, text), fs=250.0)
        np.testing.assert_array_equal(record.channels[1].read(), -np.arange(5000, dtype=np.float32))


def test_squeezed_text_has_single_blanks_however_it_is_read() -> None:
    """The parser of the table only knows single delimiters."""
    text = io.BytesIO(b"  1   2\n\n \t 3 4  \n")
    assert io.BufferedReader(csv_files._Squeezed(text), buffer_size=3).read(99) == b"1 2\n3 4\n"


def test_read_csv_reads_one_column_without_header(tmp_path: Path) -> None:
    """The simplest export is a list of numbers."""
    record = read_csv(_write(tmp_path, "1\n2\n3\n", "a.txt"), fs=250.0, unit="uV")
    np.testing.assert_allclose(record.channels[0].read(), [0.001, 0.002, 0.003])


def test_read_csv_treats_empty_cells_and_nan_as_missing(tmp_path: Path) -> None:
    """Electrodes fall off; a channel without any sample is allowed and unscorable."""
    record = read_csv(_write(tmp_path, "II,V1\n1,NaN\n,nan\ninf,\n"), fs=250.0)
    np.testing.assert_array_equal(record.channels[0].read(), [1, np.nan, np.nan])
    assert np.isnan(record.channels[1].read()).all()


def test_read_csv_does_not_take_an_index_for_a_lead(tmp_path: Path) -> None:
    """Data frames are written with a nameless index, other tables with a sample number."""
    for first in ("", "Unnamed: 0", "sample #"):
        record = read_csv(_write(tmp_path, f"{first},voltage\n0,5\n1,6\n"), fs=250.0)
        assert record.lead().name == "voltage"


def test_read_csv_reads_latin_1_headers(tmp_path: Path) -> None:
    """Older programs write the micro sign in one byte."""
    assert read_csv(_write(tmp_path, "II (\u00b5V)\n1\n".encode("latin-1")), fs=9.0).channels[0].unit == "mV"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.csv is empty"),
        ("# nothing\n", "a.csv is empty"),
        ("II,V1\n", "0 samples"),
        (b"\x89PNG\r\n\x1a\n\0\0", "binary data or UTF-16"),
        ("II\n1\n".encode("utf-16"), "binary data or UTF-16"),
        ("II,V1\n1,2\n3,abc\n", r"row 3, column 2 \('V1'\): 'abc' is no number"),
        ("# c\nII,V1\n1,2\n3,abc\n", r"row 4, column 2"),
        ("1 2\n3 abc\n", r"row 2, column 2 \('channel 2'\): 'abc' is no number"),
        ("II;V1\n1;2\n1,5;2\n", "'1,5' is no number; .* Write decimals with a point"),
        ("II,V1\n1,2\n3\n", "row 3: 1 cells found where 2 are expected"),
        ("II,V1\n1,2\n3,4,5\n", "row 3: 3 cells found where 2 are expected"),
        ("time,II\n00:00:00,1\n00:00:01,2\n", r"column 1 \('time'\): '00:00:00' is no number"),
    ],
)
def test_read_csv_names_row_and_column_when_malformed(tmp_path: Path, text: str | bytes, message: str) -> None:
    """In a file of a million rows the place is what matters."""
    with pytest.raises(RecordFormatError, match=message):
        read_csv(_write(tmp_path, text), fs=250.0)


def test_read_csv_translates_other_errors_of_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than a block cannot be a row of samples."""
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 64)
    with pytest.raises(RecordFormatError, match=r"a.csv is no table of numbers"):
        read_csv(_write(tmp_path, "1,2\n" + "0" * 500 + ",1\n"), fs=250.0)
