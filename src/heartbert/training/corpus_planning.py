"""Folders of recordings -> plan of a corpus: each recording once, whom it shows, and what it is used for."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from heartbert.databases import DATABASES, DatabaseFolder, open_folder
from heartbert.databases.subjects import subject_of_recording
from heartbert.errors import ConfigError, HeartbertError


@dataclass(frozen=True)
class Recording:
    """One recording of a corpus.

    Attributes
    ----------
    path : Path
        As `read_record` takes it.
    database : str
        Published slug, or name of the folder.
    subject_id : str
        The person, as `databases.open_folder` names them.
    held_out : bool
        True for validation: encoded, but nothing is fitted on it.
    n_bytes, changed_ns : int
        Size and last change of its files, those of its segments too: a recording that changed is read again.
    problem : str
        Why it cannot be read, where that is known already.
    """

    path: Path
    database: str
    subject_id: str
    held_out: bool
    n_bytes: int
    changed_ns: int
    problem: str = ""

    @property
    def name(self) -> str:
        """Database and record, for example ``"mitdb/100"``."""
        return f"{self.database}/{self.path.stem}"


@dataclass(frozen=True)
class CorpusPlan:
    """What goes into a corpus.

    Attributes
    ----------
    recordings : tuple of Recording
        In the order of the corpus, those held out among them.
    excluded, held_out : tuple of str
        Names as they were given, sorted.
    excluded_recordings : tuple of str
        Database and record of all that is left out: every recording of the persons that are named.
    same_person : tuple of str
        Recordings excluded or held out that no name means: another recording of the same person is named.
    unmatched : tuple of str
        Names given that mean no recording and no person here.
    strict : bool
        True if a recording that cannot be read ends the build.
    own_data : bool
        True if whoever plans it says that weights trained on the recordings of no known database may be passed on.
    """

    recordings: tuple[Recording, ...]
    excluded: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    excluded_recordings: tuple[str, ...] = ()
    same_person: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    strict: bool = False
    own_data: bool = False


def plan_corpus(
    folders: Iterable[Path],
    *,
    excluded: Iterable[str] = (),
    held_out: Iterable[str] = (),
    strict: bool = False,
    own_data: bool = False,
) -> CorpusPlan:
    """Plan a corpus of all recordings below some folders, each of which counts once.

    Parameters
    ----------
    folders : iterable of Path
        Each of one database, or of recordings of none that is known.
    excluded, held_out : iterable of str
        Recordings (``"202"``, ``"mitdb/202"``) or persons (``"mitdb/201"``, ``"ptb-xl/patient-123"``) that are left
        out altogether, or kept for validation. A recording stands for its person: all recordings of that person
        follow it, in other databases too. Who is both is excluded.
    strict : bool
        Refuse names that mean nothing here, and recordings that cannot be read.
    own_data : bool
        Say that weights trained on the recordings of no known database may be passed on; whether they may is not known
        otherwise.

    Raises
    ------
    RecordFormatError
        If a folder holds no recording.
    ConfigError
        If a path is no folder or one of several databases, or, if strict, a name means nothing.
    """
    excluded, held_out = tuple(sorted(set(excluded))), tuple(sorted(set(held_out)))
    names_of: dict[Path, frozenset[str]] = {}
    found: list[Recording] = []
    databases = [open_folder(folder) for folder in folders]
    for recording, names in _recordings(databases):
        if recording.path.resolve() not in names_of:
            names_of[recording.path.resolve()] = names
            found.append(recording)
    named = _persons_by_name([(one.subject_id, names) for one, names in zip(found, names_of.values(), strict=True)])
    meant = {name: _persons(name, named, databases) for name in sorted({*excluded, *held_out})}
    persons_excluded, persons_held_out = (
        {person for name in names for person in meant[name]} for names in (excluded, held_out)
    )
    unmatched = tuple(name for name, persons in meant.items() if not persons)
    if strict and unmatched:
        more = f" (and {len(unmatched) - 1} more)" if len(unmatched) > 1 else ""
        raise ConfigError(
            f"'{unmatched[0]}'{more}, to be excluded or held out, is no recording and no person of the folders given. "
            "Correct the name, or leave out --strict."
        )
    concerned = persons_excluded | persons_held_out
    # A person goes by the name of their first recording: that name means the recording where there is one.
    persons_given = meant.keys() - frozenset[str]().union(*names_of.values())
    return CorpusPlan(
        recordings=tuple(
            replace(one, held_out=one.subject_id in persons_held_out)
            for one in found
            if one.subject_id not in persons_excluded
        ),
        excluded=excluded,
        held_out=held_out,
        excluded_recordings=tuple(one.name for one in found if one.subject_id in persons_excluded),
        same_person=tuple(
            one.name
            for one, names in zip(found, names_of.values(), strict=True)
            if one.subject_id in concerned and meant.keys().isdisjoint(names) and one.subject_id not in persons_given
        ),
        unmatched=unmatched,
        strict=strict,
        own_data=own_data,
    )


def _recordings(databases: Iterable[DatabaseFolder]) -> Iterator[tuple[Recording, frozenset[str]]]:
    """Yield the recordings of each folder in their order, and the names that mean each."""
    files: dict[Path, Mapping[str, tuple[int, int]]] = {}
    for database in databases:
        for path in database.records():
            subject_id, problem = _subject(database, path)
            if path.parent not in files:
                files[path.parent] = _files_by_stem(path.parent)
            parts = [files[path.parent].get(stem, (0, 0)) for stem in (path.stem, *database.segments_of(path))]
            n_bytes, changed_ns = sum(size for size, _ in parts), max(changed for _, changed in parts)
            records = {path.stem, database.recording_of(path)}
            names = records | {f"{database.name}/{record}" for record in records}
            recording = Recording(path, database.name, subject_id, False, n_bytes, changed_ns, problem)  # noqa: FBT003
            yield recording, frozenset(names)


def _subject(database: DatabaseFolder, path: Path) -> tuple[str, str]:
    """Name the person of a recording, or say why they are not known."""
    try:
        return database.subject_of(path), ""
    except HeartbertError as error:
        return path.stem, str(error)


def _files_by_stem(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Return size and last change of the files of each name, suffixes aside."""
    found: dict[str, tuple[int, int]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():  # no link that leads nowhere
                stem, stat = Path(entry.name).stem, entry.stat()
                n_bytes, changed_ns = found.get(stem, (0, 0))
                found[stem] = n_bytes + stat.st_size, max(changed_ns, stat.st_mtime_ns)
    return found


def _persons_by_name(recordings: Sequence[tuple[str, frozenset[str]]]) -> Mapping[str, set[str]]:
    """Return the persons that each name means; every person goes by their own name too."""
    named: dict[str, set[str]] = defaultdict(set)
    for person, names in recordings:
        for name in {*names, person}:
            named[name].add(person)
    return dict(named)


def _persons(name: str, named: Mapping[str, set[str]], databases: Iterable[DatabaseFolder]) -> set[str]:
    """Return the persons that a name means, also by a copy that is not taken, and by another database.

    "00001_lr" means the recording of "00001_hr", and "100" and "mitdb/100" mean the person of qtdb's sel100 even where
    mitdb is not among the folders.
    """
    slug, _, record = name.rpartition("/")
    slugs = [slug] if slug else [database.slug for database in DATABASES]
    elsewhere = {subject_of_recording(one, record) for one in slugs}
    here = {
        f"{database.name}/{database.recording_of(Path(f'{record}.hea'))}"
        for database in databases
        if slug in ("", database.name)
    }
    return set[str]().union(*(named.get(one, set()) for one in {name, *here, *elsewhere}))
