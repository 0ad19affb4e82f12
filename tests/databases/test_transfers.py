"""A file arrives whole, or not at all, whatever the server does."""

import email.utils
import hashlib
import re
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from heartbert.databases.transfers import Connections, Source, checked_url, fetch_file
from heartbert.errors import ConfigError, DatabaseError, FileNotOnServerError
from tests.databases.conftest import Fault, Server

CONTENT = bytes(range(256)) * 4000
SUM = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Line:
    """A source on the server, and the pauses that were made instead of waiting."""

    source: Source
    pauses: list[float] = field(default_factory=list)


@pytest.fixture
def line(server: Server) -> Line:
    """Return a source whose pauses are noted and not made, with one file."""
    server.files["100.dat"] = CONTENT
    pauses: list[float] = []
    connections = Connections(n_tries=3, timeout_s=10.0, pause=lambda _, seconds: pauses.append(seconds))
    return Line(Source(server.url, connections), pauses)


def test_fetch_file_writes_the_file_and_leaves_nothing_beside_it(server: Server, line: Line, tmp_path: Path) -> None:
    """The ordinary case, into a folder that is not there yet."""
    told: list[float] = []

    n_bytes = fetch_file(line.source, "100.dat", tmp_path / "new" / "100.dat", SUM, told.append)

    assert n_bytes == len(CONTENT)
    assert (tmp_path / "new" / "100.dat").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["100.dat"]
    assert told[-1] == 1.0
    assert told == sorted(told)


def test_fetch_file_continues_after_a_drop(server: Server, line: Line, tmp_path: Path) -> None:
    """A long file on a poor line never arrives otherwise."""
    server.faults["100.dat"] = [Fault(drop_after=400_000), Fault(drop_after=100_000)]

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert (tmp_path / "100.dat").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=400000-", "bytes=500000-"]
    assert line.pauses == [1.0, 1.0]


def test_fetch_file_survives_a_reset(server: Server, line: Line, tmp_path: Path) -> None:
    """Some routers end a connection with a reset, and what was on its way is lost."""
    server.faults["100.dat"] = [Fault(drop_after=400_000, resets=True)]

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert (tmp_path / "100.dat").read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_fetch_file_continues_what_an_earlier_call_left(server: Server, line: Line, tmp_path: Path) -> None:
    """The same command is run again after an interruption."""
    (tmp_path / "100.dat.part").write_bytes(CONTENT[:1000])

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert server.requests == [("100.dat", "bytes=1000-")]
    assert (tmp_path / "100.dat").read_bytes() == CONTENT


def test_fetch_file_asks_for_nothing_where_the_part_is_whole(server: Server, line: Line, tmp_path: Path) -> None:
    """It was interrupted between the last byte and the name."""
    (tmp_path / "100.dat.part").write_bytes(CONTENT)

    assert fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM) == len(CONTENT)
    assert server.requests == []


def test_fetch_file_continues_without_a_stated_total(server: Server, line: Line, tmp_path: Path) -> None:
    """Content-Range may leave the size open."""
    server.hides_total = True
    (tmp_path / "100.dat.part").write_bytes(CONTENT[:1000])

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert (tmp_path / "100.dat").read_bytes() == CONTENT


def test_fetch_file_starts_again_where_the_server_ignores_range(server: Server, line: Line, tmp_path: Path) -> None:
    """The whole file appended to its half is damage."""
    server.ignores_range = True
    (tmp_path / "100.dat.part").write_bytes(b"old")
    server.faults["100.dat"] = [Fault(drop_after=400_000)]

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert (tmp_path / "100.dat").read_bytes() == CONTENT


def test_fetch_file_starts_again_where_the_part_is_too_long(server: Server, line: Line, tmp_path: Path) -> None:
    """The file has changed since; nothing tells but the server's refusal."""
    (tmp_path / "100.dat.part").write_bytes(CONTENT + b"more")

    fetch_file(line.source, "100.dat", tmp_path / "100.dat")

    assert (tmp_path / "100.dat").read_bytes() == CONTENT


def test_fetch_file_refuses_bytes_from_elsewhere(server: Server, line: Line, tmp_path: Path) -> None:
    """They would be appended in the wrong place."""
    server.range_shift = 1
    (tmp_path / "100.dat.part").write_bytes(CONTENT[:1000])

    with pytest.raises(DatabaseError, match=r"bytes from 1000 on were asked for, and the server sent 'bytes 1001-"):
        fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)


def test_fetch_file_takes_a_file_of_unknown_length(server: Server, line: Line, tmp_path: Path) -> None:
    """The checksum tells whether it is whole."""
    server.hides_length = True

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert (tmp_path / "100.dat").read_bytes() == CONTENT


def test_fetch_file_fetches_a_damaged_file_once_more(server: Server, line: Line, tmp_path: Path) -> None:
    """Damage on the way happens; the second copy is usually good."""
    server.faults["100.dat"] = [Fault(damage=True)]

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert (tmp_path / "100.dat").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, None]


def test_fetch_file_keeps_no_file_that_is_damaged_twice(server: Server, line: Line, tmp_path: Path) -> None:
    """Then it is damaged at the source, and the old file is worth more."""
    (tmp_path / "100.dat").write_bytes(b"old")
    found = hashlib.sha256(bytes([CONTENT[0] ^ 1]) + CONTENT[1:]).hexdigest()
    server.faults["100.dat"] = [Fault(damage=True), Fault(damage=True)]

    with pytest.raises(DatabaseError, match=rf"100.dat is damaged: its SHA-256 is {found} .*, expected {SUM}"):
        fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("100.dat", b"old")]


def test_fetch_file_gives_up_after_drops_without_progress(server: Server, line: Line, tmp_path: Path) -> None:
    """A line that brings nothing must not keep a program for ever."""
    server.faults["100.dat"] = [Fault(drop_after=1000)] + [Fault(drop_after=0)] * 9

    with pytest.raises(DatabaseError, match=r"3 tries in a row brought nothing new. 1,000 bytes are kept"):
        fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert line.pauses == [1.0, 2.0]
    assert (tmp_path / "100.dat.part").stat().st_size == 1000


def test_fetch_file_says_at_once_that_a_file_is_not_there(server: Server, line: Line, tmp_path: Path) -> None:
    """A wrong address does not get better by waiting."""
    with pytest.raises(FileNotOnServerError, match=r"101.dat: the server answered 404 .* give another with --url"):
        fetch_file(line.source, "101.dat", tmp_path / "101.dat", SUM)

    assert line.pauses == []


def test_fetch_file_says_at_once_that_it_is_not_allowed(server: Server, line: Line, tmp_path: Path) -> None:
    """Credentialed databases are no open ones."""
    server.faults["100.dat"] = [Fault(status=403)]

    with pytest.raises(DatabaseError, match=r"answered 403 .*only open files are fetched"):
        fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)


def test_fetch_file_waits_longer_each_time_while_the_server_fails(server: Server, line: Line, tmp_path: Path) -> None:
    """A server that is overloaded is not helped by impatience."""
    server.faults["100.dat"] = [Fault(status=500), Fault(status=503)]

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert line.pauses == [1.0, 2.0]


def test_fetch_file_gives_up_where_the_server_goes_on_failing(server: Server, line: Line, tmp_path: Path) -> None:
    """The message says what the server said."""
    server.faults["100.dat"] = [Fault(status=500)] * 9

    with pytest.raises(DatabaseError, match=r"the server answered 500 .*; 3 tries in a row"):
        fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)


@pytest.mark.parametrize(("value", "low", "high"), [("7", 7, 7), ("9999", 120, 120), ("soon", 1, 1)])
def test_fetch_file_waits_as_long_as_it_is_asked_to(server, line, tmp_path, value, low, high) -> None:
    """PhysioNet limits how often it may be asked; an hour is too long, and nonsense counts as nothing."""
    server.faults["100.dat"] = [Fault(status=429, headers={"Retry-After": value})]

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert low <= line.pauses[0] <= high


def test_fetch_file_waits_until_a_date(server: Server, line: Line, tmp_path: Path) -> None:
    """Retry-After may be a date; one that has passed means now."""
    later = email.utils.formatdate(time.time() + 50, usegmt=True)
    passed = email.utils.formatdate(0, usegmt=True)
    faults = [Fault(status=503, headers={"Retry-After": date}) for date in (later, passed)]
    server.faults["100.dat"] = faults

    fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM)

    assert 0 < line.pauses[0] <= 50
    assert line.pauses[1] == 0.0


def test_fetch_file_says_that_no_server_is_there(tmp_path: Path) -> None:
    """Without a network, the message must not be a traceback."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    source = Source(f"http://127.0.0.1:{port}/", Connections(n_tries=2, pause=lambda *_: None))

    with pytest.raises(DatabaseError, match=re.escape(f"http://127.0.0.1:{port}/a could not be fetched: ")):
        fetch_file(source, "a", tmp_path / "a")


def test_fetch_file_ends_when_it_is_stopped(server: Server, line: Line, tmp_path: Path) -> None:
    """One file that fails ends the others; what they have is kept."""

    def stop(_: float) -> None:
        line.source.stopped.set()

    with pytest.raises(DatabaseError, match="was stopped; run the same command again to continue"):
        fetch_file(line.source, "100.dat", tmp_path / "100.dat", SUM, stop)

    assert (tmp_path / "100.dat.part").stat().st_size > 0


def test_connections_pause_ends_when_all_work_is_stopped() -> None:
    """An interruption must not last as long as the longest pause."""
    source = Source("http://127.0.0.1/")
    source.stopped.set()
    started = time.monotonic()

    source.connections.pause(source.stopped, 60.0)

    assert time.monotonic() - started < 30


@pytest.mark.parametrize("url", ["file:///etc/", "ftp://host/x", "physionet.org/files", "https://", ""])
def test_checked_url_refuses_what_is_no_web_address(url: str) -> None:
    """A mistyped address would otherwise read local files, or fail late."""
    with pytest.raises(ConfigError, match=r"must begin with https:// or http:// and name a server"):
        checked_url(url)


def test_addresses_are_quoted() -> None:
    """Names with spaces and signs exist."""
    source = Source(checked_url("https://example.org/db"))

    assert source.address("a b/c#1.hea") == "https://example.org/db/a%20b/c%231.hea"
