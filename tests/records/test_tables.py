"""What all tables share: time columns, names, units."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.records.tables import Columns, fs_of_times, seconds_per_unit, spool, table_record, unique_names

PATH = Path("a.csv")


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("time", 1),
        ("t", 1),
        ("Time", 1),
        ("time_s", 1),
        ("seconds", 1),
        ("timestamp", 1),
        ("time [s]", 1),
        ("time_ms", 0.001),
        ("Time (ms)", 0.001),
        ("milliseconds", 0.001),
        ("time_us", 1e-06),
        ("time [µs]", 1e-06),
        ("V5", None),
        ("temp", None),
        ("timer", None),
        ("ts5", None),
    ],
)
def test_seconds_per_unit_recognises_time_columns(name: str, seconds: float | None) -> None:
    """A time column taken for a lead would be analysed as an ECG."""
    assert seconds_per_unit(name) == seconds


@given(
    fs=st.sampled_from([100, 128, 250, 256, 360, 500, 1000]),
    n_samples=st.integers(2, 3000),
    start=st.floats(0, 1e5),
)
def test_fs_of_times_returns_the_rate_when_uniform(fs: int, n_samples: int, start: float) -> None:
    """Floating-point times must give the whole number they were made from."""
    times = round(start, 3) + np.arange(n_samples) / fs
    assert fs_of_times(PATH, "time", times) == pytest.approx(fs, rel=1e-6)


@pytest.mark.parametrize("fs", [250, 256, 360])
def test_fs_of_times_returns_the_whole_rate_when_rounded_to_milliseconds(fs: int) -> None:
    """Spreadsheets keep three decimals."""
    assert fs_of_times(PATH, "time", np.round(np.arange(5000) / fs, 3)) == fs


def test_fs_of_times_keeps_a_rate_that_is_not_whole() -> None:
    """Some recorders run at 257.14 Hz or so."""
    assert fs_of_times(PATH, "time_ms", np.arange(5000) * 1000 / 257.14) == pytest.approx(257.14, rel=1e-9)


TIMES = np.arange(1000) / 250


@pytest.mark.parametrize(
    "times",
    [
        np.delete(TIMES, 500),
        np.concatenate([TIMES[:500], TIMES[500:] + 1]),
        TIMES[::-1],
        np.zeros(1000),
        np.where(np.arange(1000) == 7, np.nan, TIMES),
        np.where(np.arange(1000) == 999, np.nan, TIMES),
        np.sort(np.concatenate([TIMES, [1.0]])),
    ],
    ids=["sample lost", "gap", "falling", "constant", "missing", "missing at the end", "repeated"],
)
def test_fs_of_times_refuses_times_that_are_not_uniform(times: np.ndarray) -> None:
    """A lost sample shifts everything after it."""
    with pytest.raises(RecordFormatError, match="column 'time' is not uniform: sample"):
        fs_of_times(PATH, "time", times)


@pytest.mark.parametrize(
    ("times", "message"),
    [([0.0], "1 time; at least 2"), ([0, 4, 8], "would be 0.25 Hz"), ([0, 1e-7, 2e-7], "sampling frequency is 1e")],
)
def test_fs_of_times_names_the_fault_when_impossible(times: list[float], message: str) -> None:
    """Times in milliseconds without a unit in the name are the usual mistake."""
    with pytest.raises(RecordFormatError, match=message):
        fs_of_times(PATH, "time", np.array(times))


def test_table_record_takes_units_from_names_and_refuses_contradiction() -> None:
    """Names, units, rate: everything a table says comes from its header."""
    columns = Columns({"II_uV": np.array([1000, 2000]), "x": np.array([1.0, 2.0])}, ("t", TIMES))
    record = table_record(PATH, columns, fs=None, unit=None)
    assert [(c.name, c.unit, c.kind) for c in record.channels] == [("II", "mV", "ecg"), ("x", "NU", "unknown")]
    np.testing.assert_allclose(record.channels[0].read(), [1, 2])
    with pytest.raises(ConfigError, match=r"a.csv, column 't', states 250 Hz but fs is 251 Hz"):
        table_record(PATH, columns, fs=251.0, unit=None)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Columns({}), "has no signals"),
        (Columns({"II": np.empty(0)}), "1 signals, the shortest with 0 samples"),
        (Columns({"II": np.ones(9)}), "has no sampling frequency: .* --fs or fs=..."),
    ],
)
def test_table_record_names_what_is_missing(columns: Columns, message: str) -> None:
    """There is no default sampling frequency."""
    with pytest.raises(RecordFormatError, match=message):
        table_record(PATH, columns, fs=None, unit=None)


def test_spool_separates_time_and_replaces_infinity() -> None:
    """Missing samples have one form after reading."""
    columns = spool(["II", "t", "II"], iter([np.array([[1, 0, np.inf]]), np.array([[2, 1, 3]])]))
    assert list(columns.signals) == ["II", "II (2)"]
    np.testing.assert_array_equal(columns.signals["II (2)"], [np.nan, 3])
    assert columns.time is not None
    np.testing.assert_array_equal(columns.time[1], [0, 1])


def test_unique_names_are_unique_even_when_numbered_already() -> None:
    """A channel must not overwrite another."""
    names = unique_names(["a", "a", "a (2)"])
    assert len(set(names)) == 3
