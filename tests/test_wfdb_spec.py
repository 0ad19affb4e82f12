"""Clauses of header(5), signal(5) and annot(5) of the WFDB Applications Guide."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from heartbert.errors import RecordFormatError
from heartbert.records import read_record


def _record(folder: Path, line: str, signal: str, samples: list[int], tail: str = "") -> Path:
    (folder / "rec.dat").write_bytes(np.array(samples, dtype="<i2").tobytes())
    (folder / "rec.hea").write_text(f"{line}\n{signal}\n{tail}")
    return folder / "rec.hea"


def test_header5_gain_is_200_per_mv_when_omitted_or_zero(tmp_path: Path) -> None:
    """'If the gain is missing or zero, a value of 200 adu per physical unit is assumed'."""
    for signal in ("rec.dat 16", "rec.dat 16 0 12 0 0 0 0 II"):
        channel = read_record(_record(tmp_path, "rec 1 360 2", signal, [200, -100])).channels[0]
        np.testing.assert_allclose(channel.read(), [1.0, -0.5])


def test_header5_units_are_mv_when_omitted(tmp_path: Path) -> None:
    """'If the units field is missing, the physical unit may be assumed to be 1 mV'."""
    channel = read_record(_record(tmp_path, "rec 1 360 2", "rec.dat 16 100 12 0 0 0 0 II", [1, 2])).channels[0]
    assert channel.unit == "mV"


def test_header5_baseline_is_adc_zero_when_omitted(tmp_path: Path) -> None:
    """'If the baseline is missing, it is taken to be equal to the ADC zero'."""
    path = _record(tmp_path, "rec 1 360 2", "rec.dat 16 200 11 1024 0 0 0 II", [1024, 1224])
    np.testing.assert_allclose(read_record(path).channels[0].read(), [0.0, 1.0])


def test_header5_negative_gain_inverts_the_signal(tmp_path: Path) -> None:
    """The database slpdb stores its ECG upside down and says so in the gain."""
    path = _record(tmp_path, "rec 1 360 2", "rec.dat 16 -200(0)/mV 11 0 0 0 0 II", [200, -200])
    np.testing.assert_allclose(read_record(path).channels[0].read(), [-1.0, 1.0])


def test_header5_format_x_gives_samples_per_frame(tmp_path: Path) -> None:
    """'x' and a number after the format: that many samples per frame."""
    path = _record(tmp_path, "rec 1 100 2", "rec.dat 16x3 200 12 0 0 0 0 II", [200, 400, 600, 0, 0, 0])
    channel = read_record(path).channels[0]
    assert (channel.fs, channel.n_samples) == (300.0, 6)


def test_header5_skew_shifts_a_signal(tmp_path: Path) -> None:
    """':' and a number: samples of that signal lie so many frames late."""
    path = _record(tmp_path, "rec 1 100 3", "rec.dat 16:1 200 12 0 0 0 0 II", [9, 200, 400])
    np.testing.assert_allclose(read_record(path).channels[0].read(), [1.0, 2.0, np.nan])


def test_header5_byte_offset_skips_a_prolog(tmp_path: Path) -> None:
    """'+' and a number: so many bytes precede the first sample."""
    path = _record(tmp_path, "rec 1 100 2", "rec.dat 16+4 200 12 0 0 0 0 II", [9, 9, 200, 400])
    np.testing.assert_allclose(read_record(path).channels[0].read(), [1.0, 2.0])


def test_header5_description_is_record_and_signal_when_omitted(tmp_path: Path) -> None:
    """'If the description is missing, it is assumed to be "record xx, signal n"'."""
    assert read_record(_record(tmp_path, "rec 1 360 2", "rec.dat 16", [1, 2])).channels[0].name == (
        "record rec, signal 0"
    )


def test_header5_counter_frequency_is_not_the_sampling_frequency(tmp_path: Path) -> None:
    """'/' after the sampling frequency: the counter's, with its base value in parentheses."""
    path = _record(tmp_path, "rec 1 250/0.033333333(94) 2 23:07:00 19/1/1989", "rec.dat 16 200", [1, 2])
    record = read_record(path)
    assert (record.channels[0].fs, record.start) == (250.0, datetime(1989, 1, 19, 23, 7))


def test_header5_start_is_unknown_when_there_is_no_date(tmp_path: Path) -> None:
    """A time of day without a date is no point in time."""
    assert read_record(_record(tmp_path, "rec 1 250 2 23:07:00", "rec.dat 16 200", [1, 2])).start is None


def test_header5_comments_and_empty_lines_are_ignored(tmp_path: Path) -> None:
    """'#' begins a comment anywhere in the header."""
    path = _record(tmp_path, "# first\n\nrec 1 360 2", "rec.dat 16 200", [200, 0], "# ../../etc/passwd 16\n")
    assert read_record(path).channels[0].n_samples == 2


def test_header5_missing_sampling_frequency_is_refused_unless_given(tmp_path: Path) -> None:
    """The clause assumes 250 Hz; this reader deviates and asks."""
    path = _record(tmp_path, "rec 1", "rec.dat 16 200 12 0 0 0 0 II", [1, 2])
    with pytest.raises(RecordFormatError, match=r"has no sampling frequency \(WFDB programs then assume 250 Hz\)"):
        read_record(path)
    assert read_record(path, fs=500.0).channels[0].fs == 500.0


def test_signal5_lowest_value_of_format_16_is_a_missing_sample(tmp_path: Path) -> None:
    """'-32768 ... indicates an invalid sample'."""
    path = _record(tmp_path, "rec 1 100 2", "rec.dat 16 200 12 0 0 0 0 II", [-32768, -32767])
    np.testing.assert_array_equal(np.isnan(read_record(path).channels[0].read()), [True, False])
