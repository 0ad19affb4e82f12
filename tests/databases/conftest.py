"""A server on this machine that fails in the ways servers do, and records in the layouts of the databases."""

import hashlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import wfdb


@dataclass
class Fault:
    """What goes wrong with one request: a status, a drop or a reset after some bytes, or a wrong byte."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    resets: bool = False
    damage: bool = False


class Handler(BaseHTTPRequestHandler):
    """Answers from the files of its server."""

    server: "Server"

    def do_GET(self) -> None:
        """Answer with a file, a part of it, or what goes wrong this time."""
        name = self.path.removeprefix("/db/1.0.0/")
        asked = self.headers.get("Range")
        self.server.requests.append((name, asked))
        faults = self.server.faults.get(name, [])
        fault = faults.pop(0) if faults else Fault()
        if fault.status is not None or name not in self.server.files:
            self.reply(fault.status or 404, fault.headers, b"")
            return
        content = self.server.files[name]
        if fault.damage:
            content = bytes([content[0] ^ 1]) + content[1:]
        match = re.fullmatch(r"bytes=(\d+)-", asked or "")
        if match is None or self.server.ignores_range:
            self.reply(200, {}, content, fault.drop_after)
            if fault.resets:
                # Closing with a linger of zero seconds sends a reset instead of an end.
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.request.close()
        elif int(match[1]) >= len(content):
            self.reply(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
        else:
            start = int(match[1]) + self.server.range_shift
            total = "*" if self.server.hides_total else str(len(content))
            headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{total}"}
            self.reply(206, headers, content[start:], fault.drop_after)

    def reply(self, status: int, headers: dict[str, str], body: bytes, drop_after: int | None = None) -> None:
        """Send an answer, or only its first bytes."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if not self.server.hides_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:drop_after])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Files below /db/1.0.0/, faults by file name in the order of requests, and the requests that came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.ignores_range = False
        self.hides_length = False
        self.hides_total = False
        self.range_shift = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a connection that was reset cannot be closed properly."""

    @property
    def url(self) -> str:
        """Address of the folder with the files."""
        return f"http://127.0.0.1:{self.server_port}/db/1.0.0/"

    def n_requests(self, name: str) -> int:
        """Count how often a file was asked for."""
        return [asked for asked, _ in self.requests].count(name)

    def list_sums(self) -> None:
        """Write the list of checksums for the files that are there now."""
        sums = [f"{hashlib.sha256(content).hexdigest()} {name}\n" for name, content in self.files.items()]
        self.files["SHA256SUMS.txt"] = "".join(sums).encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Return a running server without files."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


WriteRecord = Callable[..., Path]


@pytest.fixture
def write_record(tmp_path: Path) -> WriteRecord:
    """Return a function that writes a WFDB record below the temporary folder, and returns its header."""

    def write(
        name: str,
        *,
        fs: float = 250.0,
        leads: Sequence[str] = ("ECG",),
        n_samples: int = 500,
        fmt: str = "212",
        annotator: str | None = None,
        symbols: Sequence[str] = (),
        notes: Sequence[str] = (),
        comments: Sequence[str] = (),
    ) -> Path:
        header = tmp_path / f"{name}.hea"
        header.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(len(name))
        digital = rng.integers(-900, 900, (n_samples, len(leads)))
        wfdb.wrsamp(
            header.stem, fs=fs, units=["mV"] * len(leads), sig_name=list(leads), d_signal=digital,
            fmt=[fmt] * len(leads), adc_gain=[200.0] * len(leads), baseline=[0] * len(leads),
            comments=list(comments), write_dir=str(header.parent),
        )  # fmt: skip
        if annotator:
            samples = np.arange(1, len(symbols) + 1) * 10
            aux = list(notes) or None
            wfdb.wrann(
                header.stem, annotator, samples, list(symbols), aux_note=aux, fs=fs, write_dir=str(header.parent)
            )
        return header

    return write
