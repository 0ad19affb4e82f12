"""Reading WFDB annotation files."""

import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from heartbert.errors import RecordFormatError
from heartbert.records import read_annotations
from heartbert.records.wfdb_library import wfdb

HEADER = "rec 1 360 10\nrec.dat 16 200 12 0 0 0 0 II\n"


def _word(code: int, value: int) -> bytes:
    return struct.pack("<H", code << 10 | value)


def _note(text: bytes) -> bytes:
    return _word(63, len(text)) + text + b"\0" * (len(text) % 2)


@pytest.fixture
def write_atr(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an annotation file, with a header beside it unless told otherwise."""

    def write(content: bytes, *, header: bool = True) -> Path:
        (tmp_path / "rec.atr").write_bytes(content)
        if header:
            (tmp_path / "rec.hea").write_text(HEADER)
        return tmp_path / "rec"

    return write


def test_read_annotations_decodes_times_symbols_and_notes(write_atr: Callable[..., Path]) -> None:
    """Skips are stored as two words, high one first, and may go back; notes may end in NUL."""
    forth = _word(59, 0) + struct.pack("<HH", 1, 2)
    back = _word(59, 0) + struct.pack("<hH", -1, 65536 - 20)
    content = _word(1, 18) + _word(62, 1) + forth + _word(5, 3) + _note(b"(AFIB\0") + back + _word(8, 0)
    path = write_atr(content + _word(0, 5) + _word(1, 1) + b"\0\0")
    annotations = read_annotations(path, "atr")
    np.testing.assert_array_equal(annotations.samples, [*[18, 65539, 65545, 65559][0:1], 65539, 65545, 65559])
    assert annotations.symbols == ("N", "A", "N", "V")
    assert annotations.aux_notes == ("", "", "", "(AFIB")
    assert annotations.fs == 360.0


def test_read_annotations_keeps_subtypes_as_signed_bytes(write_atr: Callable[..., Path]) -> None:
    """A shutdown of EC57 is a subtype of 0x30; the database writes -1 for a signal that cannot be read at all."""
    lost = _word(61, 7)  # belongs to no mark
    path = write_atr(lost + _word(14, 9) + _word(61, 0x30) + _word(14, 9) + _word(61, 0x3FF) + _word(1, 9) + b"\0\0")
    assert read_annotations(path, "atr").subtypes.tolist() == [0x30, -1, 0]


def test_read_annotations_ends_a_note_at_its_first_nul(write_atr: Callable[..., Path]) -> None:
    """What follows in the file is left over from a longer note."""
    path = write_atr(_word(28, 9) + _note(b"(N\0FIB") + b"\0\0")
    assert read_annotations(path, "atr").aux_notes == ("(N",)


def test_read_annotations_takes_rate_and_symbols_from_definitions(write_atr: Callable[..., Path]) -> None:
    """A file may define its own symbols and time resolution, and then needs no header."""
    notes = [
        b"## time resolution: 500",
        b"## annotation type definitions",
        b"42 z unusual",
        b"## end of definitions",
    ]
    content = b"".join(_word(22, 0) + _note(note) for note in notes) + _word(42, 9) + b"\0\0"
    annotations = read_annotations(write_atr(content, header=False), "atr")
    assert (annotations.symbols, annotations.fs, annotations.samples.tolist()) == (("z",), 500.0, [9])


def test_read_annotations_returns_when_a_comment_starts_the_file(write_atr: Callable[..., Path]) -> None:
    """wfdb.rdann loops for ever on such a note."""
    content = _word(22, 0) + _note(b"## made by hand") + _word(1, 9) + b"\0\0"
    assert read_annotations(write_atr(content), "atr").symbols == ("N",)


@pytest.mark.parametrize("suffix", ["", ".hea", ".dat", ".atr"])
def test_read_annotations_accepts_record_name_and_files(write_atr: Callable[..., Path], suffix: str) -> None:
    """People pass what they have at hand."""
    path = write_atr(_word(1, 18) + b"\0\0")
    assert read_annotations(f"{path}{suffix}", "atr").samples.tolist() == [18]


def test_read_annotations_of_a_file_without_marks_is_empty(write_atr: Callable[..., Path]) -> None:
    """No mark is a valid result."""
    assert read_annotations(write_atr(b"\0\0"), "atr").samples.shape == (0,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an even number of bytes"),
        (b"\0\0\0", "an even number of bytes"),
        (_word(1, 18), "the end mark '0000' is missing"),
        (_word(1, 18) + _word(63, 40) + b"\0\0", "the end mark '0000' is missing"),
        (_word(59, 0) + b"\xff\xff\xf0\xff" + _word(1, 0) + b"\0\0", "mark 0 is at sample -16"),
    ],
)
def test_read_annotations_names_the_fault_when_damaged(
    write_atr: Callable[..., Path], content: bytes, message: str
) -> None:
    """A truncated file has fewer beats than the recording."""
    with pytest.raises(RecordFormatError, match=message):
        read_annotations(write_atr(content), "atr")


def test_read_annotations_names_what_there_is_when_missing(write_atr: Callable[..., Path]) -> None:
    """The suffix of the annotator is easily confused."""
    path = write_atr(b"\0\0")
    with pytest.raises(RecordFormatError, match=r"no annotation file rec.st .* end in atr, hea"):
        read_annotations(path, "st")
    with pytest.raises(RecordFormatError, match=r"annotator is '../x'"):
        read_annotations(path, "../x")


def test_read_annotations_requires_a_rate(write_atr: Callable[..., Path]) -> None:
    """Times in samples mean nothing without it."""
    with pytest.raises(RecordFormatError, match="does not state the sampling frequency"):
        read_annotations(write_atr(_word(1, 18) + b"\0\0", header=False), "atr")


@pytest.mark.data
@pytest.mark.parametrize(("pattern", "annotator"), [("mitdb/10[0-2].hea", "atr"), ("slpdb/slp01*.hea", "st")])
def test_read_annotations_equals_wfdb_on_real_records(data_folder: Path, pattern: str, annotator: str) -> None:
    """The library used by everyone else is the reference."""
    headers = sorted(data_folder.glob(pattern))
    if not headers:
        pytest.skip(f"no {pattern} in HEARTBERT_DATA")
    for header in headers:
        with warnings.catch_warnings():
            # wfdb 4.3 calls pandas with an argument that pandas 3.1 deprecates.
            warnings.simplefilter("ignore")
            expected = wfdb.rdann(str(header.with_suffix("")), annotator)
        found = read_annotations(header, annotator)
        np.testing.assert_array_equal(found.samples, expected.sample)
        assert list(found.symbols) == expected.symbol
        assert list(found.aux_notes) == [note.split("\0")[0] for note in expected.aux_note]
        assert list(found.subtypes & 0xFF) == list(expected.subtype & 0xFF)
