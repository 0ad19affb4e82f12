"""A database arrives as published, in one go or in several."""

import hashlib
from pathlib import Path

import pytest

from heartbert.databases.catalogue import find_database
from heartbert.databases.downloading import download
from heartbert.databases.transfers import Connections
from heartbert.databases.verifying import verify
from heartbert.errors import ConfigError, DatabaseError
from tests.databases.conftest import Fault, Server

MITDB = find_database("mitdb")
QUICK = Connections(n_parallel=3, n_tries=3, timeout_s=10.0, pause=lambda *_: None)
FILES = {
    "RECORDS": b"100\nsub/101\n",
    "ANNOTATORS": b"atr\treference beats\nqrs\tfound\n",
    "100.hea": b"100 1 360 4\n100.dat 16 200 12 0 0 0 0 MLII\n# comment\n",
    "100.dat": bytes(8),
    "100.atr": b"\0\0",
    "sub/101.hea": b"101 2 360 4\n101.dat 16 200 12 0 0 0 0 MLII\n~ 0 200 12 0 0 0 0 V5\n",
    "sub/101.dat": bytes(range(8)),
}


@pytest.fixture
def mitdb(server: Server) -> Server:
    """Return a server with a small database and its list of checksums."""
    server.files = dict(FILES)
    server.list_sums()
    return server


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_download_fetches_all_files_in_their_layout(mitdb: Server, tmp_path: Path) -> None:
    """What arrives is what was published, with its list."""
    told: list[tuple[str, float]] = []

    done = download(
        MITDB, tmp_path, url=mitdb.url, connections=QUICK, progress=lambda stage, share: told.append((stage, share))
    )

    contents = _contents(tmp_path)
    assert contents.pop("SHA256SUMS.txt")
    assert contents == FILES
    assert (done.n_fetched, done.n_present, done.n_bytes) == (7, 0, sum(map(len, FILES.values())))
    assert told[0] == ("listing files", 0.0)
    assert told[-1] == ("fetching files", 1.0)
    assert verify(tmp_path).is_good


def test_download_fetches_only_what_is_missing_or_damaged(mitdb: Server, tmp_path: Path) -> None:
    """A second run after an interruption must be cheap, and mend."""
    download(MITDB, tmp_path, url=mitdb.url, connections=QUICK)
    (tmp_path / "100.dat").write_bytes(b"damaged!")
    (tmp_path / "100.atr").unlink()
    mitdb.requests.clear()

    done = download(MITDB, tmp_path, url=mitdb.url, connections=QUICK)

    assert (done.n_fetched, done.n_present) == (2, 5)
    assert sorted(name for name, _ in mitdb.requests) == ["100.atr", "100.dat", "SHA256SUMS.txt"]
    assert (tmp_path / "100.dat").read_bytes() == FILES["100.dat"]


def test_download_of_a_part_lists_that_part_and_later_both(mitdb: Server, tmp_path: Path) -> None:
    """A part of a terabyte must verify as whole, and grow."""
    download(MITDB, tmp_path, url=mitdb.url, only="100.*", connections=QUICK)
    first = verify(tmp_path)
    download(MITDB, tmp_path, url=mitdb.url, only="sub/*", connections=QUICK)

    assert (first.is_good, first.n_listed) == (True, 3)
    assert verify(tmp_path).n_listed == 5
    assert sorted(_contents(tmp_path)) == [
        "100.atr", "100.dat", "100.hea", "SHA256SUMS.txt", "sub/101.dat", "sub/101.hea",
    ]  # fmt: skip


def test_download_says_which_pattern_matches_nothing(mitdb: Server, tmp_path: Path) -> None:
    """Nothing fetched and nothing said would be taken for success."""
    with pytest.raises(ConfigError, match=r"no file matches '\*.edf'"):
        download(MITDB, tmp_path / "db", url=mitdb.url, only="*.edf", connections=QUICK)

    assert not (tmp_path / "db").exists()


def test_download_survives_a_bad_line(mitdb: Server, tmp_path: Path) -> None:
    """Everything at once: a drop, a failure, damage, a limit."""
    mitdb.faults = {
        "SHA256SUMS.txt": [Fault(status=503), Fault(drop_after=100)],
        "100.dat": [Fault(drop_after=3)],
        "100.hea": [Fault(damage=True)],
        "RECORDS": [Fault(status=429, headers={"Retry-After": "1"})],
    }

    download(MITDB, tmp_path, url=mitdb.url, connections=QUICK)

    assert verify(tmp_path).is_good


def test_download_stops_at_a_file_that_is_always_damaged(mitdb: Server, tmp_path: Path) -> None:
    """The file, what was expected and what was found are named; the rest is kept for the next run."""
    mitdb.files["100.dat"] = b"damaged!"
    found, expected = (hashlib.sha256(content).hexdigest() for content in (b"damaged!", FILES["100.dat"]))

    with pytest.raises(DatabaseError, match=rf"100.dat is damaged: its SHA-256 is {found} .*expected {expected}"):
        download(MITDB, tmp_path, url=mitdb.url, connections=Connections(n_parallel=1))

    assert mitdb.n_requests("100.dat") == 2
    assert "100.dat" not in _contents(tmp_path)
    assert "100.dat" in verify(tmp_path).missing


def test_download_ends_quickly_when_interrupted(mitdb: Server, tmp_path: Path) -> None:
    """Ctrl-C must not wait for the rest of a terabyte."""
    mitdb.files |= {f"many/{number}": b"x" for number in range(200)}
    mitdb.list_sums()

    def interrupt(stage: str, fraction: float) -> None:
        if stage == "fetching files":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(MITDB, tmp_path, url=mitdb.url, connections=QUICK, progress=interrupt)

    assert len(mitdb.requests) < 50


def test_download_refuses_a_list_that_leaves_the_folder(mitdb: Server, tmp_path: Path) -> None:
    """A server must not write where it likes."""
    mitdb.files["SHA256SUMS.txt"] += f"{'0' * 64} ../evil.txt\n".encode()
    mitdb.files["../evil.txt"] = b"evil"

    with pytest.raises(DatabaseError, match=r"'../evil.txt'; only paths inside"):
        download(MITDB, tmp_path / "db", url=mitdb.url, connections=QUICK)

    assert list(tmp_path.iterdir()) == []


def test_download_goes_by_records_where_there_are_no_checksums(server: Server, tmp_path: Path) -> None:
    """Mirrors and own servers often lack the list."""
    server.files = {**FILES, "100.qrs": b"\0\0"}

    done = download(MITDB, tmp_path, url=server.url, connections=QUICK)

    assert _contents(tmp_path) == server.files
    assert not done.has_sums
    assert download(MITDB, tmp_path, url=server.url, connections=QUICK).n_fetched == 0


def test_download_follows_records_of_folders(server: Server, tmp_path: Path) -> None:
    """RECORDS of Icentia11k names folders, each with a RECORDS of its own."""
    server.files = {
        "RECORDS": b"p00/p00000/\n\n",
        "p00/p00000/RECORDS": b"p00000_s00\nwithdrawn\n",
        "p00/p00000/p00000_s00.hea": b"p00000_s00 1 250 4\np00000_s00.dat 16 1000 12 0 0 0 0 ECG\n",
        "p00/p00000/p00000_s00.dat": bytes(8),
    }

    download(MITDB, tmp_path, url=server.url, connections=QUICK)

    assert sorted(_contents(tmp_path)) == ["RECORDS", "p00/p00000/p00000_s00.dat", "p00/p00000/p00000_s00.hea"]


def test_download_refuses_records_that_leave_the_folder(server: Server, tmp_path: Path) -> None:
    """The names in headers and RECORDS decide where files are written too."""
    server.files = {"RECORDS": b"../../evil\n"}

    with pytest.raises(DatabaseError, match="only paths inside the database's folder"):
        download(MITDB, tmp_path, url=server.url, connections=QUICK)


def test_download_says_that_the_address_is_no_database(server: Server, tmp_path: Path) -> None:
    """A version that was withdrawn, or a wrong --url."""
    with pytest.raises(DatabaseError, match=r"has neither SHA256SUMS.txt nor RECORDS, .*Check the address"):
        download(MITDB, tmp_path, url=server.url, connections=QUICK)
