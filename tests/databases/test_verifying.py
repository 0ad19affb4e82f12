"""Whether a folder is whole is told file by file."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from heartbert.databases.verifying import Damage, verify
from heartbert.errors import ConfigError, DatabaseError


def _list(folder: Path, contents: dict[str, bytes]) -> None:
    lines = [f"{hashlib.sha256(content).hexdigest()} {name}\n" for name, content in contents.items()]
    (folder / "SHA256SUMS.txt").write_text("".join(lines))
    for name, content in contents.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def test_verify_finds_missing_damaged_and_extra_files(tmp_path: Path) -> None:
    """Each kind needs something else to be done."""
    _list(tmp_path, {"100.dat": b"a", "100.hea": b"b", "sub/101.dat": b"c", "102.dat": b"d"})
    (tmp_path / "100.dat").unlink()
    (tmp_path / "102.dat").write_bytes(b"x")
    (tmp_path / "100.dat.part").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"")

    found = verify(tmp_path)

    assert (found.method, found.n_listed, found.n_good) == ("SHA256SUMS.txt", 4, 2)
    assert (found.missing, found.extra) == (("100.dat",), ("100.dat.part",))
    assert found.damaged == (Damage("102.dat", hashlib.sha256(b"d").hexdigest(), hashlib.sha256(b"x").hexdigest()),)
    assert not found.is_good


def test_verify_is_content_with_extra_files(tmp_path: Path) -> None:
    """Own notes beside the data are no fault of the data."""
    _list(tmp_path, {"100.dat": b"a"})
    (tmp_path / "notes.txt").write_text("mine")

    assert verify(tmp_path).is_good
    assert verify(tmp_path).extra == ("notes.txt",)


def test_verify_says_where_only_line_ends_differ(tmp_path: Path) -> None:
    """Version control and transfers in text mode do that; the content is the same."""
    _list(tmp_path, {"100.hea": b"100 1 360\r\n# x\r\n", "101.hea": b"101 1 360\n", "100.dat": b"\r\n" * 600_000})
    (tmp_path / "100.hea").write_bytes(b"100 1 360\n# x\n")
    (tmp_path / "101.hea").write_bytes(b"101 1 360\r\n")
    (tmp_path / "100.dat").write_bytes(b"\n" * 1_200_000)

    found = [(one.name, one.found.endswith("(only the line ends differ)")) for one in verify(tmp_path).damaged]

    assert found == [("100.dat", False), ("100.hea", True), ("101.hea", True)]


def test_verify_checks_a_part(tmp_path: Path) -> None:
    """A folder that was unpacked without its documents is whole for its purpose."""
    _list(tmp_path, {"100.dat": b"a", "about.htm": b"b"})
    (tmp_path / "about.htm").unlink()

    assert verify(tmp_path, only="*.dat").is_good


def test_verify_refuses_a_list_that_leaves_the_folder(tmp_path: Path) -> None:
    """Even reading elsewhere is not asked for."""
    (tmp_path / "SHA256SUMS.txt").write_text(f"{'0' * 64} ../../etc/passwd\n")

    with pytest.raises(DatabaseError, match="only paths inside the database's folder"):
        verify(tmp_path)


def test_verify_goes_by_headers_without_a_list(write_record, tmp_path: Path) -> None:
    """Every header has a checksum for each signal."""
    for fmt in ("16", "212", "80"):
        write_record(f"db/r{fmt}", fmt=fmt if fmt != "80" else "16", leads=("II", "V5"))
    write_record("db/sub/x")
    (tmp_path / "db" / "r16.atr").write_bytes(b"\0\0")

    found = verify(tmp_path / "db")

    assert found.is_good
    assert (found.method, found.n_listed, found.n_good) == ("WFDB headers", 8, 8)
    assert (found.extra, found.n_unstated) == ((), 0)


def test_verify_by_headers_finds_what_is_wrong(write_record, tmp_path: Path) -> None:
    """Missing, changed, cut off, without header: four ways to lose a recording."""
    for name in ("missing", "changed", "cut", "lost", "unread"):
        write_record(f"db/{name}", fmt="16", leads=("II", "V5"))
    folder = tmp_path / "db"
    (folder / "missing.dat").unlink()
    content = bytearray((folder / "changed.dat").read_bytes())
    content[0] ^= 1
    (folder / "changed.dat").write_bytes(bytes(content))
    (folder / "cut.dat").write_bytes((folder / "cut.dat").read_bytes()[:100])
    (folder / "lost.hea").unlink()
    (folder / "unread.hea").write_text("unread two signals\n")

    found = verify(folder)

    assert found.missing == ("missing.dat",)
    assert [one.name for one in found.damaged] == ["changed.dat", "cut.dat", "unread.hea"]
    assert "checksums" in found.damaged[0].expected
    assert found.extra == ("lost.dat", "unread.dat")
    assert found.n_good == 3


def test_verify_by_headers_counts_files_without_checksum(write_record, tmp_path: Path) -> None:
    """What is not stated cannot be checked, and is not called good."""
    path = write_record("db/r", fmt="16")
    path.write_text("r 1 250 500\nr.dat 16 200\n")

    found = verify(tmp_path / "db")

    assert (found.n_good, found.n_unstated, found.is_good) == (1, 1, True)


def test_verify_by_headers_takes_segments_one_by_one(write_record, tmp_path: Path) -> None:
    """A record of segments has no samples of its own, and a layout header only names signals."""
    write_record("db/s1", fmt="16")
    (tmp_path / "db" / "layout.hea").write_text("layout 1 250 0\n~ 0 200(0)/mV 12 0 0 0 0 ECG\n")
    (tmp_path / "db" / "night.hea").write_text("night/2 1 250 500\nlayout 0\ns1 500\n")

    found = verify(tmp_path / "db", only="*.hea")

    assert found.is_good
    assert (found.n_listed, found.extra) == (4, ())


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_verify_says_what_it_needs(tmp_path: Path, name: str) -> None:
    """Neither list nor header: nothing can be said."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match="is no folder" if name == "missing" else r"holds neither SHA256SUMS.txt nor"):
        verify(tmp_path / name)


@pytest.mark.data
def test_verify_real_recordings(real_database: Callable[[str], Path]) -> None:
    """Signals and annotations are those of PhysioNet; those without a list agree with their headers."""
    assert verify(real_database("mitdb"), only="*.dat").n_good == 48
    assert verify(real_database("mitdb"), only="*.atr").n_listed == 49 + 23
    assert verify(real_database("qtdb")).is_good
