"""Reading WFDB records."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heartbert.errors import RecordFormatError
from heartbert.records import wfdb_samples
from heartbert.records.wfdb_files import n_bytes, read_wfdb
from heartbert.records.wfdb_library import wfdb

Digital = npt.NDArray[np.int64]
WriteWfdb = Callable[..., Path]


@pytest.mark.parametrize("storage", ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311"])
def test_read_wfdb_returns_written_samples_in_every_format(
    write_wfdb: WriteWfdb, digital: Digital, storage: str
) -> None:
    """Each format packs samples differently, and blocks begin in the middle of a group."""
    header = write_wfdb([digital], storage=storage)
    channel = read_wfdb(header).channels[0]
    np.testing.assert_allclose(channel.read(), digital / 200, rtol=1e-6)
    blocks = [channel.read(start, start + 37) for start in range(0, 1000, 37)]
    np.testing.assert_allclose(np.concatenate(blocks), digital / 200, rtol=1e-6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.integers(-2047, 2047), min_size=2, max_size=60),
    start=st.integers(0, 60),
    length=st.integers(0, 60),
    storage=st.sampled_from(["16", "212"]),
    n_signals=st.integers(1, 3),
)
def test_read_wfdb_slices_like_the_whole_signal(
    write_wfdb: WriteWfdb, values: list[int], start: int, length: int, storage: str, n_signals: int
) -> None:
    """Reading in blocks must not depend on where they begin."""
    signals = [np.roll(np.array(values), i) for i in range(n_signals)]
    record = read_wfdb(write_wfdb(signals, storage=storage))
    for signal, channel in zip(signals, record.channels, strict=True):
        expected = (signal[start : start + length] / 200).astype(np.float32)
        np.testing.assert_allclose(channel.read(start, start + length), expected, rtol=1e-6)


def test_read_wfdb_marks_missing_samples_as_nan(write_wfdb: WriteWfdb) -> None:
    """The lowest value of a format means that there is no sample."""
    record = read_wfdb(write_wfdb([np.array([1, -(2**15), 3])]))
    np.testing.assert_array_equal(np.isnan(record.channels[0].read()), [False, True, False])


def test_read_wfdb_keeps_the_rate_of_each_signal_when_frames_hold_several_samples(
    write_wfdb: WriteWfdb, digital: Digital
) -> None:
    """Polysomnograms store ECG and respiration at different rates; averaging would ruin the ECG."""
    record = read_wfdb(write_wfdb([digital, digital[:250]], fs="90", per_frame=[4, 1], names=["II", "RESP"]))
    assert [(c.fs, c.n_samples) for c in record.channels] == [(360.0, 1000), (90.0, 250)]
    np.testing.assert_allclose(record.channels[0].read(101, 206), digital[101:206] / 200, rtol=1e-6)
    np.testing.assert_allclose(record.channels[1].read(7, 9), digital[7:9] / 200, rtol=1e-6)


@pytest.mark.parametrize("storage", ["8", "16"])
def test_read_wfdb_removes_skew_with_several_samples_per_frame(
    write_wfdb: WriteWfdb, digital: Digital, storage: str
) -> None:
    """A skewed signal is stored some frames late; the end that is not stored is missing."""
    channel = read_wfdb(write_wfdb([digital], per_frame=[2], skew=[3], storage=storage)).channels[0]
    signal = channel.read()
    np.testing.assert_allclose(signal[:-6], digital[6:] / 200, rtol=1e-6)
    assert np.isnan(signal[-6:]).all()
    np.testing.assert_array_equal(channel.read(989, 1000), signal[989:])


def test_read_wfdb_converts_to_mv_and_leaves_other_units(write_wfdb: WriteWfdb, digital: Digital) -> None:
    """Headers in microvolt are common; pressure must not be scaled."""
    record = read_wfdb(write_wfdb([digital, digital], gain="2(0)/uV", names=["II", "BP"]))
    assert [c.unit for c in record.channels] == ["mV", "uV"]
    np.testing.assert_allclose(record.channels[0].read(), digital / 2000, rtol=1e-5)
    assert read_wfdb(write_wfdb([digital], gain="2(0)/NU"), unit="V").channels[0].unit == "mV"
    assert read_wfdb(write_wfdb([digital], gain="2(0)/NU")).channels[0].unit == "NU"


@pytest.mark.parametrize("storage", ["16", "212", "311"])
def test_read_wfdb_takes_length_from_file_when_header_has_none(
    write_wfdb: WriteWfdb, digital: Digital, storage: str
) -> None:
    """header(5) allows to leave the number of samples out."""
    record = read_wfdb(write_wfdb([digital[:996]], storage=storage, n_stated=""))
    assert record.channels[0].n_samples == 996
    np.testing.assert_allclose(record.channels[0].read(), digital[:996] / 200, rtol=1e-6)


@pytest.mark.parametrize("storage", ["16", "212", "310", "80"])
def test_read_wfdb_names_sizes_when_signal_file_is_truncated(
    write_wfdb: WriteWfdb, digital: Digital, storage: str
) -> None:
    """Half a download must not become half a recording."""
    file = write_wfdb([digital], storage=storage).with_suffix(".dat")
    expected = n_bytes(storage, 1000)
    file.write_bytes(file.read_bytes()[: expected - 1])
    with pytest.raises(RecordFormatError, match=f"{expected - 1} bytes found, {expected} expected"):
        read_wfdb(file.with_suffix(".hea"))


def test_read_wfdb_refuses_empty_signal_file_when_header_has_no_length(write_wfdb: WriteWfdb, digital: Digital) -> None:
    """No sample at all is no recording."""
    header = write_wfdb([digital], n_stated="")
    header.with_suffix(".dat").write_bytes(b"")
    with pytest.raises(RecordFormatError, match="truncated: 0 bytes found"):
        read_wfdb(header)


def test_read_wfdb_says_which_signal_file_is_missing(write_wfdb: WriteWfdb, digital: Digital) -> None:
    """People often download the header alone."""
    header = write_wfdb([digital])
    header.with_suffix(".dat").unlink()
    with pytest.raises(RecordFormatError, match=r"needs the signal file 'rec.dat'"):
        read_wfdb(header)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("80", "record 'rec': signal 0 cannot be read from frame 0"),
        ("16", "rec.dat cannot be read .No such file or directory.; it must stay beside its header"),
        ("212", "rec.dat cannot be read .No such file or directory.; it must stay beside its header"),
    ],
)
def test_read_wfdb_says_what_is_wrong_when_the_signal_file_vanishes(
    write_wfdb: WriteWfdb, storage: str, message: str
) -> None:
    """Samples are read late; the file may be gone by then."""
    header = write_wfdb([np.arange(100)], storage=storage)
    channel = read_wfdb(header).channels[0]
    header.with_suffix(".dat").unlink()
    with pytest.raises(RecordFormatError, match=message):
        channel.read()


@pytest.mark.parametrize("storage", ["16", "212"])
def test_read_wfdb_says_what_is_wrong_when_the_signal_file_shrinks(write_wfdb: WriteWfdb, storage: str) -> None:
    """Half a signal must not pass for a whole one."""
    header = write_wfdb([np.arange(100)], storage=storage)
    channel = read_wfdb(header).channels[0]
    data = header.with_suffix(".dat")
    data.write_bytes(data.read_bytes()[:90])
    with pytest.raises(
        RecordFormatError, match=r"rec.dat has become shorter than when it was opened: 90 bytes at byte 0"
    ):
        channel.read()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.integers(-2048, 2047), min_size=12, max_size=60),
    part=st.tuples(st.integers(0, 40), st.integers(1, 40)),
    storage=st.sampled_from(["16", "212", "212 without numba"]),
    per_frame=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    skew=st.integers(0, 2),
)
def test_direct_formats_read_like_wfdb(
    write_wfdb: WriteWfdb, values: list[int], part: tuple[int, int], storage: str, per_frame: list[int], skew: int
) -> None:
    """The two formats that are decoded here must give what the library gives, to the last bit."""
    start, stop = part[0], sum(part)
    signals = [np.resize(np.roll(np.array(values), n), 10 * n) for n in per_frame]
    header = write_wfdb(signals, storage=storage.split()[0], per_frame=per_frame, skew=[skew] * len(per_frame))
    stored = wfdb.rdrecord(str(header.with_suffix("")), smooth_frames=False, ignore_skew=True).e_p_signal
    for number, channel in enumerate(read_wfdb(header).channels):
        late = skew * per_frame[number]
        expected = np.concatenate([stored[number][late:], np.full(late, np.nan)])[start:stop]
        with patch.object(wfdb_samples, "has_numba", return_value="without" not in storage):
            np.testing.assert_array_equal(channel.read(start, stop), expected.astype(np.float32))


def test_read_wfdb_refuses_scattered_signals_of_one_file(tmp_path: Path) -> None:
    """The library would return samples of another signal."""
    for name in ("a.dat", "b.dat"):
        (tmp_path / name).write_bytes(bytes(100))
    lines = [f"{name}.dat 16 200 12 0 0 0 0 V{i}" for i, name in enumerate("aba")]
    (tmp_path / "rec.hea").write_text("rec 3 360 10\n" + "\n".join(lines))
    with pytest.raises(RecordFormatError, match=r"the signals of 'a.dat' are scattered"):
        read_wfdb(tmp_path / "rec.hea")


@pytest.mark.parametrize("names", ["a b", "a ~ b"])
def test_read_wfdb_joins_segments_of_a_fixed_layout(
    write_wfdb: WriteWfdb, tmp_path: Path, digital: Digital, names: str
) -> None:
    """Long recordings are split; an empty segment is a gap of missing samples."""
    write_wfdb([digital, -digital], name="a")
    write_wfdb([digital[:400], -digital[:400]], name="b")
    lengths = {"a": 1000, "b": 400, "~": 100}
    lines = [f"{name} {lengths[name]}" for name in names.split()]
    total = sum(lengths[name] for name in names.split())
    (tmp_path / "rec.hea").write_text(f"rec/{len(lines)} 2 360 {total}\n" + "\n".join(lines))
    channel = read_wfdb(tmp_path / "rec.hea").channels[1]
    expected = np.concatenate([-digital, np.full(total - 1400, np.nan), -digital[:400]]) / 200
    np.testing.assert_allclose(channel.read(990, 1150), expected[990:1150], rtol=1e-6)
    assert (channel.n_samples, channel.name) == (total, "V5")


def _variable(folder: Path, write_wfdb: WriteWfdb, digital: Digital, **second: object) -> Path:
    write_wfdb([digital, digital], name="a", names=["II", "V"])
    write_wfdb([-digital], name="b", **{"names": ["V"], **second})
    lines = [f"~ 0x1 200/mV 0 0 0 0 0 {name}" for name in ("II", "V", "ABP")]
    (folder / "layout.hea").write_text("layout 3 360 0\n" + "\n".join(lines))
    (folder / "rec.hea").write_text("rec/3 3 360 2000\nlayout 0\na 1000\nb 1000\n")
    return folder / "rec.hea"


def test_read_wfdb_places_signals_by_name_in_a_variable_layout(
    write_wfdb: WriteWfdb, tmp_path: Path, digital: Digital
) -> None:
    """Bedside monitors change their leads during a stay."""
    record = read_wfdb(_variable(tmp_path, write_wfdb, digital))
    assert [channel.name for channel in record.channels] == ["II", "V"]
    signal = record.channels[0].read()
    np.testing.assert_allclose(signal[:1000], digital / 200, rtol=1e-6)
    assert np.isnan(signal[1000:]).all()
    expected = np.array([digital[-1], -digital[0]]) / 200
    np.testing.assert_allclose(record.channels[1].read(999, 1001), expected, rtol=1e-6)


def test_read_wfdb_refuses_signals_that_change_between_segments(
    write_wfdb: WriteWfdb, tmp_path: Path, digital: Digital
) -> None:
    """One channel has one unit."""
    with pytest.raises(RecordFormatError, match="signal 'V' changes between segments"):
        read_wfdb(_variable(tmp_path, write_wfdb, digital, gain="200(0)/adu"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("rec/1 1 360 999\na 1000", "the segments have 1000 samples together"),
        ("rec/1 1 360 500\na 500", "segment 'a' has 1000 samples but its record states 500"),
        ("rec/1 1 360 1000\nb 1000", "needs the segment 'b'"),
        ("rec/1 1 360 1000\n~ 1000", "none of the 1 segments"),
        ("rec/1 2 360 1000\na 1000", "states 2 signals but its segments have 1"),
        ("rec/1 1 360 1000\nrec 1000", "segment 'rec' has segments itself"),
    ],
)
def test_read_wfdb_names_the_fault_when_segments_do_not_fit(
    write_wfdb: WriteWfdb, tmp_path: Path, digital: Digital, lines: str, message: str
) -> None:
    """A record of segments can be inconsistent in ways a single file cannot."""
    write_wfdb([digital], name="a")
    (tmp_path / "rec.hea").write_text(lines)
    with pytest.raises(RecordFormatError, match=message):
        read_wfdb(tmp_path / "rec.hea")


def _write_flac(folder: Path, digital: Digital) -> Path:
    values = digital[:, None] / 200
    wfdb.wrsamp(
        "rec", fs=360, units=["mV"], sig_name=["II"], p_signal=values, fmt=["516"], adc_gain=[200.0],
        baseline=[0], write_dir=str(folder),
    )  # fmt: skip
    return folder / "rec.hea"


# wfdb 4.3 writes headers with an argument of pandas that pandas 3.1 deprecates.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_read_wfdb_reads_flac_and_notices_truncation(tmp_path: Path, digital: Digital) -> None:
    """Newer databases are stored in formats 508 to 524."""
    header = _write_flac(tmp_path, digital)
    np.testing.assert_allclose(read_wfdb(header).channels[0].read(5, 99), digital[5:99] / 200, rtol=1e-6)
    text = header.read_text()
    header.write_text(text.replace(" 1000", "", 1))
    with pytest.raises(RecordFormatError, match="FLAC signal files"):
        read_wfdb(header)
    header.write_text(text)
    header.with_suffix(".dat").write_bytes(b"RIFF")
    with pytest.raises(RecordFormatError, match="cannot be read from frame 999"):
        read_wfdb(header)


@pytest.mark.data
@pytest.mark.parametrize("pattern", ["mitdb/10[0-2].hea", "ptb-xl/records500/00000/0000[1-2]_hr.hea"])
def test_read_wfdb_equals_wfdb_on_real_records(data_folder: Path, pattern: str) -> None:
    """The library used by everyone else is the reference."""
    headers = sorted(data_folder.glob(pattern))
    if not headers:
        pytest.skip(f"no {pattern} in HEARTBERT_DATA")
    for header in headers:
        expected = wfdb.rdrecord(str(header.with_suffix("")), sampto=4000)
        record = read_wfdb(header)
        assert [channel.name for channel in record.channels] == expected.sig_name
        for i, channel in enumerate(record.channels):
            np.testing.assert_allclose(channel.read(0, 4000), expected.p_signal[:, i], atol=1e-6)
