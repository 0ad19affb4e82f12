"""Clauses of the EDF and EDF+ specifications and of the EDF FAQ."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import edfio
import numpy as np
import pytest

from heartbert.errors import RecordFormatError
from heartbert.records import read_record

ONE = [("ECG II", 200, "uV", np.arange(1000.0))]


def _patch(path: Path, position: int, field: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[position : position + len(field)] = field
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("field", [b"17.05.90", b"17/05/90", b"17-05-90", b"17:05:90"])
def test_edf_faq_q2_reads_dates_with_other_separators(write_edf: Callable[..., Path], field: bytes) -> None:
    """'Some software uses other separators'; the date is the same."""
    path = _patch(_patch(write_edf(ONE), 88, b" " * 80), 168, field)
    assert read_record(path).start == datetime(1990, 5, 17)


@pytest.mark.parametrize(("year", "expected"), [(b"85", 1985), (b"99", 1999), (b"00", 2000), (b"84", 2084)])
def test_edf_clipping_date_is_1985(write_edf: Callable[..., Path], year: bytes, expected: int) -> None:
    """Years 85-99 are of the last century, 00-84 of this one."""
    path = _patch(_patch(write_edf(ONE), 88, b" " * 80), 168, b"01.02." + year)
    assert read_record(path).start == datetime(expected, 2, 1)


def test_edf_physical_and_digital_limits_give_the_calibration(write_edf: Callable[..., Path]) -> None:
    """A negative-up recording has its physical limits exchanged."""
    path = write_edf([("ECG II", 200, "mV", np.linspace(-3200, 3200, 1000))])
    upright = read_record(path).channels[0].read()
    _patch(_patch(path, 256 + 104, b"3200    "), 256 + 112, b"-3200   ")
    np.testing.assert_allclose(read_record(path).channels[0].read(), -upright, atol=0.2)


def test_edf_number_of_records_may_be_minus_one_during_recording(write_edf: Callable[..., Path]) -> None:
    """'-1 if unknown'; all whole data records count, an incomplete last one does not."""
    path = _patch(write_edf(ONE), 236, b"-1      ")
    path.write_bytes(path.read_bytes()[:-10])
    assert read_record(path).channels[0].n_samples == 800


def test_edf_plus_3_2_annotation_signals_are_no_channels(write_edf: Callable[..., Path]) -> None:
    """'EDF Annotations' holds text."""
    path = write_edf(ONE, annotations=[edfio.EdfAnnotation(1, 2, "Sleep stage N2")])
    assert [channel.name for channel in read_record(path).channels] == ["ECG II"]


def test_edf_plus_discontinuous_files_are_refused(write_edf: Callable[..., Path]) -> None:
    """The reserved field starts with EDF+D if data records do not follow each other."""
    path = write_edf(ONE, annotations=[])
    _patch(path, 192, b"EDF+D")
    message = (
        r"night.edf is EDF\+D \(discontinuous\); only continuous EDF and EDF\+C are read. "
        r"Export it as continuous parts."
    )
    with pytest.raises(RecordFormatError, match=message):
        read_record(path)


def test_edf_data_records_may_be_shorter_than_a_second(write_edf: Callable[..., Path]) -> None:
    """The rate is samples per record over its duration."""
    path = _patch(write_edf(ONE), 244, b"0.5     ")
    assert read_record(path).channels[0].fs == 400.0


def test_bdf_samples_are_three_bytes_with_sign(write_edf: Callable[..., Path]) -> None:
    """24-bit two's complement, least significant byte first."""
    wave = np.linspace(-3200, 3200, 1000)
    channel = read_record(write_edf([("ECG", 200, "mV", wave)], name="a.bdf")).channels[0]
    np.testing.assert_allclose(channel.read(), wave, atol=1e-3)
