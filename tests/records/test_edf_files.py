"""Reading EDF and BDF files."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.records.edf_files import read_edf

WriteEdf = Callable[..., Path]
WAVE = 3000 * np.sin(np.arange(2000) / 50)
ONE = [("ECG II", 200, "uV", WAVE)]


def _patch(path: Path, position: int, field: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[position : position + len(field)] = field
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("name", "step_uv"), [("night.edf", 0.1), ("night.bdf", 4e-4)])
def test_read_edf_returns_written_samples_in_mv(write_edf: WriteEdf, name: str, step_uv: float) -> None:
    """Two and three bytes per sample, several rates, and an annotation signal between the bytes."""
    signals = [*ONE, ("Resp chest", 25, "", WAVE[:250])]
    path = write_edf(signals, name=name, annotations=[edfio.EdfAnnotation(1.5, None, "start")])
    record = read_edf(path)
    assert [(c.name, c.kind, c.fs, c.unit) for c in record.channels] == [
        ("ECG II", "ecg", 200.0, "mV"),
        ("Resp chest", "other", 25.0, ""),
    ]
    np.testing.assert_allclose(record.channels[0].read(), WAVE / 1000, atol=step_uv / 1000)
    np.testing.assert_allclose(record.channels[1].read(130, 171), WAVE[130:171], atol=step_uv)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 2000), length=st.integers(0, 700), name=st.sampled_from(["a.edf", "a.bdf"]))
def test_read_edf_slices_like_the_whole_signal(write_edf: WriteEdf, start: int, length: int, name: str) -> None:
    """Slices begin and end inside data records."""
    channel = read_edf(write_edf(ONE, name=name)).channels[0]
    np.testing.assert_array_equal(channel.read(start, start + length), channel.read()[start : start + length])


def test_read_edf_equals_edfio(write_edf: WriteEdf) -> None:
    """The library is the reference for the calibration."""
    path = write_edf(ONE)
    np.testing.assert_allclose(
        read_edf(path).channels[0].read(), edfio.read_edf(path).signals[0].data / 1000, rtol=1e-5
    )


def test_read_edf_takes_start_and_patient_from_edf_plus(write_edf: WriteEdf) -> None:
    """Splits are by person, and hypnograms are aligned by clock time."""
    path = write_edf(
        ONE,
        annotations=[],
        recording=edfio.Recording(startdate=date(2020, 5, 17)),
        patient=edfio.Patient(code="P7"),
    )
    record = read_edf(path)
    assert (record.start, record.subject_id) == (datetime(2020, 5, 17), "P7")


def test_read_edf_has_no_start_when_anonymised_or_unreadable(write_edf: WriteEdf) -> None:
    """A made-up date is worse than none."""
    assert read_edf(write_edf(ONE)).start is None
    path = _patch(write_edf(ONE), 88, b"free text".ljust(80))
    assert read_edf(path).start == datetime(1985, 1, 1)
    assert read_edf(_patch(path, 176, b"99.99.99")).start is None
    assert read_edf(_patch(path, 168, b"someday ")).start is None


def test_read_edf_uses_file_name_as_subject_when_plain(write_edf: WriteEdf) -> None:
    """The patient field of plain EDF is free text, often 'male 30 y'."""
    assert read_edf(_patch(write_edf(ONE), 8, b"P7 M 1990")).subject_id == "night"


def test_read_edf_unit_argument_wins(write_edf: WriteEdf) -> None:
    """Many devices leave the dimension blank."""
    path = write_edf([("ECG", 200, "", WAVE)])
    assert read_edf(path).channels[0].unit == "NU"
    channel = read_edf(path, unit="uV").channels[0]
    assert channel.unit == "mV"
    np.testing.assert_allclose(channel.read(), WAVE / 1000, atol=1e-3)


def test_read_edf_reads_latin_1_micro_sign(write_edf: WriteEdf) -> None:
    """The standard says ASCII, devices write the sign."""
    path = _patch(write_edf(ONE), 256 + 16 + 80, b"\xb5V      ")
    assert read_edf(path).channels[0].unit == "mV"


def test_read_edf_delivers_digital_values_when_uncalibrated(write_edf: WriteEdf) -> None:
    """Equal physical limits mean that the amplitude is unknown."""
    path = _patch(write_edf(ONE), 256 + 16 + 80 + 8 + 8, b"-3200   ")
    channel = read_edf(path).channels[0]
    assert channel.unit == "NU"
    assert channel.read().max() > 20000


def test_read_edf_keeps_a_signal_whose_label_only_resembles_annotations(write_edf: WriteEdf) -> None:
    """Only the exact label marks annotations; another one must not shift the signals after it."""
    path = _patch(write_edf([*ONE, ("Resp", 200, "", WAVE)]), 256, b" EDF Annotations")
    assert [channel.name for channel in read_edf(path).channels] == ["EDF Annotations", "Resp"]


def test_read_edf_accepts_unknown_number_of_records(write_edf: WriteEdf) -> None:
    """-1 means that the recorder did not close the file."""
    assert read_edf(_patch(write_edf(ONE), 236, b"-1      ")).channels[0].n_samples == 2000


@pytest.mark.parametrize(("name", "kind"), [("night.edf", "EDF"), ("night.bdf", "BDF")])
def test_read_edf_refuses_discontinuous_files(write_edf: WriteEdf, name: str, kind: str) -> None:
    """Gaps would shift every later beat."""
    path = write_edf(ONE, name=name, annotations=[])
    path.write_bytes(path.read_bytes().replace(f"{kind}+C".encode(), f"{kind}+D".encode()))
    with pytest.raises(RecordFormatError, match=rf"{name} is {kind}\+D \(discontinuous\); only continuous {kind}"):
        read_edf(path)


def test_read_edf_refuses_contradicting_fs(write_edf: WriteEdf) -> None:
    """Neither value may win silently."""
    with pytest.raises(ConfigError, match="states 200 Hz but fs is 250 Hz"):
        read_edf(write_edf(ONE), fs=250.0)


@pytest.mark.parametrize(
    ("position", "field", "message"),
    [
        (236, b"many    ", "number of data records is 'many'"),
        (236, b"0       ", "0 samples"),
        (236, b"99999999", "truncated: .* bytes found"),
        (244, b"0       ", "no sampling frequency"),
        (244, b"-1      ", "duration of a data record is '-1'"),
        (244, b"1e-9    ", "sampling frequency is .* Hz"),
        (252, b"0   ", "states 0 signals"),
        (252, b"-3  ", "number of signals is '-3'"),
        (252, b"9999", "states 9999 signals"),
        (256 + 216, b"0       ", "0 samples"),
        (256 + 216, b"1.5     ", "number of samples in a record is '1.5'"),
        (256 + 104, b"low     ", "calibration of signal 'ECG II' is unreadable"),
        (256, b"EDF Annotations ", "no signals, only annotations"),
    ],
)
def test_read_edf_names_the_fault_when_header_is_damaged(
    write_edf: WriteEdf, position: int, field: bytes, message: str
) -> None:
    """Every number of the header decides where samples lie."""
    with pytest.raises(RecordFormatError, match=message):
        read_edf(_patch(write_edf(ONE), position, field))


@pytest.mark.parametrize("n_kept", [100, 300, 600])
def test_read_edf_names_sizes_when_truncated(write_edf: WriteEdf, n_kept: int) -> None:
    """Half a download must not become half a night."""
    path = write_edf(ONE)
    path.write_bytes(path.read_bytes()[:n_kept])
    with pytest.raises(RecordFormatError, match=r"bytes found|bytes of signal headers"):
        read_edf(path)


def test_read_edf_refuses_one_empty_signal_beside_others(write_edf: WriteEdf) -> None:
    """A signal without samples has no rate."""
    path = _patch(write_edf([*ONE, ("Resp", 200, "", WAVE)]), 256 + 216 * 2 + 8, b"0       ")
    with pytest.raises(RecordFormatError, match="signal 'Resp' has 0 samples"):
        read_edf(path)


def test_read_edf_translates_errors_of_edfio(write_edf: WriteEdf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the library finds wrong is a damaged file for the user."""

    def fail(*_args: object, **_options: object) -> None:
        raise IndexError("strange")

    monkeypatch.setattr(edfio, "read_edf", fail)
    with pytest.raises(RecordFormatError, match=r"no valid EDF header \(strange\)"):
        read_edf(write_edf(ONE))
