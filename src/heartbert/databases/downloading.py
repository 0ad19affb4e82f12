"""A whole database from PhysioNet, or a part of it: listed, fetched side by side, checked."""

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from heartbert.databases.catalogue import Database
from heartbert.databases.checksums import SUMS_FILE, checked_name, place_of, read_sums, select, write_sums
from heartbert.databases.transfers import Connections, Source, checked_url, fetch_file
from heartbert.errors import DatabaseError, FileNotOnServerError
from heartbert.files import sha256_of
from heartbert.progress import Progress, no_progress

# RECORDS may name folders with a RECORDS of their own, as those of icentia11k do.
_DEEPEST = 4
# Files of a database beside its recordings.
_DOCUMENTS = ("RECORDS", "ANNOTATORS")


@dataclass(frozen=True)
class Downloaded:
    """What a download did.

    Attributes
    ----------
    folder : Path
    n_fetched, n_present : int
        Files that were fetched, and that were there and right already.
    n_bytes : int
        Of the files that were fetched.
    has_sums : bool
        False where the source has no checksums, so that only the length of files was checked.
    """

    folder: Path
    n_fetched: int
    n_present: int
    n_bytes: int
    has_sums: bool


def download(
    database: Database,
    folder: Path,
    *,
    url: str | None = None,
    only: str | None = None,
    connections: Connections | None = None,
    progress: Progress = no_progress,
) -> Downloaded:
    """Fetch a database into a folder; files that are there and right are not fetched again.

    Parameters
    ----------
    database : Database
    folder : Path
        Gets the files in their published layout, and ``SHA256SUMS.txt`` of those that were asked for, now or before.
    url : str, optional
        Address of a mirror of this version's folder; PhysioNet by default.
    only : str, optional
        Pattern such as ``*.hea`` or ``p00/p00000/*`` that chooses files by path or name.
    connections : Connections, optional
    progress : callable
        Told the stage and the fraction of files done.

    Returns
    -------
    downloaded : Downloaded

    Raises
    ------
    ConfigError
        If the address is none, or no file matches.
    DatabaseError
        If a file is missing on the server, damaged twice, or does not come; what was fetched is kept.
    """
    source = Source(checked_url(url or database.url), connections or Connections())
    progress("listing files", 0.0)
    listed, has_sums = _list_files(source)
    chosen = select(listed, only)
    folder.mkdir(parents=True, exist_ok=True)
    if has_sums:
        before = read_sums(folder / SUMS_FILE) if (folder / SUMS_FILE).is_file() else {}
        write_sums(folder / SUMS_FILE, before | {name: str(listed[name]) for name in chosen})
    sizes = _fetch_all(source, folder, {name: listed[name] for name in chosen}, progress)
    fetched = [size for size in sizes if size is not None]
    return Downloaded(folder, len(fetched), len(sizes) - len(fetched), sum(fetched), has_sums)


@dataclass
class _Tally:
    """Fraction done of many files at once, told from several threads."""

    n_files: int
    progress: Progress
    done: float = 0.0
    current: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def telling(self, name: str) -> Callable[[float], None]:
        """Return what a transfer tells the fraction of its file."""

        def tell(fraction: float) -> None:
            with self.lock:
                self.current[name] = fraction
                self.progress("fetching files", (self.done + sum(self.current.values())) / self.n_files)

        return tell

    def finish(self, name: str) -> None:
        """Count a file as done."""
        with self.lock:
            self.current.pop(name, None)
            self.done += 1
            self.progress("fetching files", self.done / self.n_files)


def _fetch_all(source: Source, folder: Path, sums: Mapping[str, str | None], progress: Progress) -> list[int | None]:
    """Fetch files side by side; returns the size of each that was fetched, None for those that were there."""
    tally, lock, names = _Tally(len(sums), progress), threading.Lock(), iter(sums)

    def remaining() -> Iterator[str]:
        while not source.stopped.is_set():
            with lock:
                name = next(names, None)
            if name is None:
                return
            yield name

    def work() -> list[int | None]:
        sizes: list[int | None] = []
        for name in remaining():
            sizes.append(_fetch_missing(source, name, place_of(folder, name), sums[name], tally))
            tally.finish(name)
        return sizes

    with ThreadPoolExecutor(source.connections.n_parallel) as executor:
        workers = [executor.submit(work) for _ in range(source.connections.n_parallel)]
        try:
            return [size for worker in as_completed(workers) for size in worker.result()]
        except BaseException:  # an interruption by the user too: the others must end
            source.stopped.set()
            raise


def _fetch_missing(source: Source, name: str, target: Path, expected: str | None, tally: _Tally) -> int | None:
    if target.is_file() and (expected is None or sha256_of(target) == expected):
        return None
    return fetch_file(source, name, target, expected, tally.telling(name))


def _list_files(source: Source) -> tuple[Mapping[str, str | None], bool]:
    """Return the files of a database with their checksums, and whether there are checksums."""
    with tempfile.TemporaryDirectory() as temporary:
        listing = Path(temporary, SUMS_FILE)
        try:
            fetch_file(source, SUMS_FILE, listing)
        except FileNotOnServerError:
            names = dict.fromkeys(_names_from_records(source))
            return names, False
        return {name: found for name, found in read_sums(listing).items() if name != SUMS_FILE}, True


def _names_from_records(source: Source) -> Iterator[str]:
    """Yield the files of a database that has no list of checksums: those of each recording in RECORDS."""
    texts = {name: _read_text(source, name) for name in _DOCUMENTS}
    if texts["RECORDS"] is None:
        raise DatabaseError(
            f"{source.url} has neither {SUMS_FILE} nor RECORDS, so its files are unknown; one of them is needed. "
            "Check the address"
        )
    yield from (name for name, text in texts.items() if text is not None)
    annotators = [line.split()[0] for line in (texts["ANNOTATORS"] or "").splitlines() if line.split()]
    for record in _records(source, ""):
        header = _read_text(source, f"{record}.hea")
        if header is not None:
            yield f"{record}.hea"
            yield from _signal_files(record, header)
        yield from (name for name in (f"{record}.{each}" for each in annotators) if _exists(source, name))


def _records(source: Source, folder: str, depth: int = 0) -> Iterator[str]:
    """Yield the names of recordings in RECORDS, and in those of the folders it names."""
    text = _read_text(source, f"{folder}RECORDS") if depth <= _DEEPEST else None
    for line in (text or "").splitlines():
        if not line.strip():
            continue
        name = checked_name(folder + line.strip(), f"{folder}RECORDS")
        if line.strip().endswith("/"):
            yield from _records(source, f"{name}/", depth + 1)
        else:
            yield name


def _signal_files(record: str, header: str) -> Iterator[str]:
    """Yield the signal files that a header names, each once."""
    lines = [line.split() for line in header.splitlines() if line.split() and not line.lstrip().startswith("#")]
    for name in dict.fromkeys(words[0] for words in lines[1:] if words[0] != "~"):
        yield checked_name(str(PurePosixPath(record).parent / name), f"{record}.hea")


def _read_text(source: Source, name: str) -> str | None:
    """Return the text of a small file, None if the server has none of that name."""
    with tempfile.TemporaryDirectory() as temporary:
        try:
            fetch_file(source, name, Path(temporary, "text"))
        except FileNotOnServerError:
            return None
        return Path(temporary, "text").read_text(encoding="utf-8", errors="replace")


def _exists(source: Source, name: str) -> bool:
    return _read_text(source, name) is not None
