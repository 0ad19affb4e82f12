"""Reading NumPy files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.records.array_files import read_npy, read_npz

WAVE = np.sin(np.arange(50) / 5)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=arrays(
        st.sampled_from([np.int16, np.float32, np.float64]), st.integers(1, 40), elements=st.integers(-99, 99)
    )
)
def test_read_npy_returns_written_samples(tmp_path: Path, values: np.ndarray) -> None:
    """Integers and floats of any width are fine."""
    np.save(tmp_path / "a.npy", values)
    record = read_npy(tmp_path / "a.npy", fs=250.0)
    assert (record.channels[0].name, record.channels[0].unit) == ("channel 1", "NU")
    np.testing.assert_array_equal(record.channels[0].read(), values.astype(np.float32))


@pytest.mark.parametrize("transposed", [False, True])
def test_read_npy_takes_the_longer_axis_as_time(tmp_path: Path, transposed: bool) -> None:
    """Both orders are in use."""
    values = np.stack([WAVE, -WAVE])
    np.save(tmp_path / "a.npy", values.T if transposed else values)
    record = read_npy(tmp_path / "a.npy", fs=250.0, unit="V")
    assert len(record.channels) == 2
    np.testing.assert_allclose(record.channels[1].read(3, 9), -1000 * WAVE[3:9], rtol=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 2, 9)), r"shape \(2, 2, 9\)"),
        (np.zeros((3, 3)), "both are equal"),
        (np.zeros(0), r"shape \(0,\)"),
        (np.float64(3), r"shape \(\)"),
        (np.array(["a"]), "type <U1"),
        (np.zeros(5, dtype=complex), "type complex128"),
        (np.array([{}], dtype=object), "without pickled objects"),
    ],
)
def test_read_npy_names_the_fault_when_unsuitable(tmp_path: Path, values: np.ndarray, message: str) -> None:
    """Pickles run code; other shapes are ambiguous."""
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(RecordFormatError, match=message):
        read_npy(tmp_path / "a.npy", fs=250.0)


@pytest.mark.parametrize("reader", [read_npy, read_npz])
def test_array_readers_refuse_damaged_files(tmp_path: Path, reader: object) -> None:
    """Truncated files must not end in a traceback."""
    np.save(tmp_path / "a.npy", WAVE)
    (tmp_path / "b").write_bytes((tmp_path / "a.npy").read_bytes()[:150])
    header = (tmp_path / "a.npy").read_bytes()
    for content in (
        header.replace(b"), }", b"), ["),
        b"\x93NUMPY\x01",
        b"PK\x03\x04broken",
        (tmp_path / "b").read_bytes(),
    ):
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(RecordFormatError, match="b cannot be loaded"):
            reader(tmp_path / "b", fs=250.0)  # type: ignore[operator]


def test_read_npz_reads_leads_by_name_and_stored_fs(tmp_path: Path) -> None:
    """Each lead may have its own length."""
    np.savez(tmp_path / "a.npz", II_mV=WAVE, V1=WAVE[:20], fs=250)
    record = read_npz(tmp_path / "a.npz")
    assert [(c.name, c.unit, c.fs, c.n_samples) for c in record.channels] == [
        ("II", "mV", 250.0, 50),
        ("V1", "NU", 250.0, 20),
    ]
    with pytest.raises(ConfigError, match="states 250 Hz but fs is 100 Hz"):
        read_npz(tmp_path / "a.npz", fs=100.0)


def test_read_npz_reads_one_table_and_a_time_array(tmp_path: Path) -> None:
    """The rate may come from times too."""
    np.savez(tmp_path / "a.npz", ecg=np.stack([WAVE, -WAVE]), time_ms=np.arange(50) * 2)
    record = read_npz(tmp_path / "a.npz")
    assert [(c.name, c.fs) for c in record.channels] == [("channel 1", 500.0), ("channel 2", 500.0)]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"II": WAVE}, "has no sampling frequency"),
        ({"II": WAVE, "fs": np.array([1, 2])}, "one number in Hz"),
        ({"II": WAVE, "fs": np.array("fast")}, "one number in Hz"),
        ({"II": WAVE, "fs": np.array(0)}, "sampling frequency is 0 Hz"),
        ({"II": WAVE, "both": np.zeros((2, 9)), "fs": np.array(9)}, "must be a single lead"),
        ({"fs": np.array(250)}, "has no signals"),
        ({"II": np.array([None]), "fs": np.array(250)}, "without pickled objects"),
    ],
)
def test_read_npz_names_the_fault_when_unsuitable(tmp_path: Path, made: dict[str, np.ndarray], message: str) -> None:
    """Every array must be understood, or named."""
    np.savez(tmp_path / "a.npz", **made)
    with pytest.raises(RecordFormatError, match=message):
        read_npz(tmp_path / "a.npz")
