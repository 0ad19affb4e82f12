"""Checks of WFDB headers before anything they name is opened."""

from pathlib import Path

import pytest

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.records.wfdb_header import read_header, segment_names

LINE = "rec.dat 16 200(0)/mV 12 0 0 0 0 II"


def _header(folder: Path, text: str | bytes) -> Path:
    path = folder / "rec.hea"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../x.dat",
        "/etc/passwd",
        "a/b.dat",
        "..",
        "a\\b.dat",
        "-x/../y",
        "http://x/y.dat",
        "a::b",
        ".",
        "\u00e9.dat",
    ],
)
def test_read_header_refuses_signal_files_outside_its_folder(tmp_path: Path, name: str) -> None:
    """An uploaded header must not make the program read other files."""
    path = _header(tmp_path, f"rec 1 360 10\n{LINE.replace('rec.dat', name)}\n")
    with pytest.raises(RecordFormatError, match="only files in the folder of the header are opened"):
        read_header(path)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "http://x"])
def test_read_header_refuses_segments_outside_its_folder(tmp_path: Path, name: str) -> None:
    """Segments name files too."""
    path = _header(tmp_path, f"rec/1 1 360 10\n{name} 10\n")
    with pytest.raises(RecordFormatError, match="only files in the folder of the header are opened"):
        read_header(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rec.hea is empty"),
        ("# only a comment\n", "rec.hea is empty"),
        (b"\x00\x01\x02rec 1 360 10", "holds binary data"),
        ("\u00e9# x 1 360 10\nrec 1 360 10\n", "starts with"),
        ("rec\n", "number of signals is missing"),
        ("rec two 360 10\n", "number of signals is 'two'"),
        ("rec -1 360 10\n", "number of signals is '-1'"),
        ("rec 0 360 10\n", "0 signals; at least 1"),
        (f"rec 1 0 10\n{LINE}\n", "sampling frequency is 0 Hz"),
        (f"rec 1 -360 10\n{LINE}\n", "sampling frequency is -360 Hz"),
        (f"rec 1 nan 10\n{LINE}\n", "sampling frequency is nan Hz"),
        (f"rec 1 fast 10\n{LINE}\n", "sampling frequency is nan Hz"),
        (f"rec 1 1000000000 10\n{LINE}\n", "sampling frequency is 1e.09 Hz"),
        (f"rec 1 1e3 10\n{LINE}\n", "plain numbers"),
        (f"rec 1 360 0\n{LINE}\n", "0 samples"),
        (f"rec 1 360 -5\n{LINE}\n", "number of samples is '-5'"),
        (f"rec 2 360 10\n{LINE}\n", "states 2 signals but 1 lines follow"),
        ("rec/2 1 360 10\nseg 10\n", "states 2 segments but 1 lines follow"),
        ("rec/ 1 360 10\nseg 10\n", "a record is named 'NAME' or 'NAME/N_SEGMENTS'"),
        ("rec/0 1 360 10\n", "no valid WFDB header"),
        ("rec 1 360 10 99:99:99\n" + LINE, "no valid WFDB header"),
        ("rec 1 360 10\nrec.dat\n", "no valid WFDB header"),
        ("rec 1 360 10\nrec.dat 16 loud/mV 12 0\n", "line of signal 0"),
        ("rec 1 360 10\nrec.dat 16 200 12 zero 0 0 0 II\n", "line of signal 0"),
        ("rec 1 360 10\nrec.dat 16y3 200 12 0 0 0 0 II\n", "line of signal 0"),
        ("rec 1 360 10\nrec.dat 99 200 12 0 0 0 0 II\n", "stored in format 99; allowed are 8, 16"),
    ],
)
def test_read_header_names_the_fault_when_malformed(tmp_path: Path, text: str | bytes, message: str) -> None:
    """The library would fail with a bare exception or read some of these as 250 Hz."""
    with pytest.raises(RecordFormatError, match=message):
        read_header(_header(tmp_path, text))


def test_read_header_refuses_contradicting_fs(tmp_path: Path) -> None:
    """The caller and the file cannot both be right."""
    with pytest.raises(ConfigError, match=r"rec.hea states 360 Hz but fs is 250 Hz"):
        read_header(_header(tmp_path, f"rec 1 360 10\n{LINE}\n"), 250.0)


@pytest.mark.parametrize(
    ("comment", "subject"),
    [
        ("# subject: 17", "17"),
        ("#Patient ID = p-3", "p-3"),
        ("# <subject>: 9", "9"),
        ("# patient: male", "rec"),
        ("# subject: 72 years old", "rec"),
        ("# Digoxin", "rec"),
    ],
)
def test_read_header_takes_subject_from_comments_when_stated(tmp_path: Path, comment: str, subject: str) -> None:
    """Splits are by subject; a wrong one leaks or merges people."""
    assert read_header(_header(tmp_path, f"rec 1 360 10\n{LINE}\n{comment}\n")).subject_id == subject


def test_read_header_keeps_micro_sign_and_names_when_not_ascii(tmp_path: Path) -> None:
    """The library drops non-ASCII bytes, which turns microvolt into volt."""
    line = "rec.dat 16 1(0)/\u00b5V 12 0 0 0 0 Brust \u00e4u\u00dfen\n"
    for encoding in ("utf-8", "latin-1"):
        signal = read_header(_header(tmp_path, ("rec 1 360 10\n" + line).encode(encoding))).signals[0]
        assert (signal.unit, signal.name) == ("\u00b5V", "Brust \u00e4u\u00dfen")


def test_segment_names_lists_segments_only(tmp_path: Path) -> None:
    """Segments in a folder are not records of their own."""
    assert segment_names(_header(tmp_path, "rec/2 1 360 20\na 10\nb 10\n")) == ["a", "b"]
    assert segment_names(_header(tmp_path, f"rec 1 360 10\n{LINE}\n")) == []
