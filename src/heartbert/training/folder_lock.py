"""One process at a time writes a corpus or a run: a lock that the system takes back however its holder ends."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from heartbert.errors import ConfigError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks: two writers are not noticed there
    fcntl = None  # type: ignore[assignment]


@contextmanager
def writing_alone(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder that is being written, and refuse where another process holds it.

    A record lock of POSIX on a file beside the folder: it ends with its process, so one that was killed leaves the
    file behind, and no lock. A file that merely exists would have to be removed by hand then. It also holds between
    machines that share a folder over NFS.

    Parameters
    ----------
    folder : Path
        The corpus, or the run.

    Raises
    ------
    ConfigError
        If another process is writing it; the message says which.
    """
    path = folder.parent / f".{folder.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(descriptor, folder)
            if not _is(path, descriptor):
                continue  # its last holder removed it between the two calls: take the new one
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    if fcntl is None:  # pragma: no cover
        return
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 200).decode(errors="replace") or "another process"
        raise ConfigError(
            f"'{folder}' is being written by {holder}; one process at a time may. Wait until it has ended, or "
            "give another folder."
        ) from error


def _is(path: Path, descriptor: int) -> bool:
    """Return True if a path leads to the file that a descriptor has open."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False
