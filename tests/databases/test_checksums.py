"""Lists of checksums are read as published, and never lead out of the folder."""

import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heartbert.databases.checksums import place_of, read_sums, select, write_sums
from heartbert.errors import ConfigError, DatabaseError

SUM = "ab" * 32
PART = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=8)
PATHS = st.lists(PART, min_size=1, max_size=3).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(sums=st.dictionaries(PATHS, st.text("0123456789abcdef", min_size=64, max_size=64)))
def test_sums_read_are_those_written(tmp_path: Path, sums: dict[str, str]) -> None:
    """What is downloaded in parts is listed in parts."""
    write_sums(tmp_path / "SHA256SUMS.txt", sums)

    assert read_sums(tmp_path / "SHA256SUMS.txt") == sums


def test_read_sums_takes_all_common_ways_to_write_them(tmp_path: Path) -> None:
    """PhysioNet writes one space, sha256sum two, or one and a star."""
    lines = f"{SUM} 100.dat\n{SUM.upper()}  x_mitdb/RECORDS\r\n\n{SUM} *with space.txt\n{SUM} ./a.hea\n"
    (tmp_path / "SHA256SUMS.txt").write_text(lines)

    assert read_sums(tmp_path / "SHA256SUMS.txt") == dict.fromkeys(
        ("100.dat", "x_mitdb/RECORDS", "with space.txt", "a.hea"), SUM
    )


@pytest.mark.parametrize("line", ["<html>not found</html>", "abc 100.dat", SUM])
def test_read_sums_refuses_what_is_no_list(tmp_path: Path, line: str) -> None:
    """A page that says 'not found' with status 200 is a common answer."""
    (tmp_path / "SHA256SUMS.txt").write_text(f"{SUM} 100.dat\n{line}\n")

    with pytest.raises(DatabaseError, match=r"line 2 of SHA256SUMS.txt is .*64 hexadecimal digits and a path"):
        read_sums(tmp_path / "SHA256SUMS.txt")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/passwd", "C:evil", "a\\..\\evil", "a\tb", "."])
def test_read_sums_refuses_paths_out_of_the_folder(tmp_path: Path, name: str) -> None:
    """A list from a server decides where files are written."""
    (tmp_path / "SHA256SUMS.txt").write_text(f"{SUM} {name}\n")

    with pytest.raises(DatabaseError, match=r"only paths inside the database's folder are allowed"):
        read_sums(tmp_path / "SHA256SUMS.txt")


def test_place_of_refuses_a_link_out_of_the_folder(tmp_path: Path) -> None:
    """A link in the folder is a path out of it."""
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "p00").symlink_to(tmp_path)

    with pytest.raises(DatabaseError, match=r"leads out of .* through a link"):
        place_of(tmp_path / "db", "p00/file")


def test_select_matches_path_and_name() -> None:
    """All headers, or all of one person."""
    names = ["RECORDS", "p00/p00000/a.hea", "p00/p00001/b.hea", "p00/p00001/b.dat"]

    assert select(names, None) == names
    assert select(names, "*.hea") == names[1:3]
    assert select(names, "p00/p00001/*") == names[2:]
    assert select(names, "b.dat") == names[3:]


def test_select_shows_examples_where_nothing_matches() -> None:
    """The layout of a database is known to few."""
    with pytest.raises(ConfigError, match=r"no file matches '\*.edf' .* there are 2: 100.dat, 100.hea"):
        select(["100.dat", "100.hea"], "*.edf")
