"""One file from a server, whatever the line does: resumed, retried, and checked before it gets its name."""

import email.utils
import http.client
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

from heartbert.errors import ConfigError, DatabaseError, FileNotOnServerError
from heartbert.files import sha256_of

_BLOCK_BYTES = 1 << 18
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


def _pause(stopped: threading.Event, seconds: float) -> None:
    stopped.wait(seconds)


@dataclass(frozen=True)
class Connections:
    """How patiently a server is asked.

    Attributes
    ----------
    n_parallel : int
        Files fetched at the same time.
    n_tries : int
        Tries in a row that bring nothing new, before a file is given up.
    first_wait_s, longest_wait_s : float
        Pause after the first of them, in seconds; it doubles each time up to the longest, which also limits what a
        server may ask for.
    timeout_s : float
        Seconds of silence after which a connection counts as lost.
    pause : callable
        Told the event that ends all work, and the seconds to wait.
    """

    n_parallel: int = 4
    n_tries: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    timeout_s: float = 60.0
    pause: Callable[[threading.Event, float], None] = _pause


@dataclass(frozen=True)
class Source:
    """A folder on a server.

    Attributes
    ----------
    url : str
        Address that ends in a slash.
    connections : Connections
    stopped : Event
        Set to make every transfer end at its next block.
    """

    url: str
    connections: Connections = field(default_factory=Connections)
    stopped: threading.Event = field(default_factory=threading.Event)

    def address(self, name: str) -> str:
        """Return the address of a file."""
        return self.url + urllib.parse.quote(name)


class _LostError(Exception):
    """The connection or the server failed in a way that may pass."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def checked_url(url: str) -> str:
    """Return an address with a slash at its end.

    Raises
    ------
    ConfigError
        If it is not of http or https.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ConfigError(
            f"the address is '{url}'; it must begin with https:// or http:// and name a server. Correct --url."
        )
    return url.rstrip("/") + "/"


def fetch_file(
    source: Source,
    name: str,
    target: Path,
    expected: str | None = None,
    tell: Callable[[float], None] = lambda _: None,
) -> int:
    """Fetch one file; it gets its name when it is complete and its checksum is right.

    What an earlier call left in ``NAME.part`` is continued where the server allows it. A file whose checksum is wrong
    is fetched once more from the start.

    Parameters
    ----------
    source : Source
    name : str
        Path below the address.
    target : Path
        The file to write.
    expected : str, optional
        SHA-256 in lower case.
    tell : callable
        Told the fraction of the file that is there.

    Returns
    -------
    n_bytes : int

    Raises
    ------
    FileNotOnServerError
        If the server has no such file.
    DatabaseError
        If it is damaged twice, or the server does not give it after all tries.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    if expected and part.is_file() and sha256_of(part) == expected:
        return _finish(part, target)
    found: list[str] = []
    while len(found) < 2:
        _complete(source, name, part, tell)
        found.append(sha256_of(part) if expected else "")
        if found[-1] == (expected or ""):
            return _finish(part, target)
        part.unlink()
    raise DatabaseError(
        f"{name} is damaged: its SHA-256 is {found[-1]} (before that {found[0]}), expected {expected}; it was fetched "
        "twice and not kept. Try again later, or another --url"
    )


def _finish(part: Path, target: Path) -> int:
    n_bytes = part.stat().st_size
    part.replace(target)
    return n_bytes


def _complete(source: Source, name: str, part: Path, tell: Callable[[float], None]) -> None:
    """Fetch what is missing of a file, with as many connections as it takes while each brings something."""
    rules, n_failed = source.connections, 0
    while True:
        before = _size(part)
        try:
            return _receive(source, name, part, tell)
        except _LostError as lost:
            n_failed = 1 if _size(part) > before else n_failed + 1
            if n_failed >= rules.n_tries:
                raise DatabaseError(
                    f"{source.address(name)} could not be fetched: {lost}; {n_failed} tries in a row brought nothing "
                    f"new. {_size(part):,} bytes are kept; run the same command again to continue"
                ) from lost
            wait_s = rules.first_wait_s * 2 ** (n_failed - 1) if lost.wait_s is None else lost.wait_s
        rules.pause(source.stopped, min(wait_s, rules.longest_wait_s))
        _check_stopped(source)


def _receive(source: Source, name: str, part: Path, tell: Callable[[float], None]) -> None:
    """Append to the part what one connection gives; returns if the file is complete."""
    size = _size(part)
    response = _open(source, name, size)
    if response is None:
        # Nothing lies beyond the part, and no checksum says that it is whole: start again.
        part.unlink()
        raise _LostError("the server has less of it than was fetched before", 0.0)
    with response:
        start, total = _extent(response, size, source.address(name))
        with part.open("ab" if start else "wb") as file:
            n_received = start
            while block := _read(response):
                file.write(block)
                n_received += len(block)
                tell(n_received / total if total else 0.0)
                _check_stopped(source)
        if total is not None and n_received < total:
            raise _LostError(f"the connection ended after {n_received:,} of {total:,} bytes")


def _open(source: Source, name: str, size: int) -> http.client.HTTPResponse | None:
    """Ask for a file from byte `size` on; None if the server has no byte there."""
    headers = {"User-Agent": f"heartbert/{version('heartbert')}", "Accept-Encoding": "identity"}
    if size:
        headers["Range"] = f"bytes={size}-"
    request = urllib.request.Request(source.address(name), headers=headers)
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=source.connections.timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            if size and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
            raise _refused(error, source.address(name)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _LostError(str(getattr(error, "reason", None) or error or type(error).__name__)) from error
    return response


def _refused(error: urllib.error.HTTPError, address: str) -> Exception:
    """Return what a status that is no success means."""
    reason = f"the server answered {error.code} {error.reason}"
    if error.code in _AGAIN or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _LostError(reason, _retry_after_s(error.headers.get("Retry-After")))
    if error.code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return FileNotOnServerError(
            f"{address}: {reason}; the file is not there. Check the address, or give another with --url"
        )
    return DatabaseError(f"{address}: {reason}; only open files are fetched. Check the address and your access")


def _retry_after_s(value: str | None) -> float | None:
    """Return the pause that a server asks for, in seconds or until a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _extent(response: http.client.HTTPResponse, size: int, address: str) -> tuple[int, int | None]:
    """Return from which byte on the answer comes, and the size of the whole file if it is told."""
    length = response.headers.get("Content-Length", "")
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        return 0, int(length) if length.isdecimal() else None
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or match[1] is None or int(match[1]) != size:
        raise DatabaseError(
            f"{address}: bytes from {size} on were asked for, and the server sent "
            f"'{response.headers.get('Content-Range')}'; it cannot be continued. Delete the .part file and try again"
        )
    return size, int(match[2]) if match[2] != "*" else None


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _LostError(str(error) or type(error).__name__) from error


def _check_stopped(source: Source) -> None:
    if source.stopped.is_set():
        raise DatabaseError("the download was stopped; run the same command again to continue")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
