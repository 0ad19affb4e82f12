"""Picking the reader for a path."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
import pytest

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.records import read_record, reading

Digital = npt.NDArray[np.int64]


def test_read_record_opens_wfdb_records_by_any_name(write_wfdb: Callable[..., Path], digital: Digital) -> None:
    """People pass the record, a file of it, or its folder."""
    header = write_wfdb([digital])
    for path in (header, str(header), header.with_suffix(""), header.with_suffix(".dat"), header.parent):
        assert read_record(path).path == header


def test_read_record_opens_every_other_format(write_edf: Callable[..., Path], tmp_path: Path, digital: Digital) -> None:
    """One call for all; the suffix may be in capitals."""
    wave = digital.astype(np.float64)
    (tmp_path / "a.csv").write_text("II\n" + "\n".join(map(str, digital)))
    (tmp_path / "a.TSV").write_text("II\tV1\n" + "\n".join(f"{v}\t0" for v in digital))
    np.save(tmp_path / "a.npy", wave)
    np.savez(tmp_path / "a.npz", II=wave)
    pa.parquet.write_table(pa.table({"II": wave}), tmp_path / "a.parquet")
    write_edf([("II", 250, "mV", wave)], name="a.edf")
    write_edf([("II", 250, "mV", wave)], name="a.bdf")
    (tmp_path / "a.edf").rename(tmp_path / "a.EDF")
    for name in ("a.csv", "a.TSV", "a.npy", "a.npz", "a.parquet", "a.EDF", "a.bdf"):
        channel = read_record(tmp_path / name, fs=250.0).channels[0]
        np.testing.assert_allclose(channel.read(), wave, atol=0.06)


def test_read_record_takes_the_record_that_owns_the_segments(
    write_wfdb: Callable[..., Path], digital: Digital, tmp_path: Path
) -> None:
    """A folder with one segmented record holds many headers."""
    write_wfdb([digital], name="a")
    write_wfdb([digital], name="b")
    (tmp_path / "rec.hea").write_text("rec/2 1 360 2000\na 1000\nb 1000\n")
    assert read_record(tmp_path).channels[0].n_samples == 2000


def test_read_record_lists_records_when_a_folder_has_several(
    write_wfdb: Callable[..., Path], digital: Digital, tmp_path: Path
) -> None:
    """The list must not flood the screen."""
    with pytest.raises(RecordFormatError, match=r"holds no WFDB header \(.hea\)"):
        read_record(tmp_path)
    for i in range(12):
        write_wfdb([digital], name=f"r{i:02d}")
    with pytest.raises(RecordFormatError, match=r"holds 12 records: r00, r01, .*, r09 and 2 more; exactly one"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    "path", ["http://physionet.org/100", "s3://bucket/100", Path("https://x.org/100"), "a::b", "a\0b"]
)
def test_read_record_refuses_urls(path: str | Path) -> None:
    """Nothing is fetched from the network behind the user's back."""
    with pytest.raises(RecordFormatError, match="is a URL; only files on this computer are read"):
        read_record(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xyz", b"text", "ends in '.xyz'; allowed are .hea, .edf"),
        ("a", b"text", "ends in ''; allowed are"),
        ("a.rec", b"0       " + bytes(300), "its content is EDF; allowed are"),
        ("a.csv", b"0       " + bytes(300), "content is EDF; .* Rename it to end in .edf"),
        ("a.edf", b"\xffBIOSEMI" + bytes(300), "content is BDF; .* Rename it to end in .bdf"),
        ("a.edf", b"\x89PNG\r\n\x1a\n", "content is a PNG image; .* Convert it"),
        ("a.edf", b"time,II\n0,1\n", "content is something else"),
        ("a.npy", b"garbage", "content is something else"),
        ("a.csv", b"\x93NUMPY", "content is npy"),
        ("a.hea", b"PK\x03\x04", "content is npz"),
        ("a.csv", b"", r"is empty \(0 bytes\); a file of format text"),
        ("a.edf", b"", r"is empty \(0 bytes\); a file of format EDF"),
        ("a.dat", b"\0\0", "is a signal file, but its header a.hea is not in its folder"),
    ],
)
def test_read_record_names_the_fault_when_the_file_is_of_another_kind(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    """A renamed file must not be read as something it is not."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordFormatError, match=message):
        read_record(tmp_path / name, fs=250.0)


def test_read_record_says_what_is_allowed_when_the_path_does_not_exist(tmp_path: Path) -> None:
    """The most frequent mistake is a typing error."""
    with pytest.raises(RecordFormatError, match="nothing' does not exist; a folder, a WFDB record name"):
        read_record(tmp_path / "nothing")


def test_read_record_checks_arguments_against_the_file(write_wfdb: Callable[..., Path], digital: Digital) -> None:
    """A contradiction is an error in every format."""
    header = write_wfdb([digital])
    assert read_record(header, fs=360.0).channels[0].fs == 360.0
    with pytest.raises(ConfigError, match="states 360 Hz but fs is 250 Hz"):
        read_record(header, fs=250.0)
    with pytest.raises(ConfigError, match="fs is -1 Hz"):
        read_record(header, fs=-1.0)
    with pytest.raises(ConfigError, match="unit is 'Volt'"):
        read_record(header, unit="Volt")


def test_read_record_translates_errors_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is no traceback either."""
    (tmp_path / "a.csv").write_text("1\n")

    def fail(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(reading._READERS, "text", fail)
    with pytest.raises(RecordFormatError, match=r"a.csv cannot be read .*No space left"):
        read_record(tmp_path / "a.csv", fs=250.0)
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(RecordFormatError, match=r"a.csv cannot be opened"):
        read_record(tmp_path / "a.csv", fs=250.0)
