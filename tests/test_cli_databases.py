"""The commands for databases print what a person needs to decide, and exit as a script needs it."""

import hashlib
import sys
from pathlib import Path

import pytest

from heartbert.cli import main
from tests.databases.conftest import Server, server  # noqa: F401 - a fixture


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the program with arguments and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["heartbert", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main.run()
    return int(stopped.value.code or 0)


def test_databases_lists_all_and_marks_what_is_not_known(monkeypatch, capsys) -> None:
    """A number that nobody has checked must not look like one."""
    assert run(monkeypatch, "databases") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "slug\tleads\thours\tsubjects\trecordings\tlicence\tsize"
    assert "mitdb\t2\t24.1\t47\t48\tODC-By 1.0\t93.6 MB" in lines
    assert "icentia11k-continuous-ecg\t1\t-\t11,000\t541,794\tCC BY-NC-SA 4.0\t-" in lines
    assert len(lines) == 8


def test_databases_tells_what_to_beware_of(monkeypatch, capsys) -> None:
    """Every result on mitdb depends on these."""
    assert run(monkeypatch, "databases", "mitdb") == 0

    out = capsys.readouterr().out
    assert "beware\t201 and 202 are one man" in out
    assert "licence\tODC-By 1.0, doi:10.13026/C2F305" in out


def test_databases_refuses_an_unknown_slug(monkeypatch, capsys) -> None:
    """The nearest is named."""
    assert run(monkeypatch, "databases", "mitdbb") == 1

    assert "heartbert: error: there is no database 'mitdbb'; did you mean 'mitdb'?" in capsys.readouterr().err


def test_download_prints_the_licence_and_verify_agrees(
    server: Server,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Get it, check it, damage it, check it again."""
    server.files = {"p00/p00000/p00000_s00.hea": b"header", "RECORDS": b"p00/p00000/\n"}
    server.list_sums()
    folder = tmp_path / "icentia11k"

    assert run(monkeypatch, "download", "icentia11k-continuous-ecg", "-o", folder, "--url", server.url) == 0
    out = capsys.readouterr().out
    assert "licence\tCC BY-NC-SA 4.0" in out
    assert "weights trained on it may not be shipped" in out
    assert "fetched\t2 files, 18 B" in out

    assert run(monkeypatch, "verify", folder) == 0
    assert "good\t2 of 2" in capsys.readouterr().out
    (folder / "RECORDS").write_text("changed")
    (folder / "own.txt").write_text("mine")
    assert run(monkeypatch, "verify", folder) == 1
    out = capsys.readouterr().out
    expected, found = (hashlib.sha256(content).hexdigest() for content in (b"p00/p00000/\n", b"changed"))
    assert f"damaged\tRECORDS: expected {expected}, found {found}" in out
    assert "extra\town.txt" in out


def test_download_without_checksums_says_so(server: Server, tmp_path: Path, monkeypatch, capsys) -> None:  # noqa: F811
    """Length alone does not find damage."""
    server.files = {"RECORDS": b""}

    assert run(monkeypatch, "download", "edb", "-o", tmp_path, "--url", server.url) == 0
    assert "checked\tlength only: the source has no checksums" in capsys.readouterr().out


def test_verify_names_twenty_files_and_counts_the_rest(tmp_path: Path, monkeypatch, capsys) -> None:
    """Thousands of lines bury the counts."""
    (tmp_path / "SHA256SUMS.txt").write_text("".join(f"{'0' * 64} {number:02d}.dat\n" for number in range(25)))

    assert run(monkeypatch, "verify", tmp_path) == 1

    lines = capsys.readouterr().out.splitlines()
    assert "missing\t25" in lines
    assert "missing\t19.dat" in lines
    assert lines[-1] == "missing\tand 5 more"


def test_verify_says_how_many_files_have_no_checksum(tmp_path: Path, monkeypatch, capsys) -> None:
    """Not checked is not good."""
    (tmp_path / "r.hea").write_text("r 1 250 1\nr.dat 16 200\n")
    (tmp_path / "r.dat").write_bytes(bytes(2))

    assert run(monkeypatch, "verify", tmp_path) == 0
    assert "without checksum\t1" in capsys.readouterr().out
