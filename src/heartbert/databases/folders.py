"""A folder of recordings: which database it is, which recordings count, and who they show."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from heartbert.databases.catalogue import DATABASES, Database
from heartbert.databases.subjects import PTB_XL_TABLE, read_patients, subject_of_recording
from heartbert.errors import ConfigError, HeartbertError, RecordFormatError
from heartbert.records import read_record
from heartbert.records.wfdb_header import segment_names

_SUFFIXES = frozenset({".hea", ".edf", ".bdf"})
_VERSION = re.compile(r"-?v?\d+(?:\.\d+)+")
_PTB_XL_NAME = re.compile(r"(\d{5})_(hr|lr|filtered)")
# Which copy of a PTB-XL recording is taken: 500 Hz, 100 Hz, or filtered and without amplitude.
_PTB_XL_ORDER = {"hr": 0, "lr": 1, "filtered": 2}


@dataclass(frozen=True)
class DatabaseFolder:
    """Recordings below a folder.

    Attributes
    ----------
    path : Path
    database : Database or None
        None for recordings of no known database.
    patients : mapping of str to str
        PTB-XL only: person by number of the recording.
    """

    path: Path
    database: Database | None
    patients: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Published slug, else the folder's name."""
        return self.database.slug if self.database else self.path.resolve().name

    def records(self) -> list[Path]:
        """List the recordings, sorted, each once although a database may hold copies of it.

        A WFDB record in segments is one recording: they and the header of their layout are left out.

        Raises
        ------
        RecordFormatError
            If there is none.
        """
        found = [Path(entry) for entry in _files(self.path) if Path(entry).suffix.lower() in _SUFFIXES]
        if not found:
            raise RecordFormatError(f"'{self.path}' holds no recording (.hea, .edf, .bdf); give a folder that does.")
        if self.database is None:
            segments = {path.parent / f"{name}.hea" for path in found for name in self.segments_of(path)}
            return sorted(set(found) - segments)
        chosen: dict[str, Path] = {}
        for path in sorted(found, key=lambda path: (self._rank(path), path)):
            chosen.setdefault(self.recording_of(path), path)
        return sorted(chosen.values())

    def recording_of(self, path: Path) -> str:
        """Name the recording that a file holds; copies of one recording have the same name."""
        slug = self.database.slug if self.database else None
        if slug == "ptb-xl" and (match := _PTB_XL_NAME.fullmatch(path.stem)):
            return match[1]
        return path.stem.removeprefix("x_") if slug == "mitdb" else path.stem

    def segments_of(self, path: Path) -> list[str]:
        """Name the segments of a WFDB record that has any; no known database holds such a record.

        A header that cannot be read names none: who reads the recording is told what is wrong with it.
        """
        if self.database is not None or path.suffix.lower() != ".hea":
            return []
        try:
            return segment_names(path)
        except (HeartbertError, OSError):
            return []

    def subject_of(self, path: Path) -> str:
        """Name the person whom a recording shows.

        Two recordings have the same name exactly if they are known to show the same person, also across databases. In
        a folder of no known database, it is what the file says of the person, else the record's name.

        Raises
        ------
        RecordFormatError
            If the file must be read for it and cannot be.
        """
        if self.database is None:
            return read_record(path).subject_id
        return subject_of_recording(self.database.slug, self.recording_of(path), self.patients)

    def _rank(self, path: Path) -> int:
        """Order copies of one recording; the lowest is taken."""
        if match := _PTB_XL_NAME.fullmatch(path.stem):
            return _PTB_XL_ORDER[match[2]]
        inside = path.relative_to(self.path).parts[:-1]
        return int(path.stem.startswith("x_") or "validation" in inside)


def open_folder(folder: str | Path) -> DatabaseFolder:
    """Find out which database a folder is and who it shows.

    Parameters
    ----------
    folder : str or Path
        As published or as unpacked by hand; any other folder of recordings is accepted too.

    Raises
    ------
    ConfigError
        If it is no folder, or holds several databases.
    DatabaseError
        If its table of patients is damaged.

    Examples
    --------
    >>> database = open_folder("mitdb")  # doctest: +SKIP
    >>> database.subject_of(Path("mitdb/202.hea"))  # doctest: +SKIP
    'mitdb/201'
    """
    path = Path(folder)
    database = identify(path)
    table = path / PTB_XL_TABLE
    is_ptb_xl = database is not None and database.slug == "ptb-xl" and table.is_file()
    return DatabaseFolder(path, database, read_patients(table) if is_ptb_xl else {})


def identify(folder: str | Path) -> Database | None:
    """Recognise a database by its recordings, else by the name of its folder.

    Returns
    -------
    database : Database or None
        None for recordings of no known database.

    Raises
    ------
    ConfigError
        If it is no folder, or holds recordings of several databases.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ConfigError(f"'{path}' is no folder; a folder of recordings is needed. Check the path.")
    by_name = _named(path)
    if (path / PTB_XL_TABLE).is_file():
        return next(database for database in DATABASES if database.slug == "ptb-xl")
    parts = [path, *sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))]
    headers = [_first_header(part, deep=part != path) for part in parts]
    found = [_recognised(header) for header in headers if header is not None]
    known = {database.slug: database for database in found if database is not None}
    mixed = None in found and by_name is None
    if len(known) > 1 or (known and mixed):
        names = [*known, "others"] if None in found else [*known]
        raise ConfigError(
            f"'{path}' holds recordings of {' and '.join(names)}; people are told apart within one database. "
            "Give the folder of each."
        )
    return next(iter(known.values()), by_name)


def _named(path: Path) -> Database | None:
    """Return the database that a folder, or the folder of a version, is named after."""
    resolved = path.resolve()
    name = resolved.parent.name if _VERSION.fullmatch(resolved.name) else resolved.name
    name = re.sub(rf"{_VERSION.pattern}$", "", name.casefold())
    return next((one for one in DATABASES if name in (one.slug, *one.also_named)), None)


def _recognised(header: Path) -> Database | None:
    with header.open("rb") as file:
        first_line = file.readline(200).decode("latin-1").strip()
    words = " ".join(first_line.split())
    return next((database for database in DATABASES if re.fullmatch(database.first_line, words)), None)


def _first_header(path: Path, *, deep: bool) -> Path | None:
    """Return one header of a folder, or of the folders below too; the same one every time."""
    for folder, folders, names in os.walk(path):
        folders.sort()
        headers = sorted(name for name in names if name.endswith(".hea") and not name.startswith("."))
        if headers:
            return Path(folder, headers[0])
        if not deep:
            return None
    return None


def _files(folder: Path) -> Iterator[str]:
    """Yield the files below a folder, without hidden ones: those are unfinished."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (str(Path(parent, name)) for name in names if not name.startswith("."))
