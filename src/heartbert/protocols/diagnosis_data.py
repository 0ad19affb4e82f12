"""The recordings of PTB-XL with their diagnostic superclasses and published folds, split into three sides."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.databases.folders import DatabaseFolder, open_folder
from heartbert.databases.labelling import SUPERCLASSES, labels
from heartbert.errors import ConfigError
from heartbert.evaluation.leakage import Examples
from heartbert.progress import Progress, no_progress
from heartbert.records import Record, read_record
from heartbert.records.record import Channel

PTB_XL = "ptb-xl"
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

Side = Literal["validation", "test"]
Amplitude = Literal["mV", "standard deviations"]


@dataclass(frozen=True)
class Folds:
    """Which published folds train, stop the training and choose thresholds, and are scored."""

    training: tuple[int, ...]
    stopping: int
    scored: int


FOLDS: dict[Side, Folds] = {
    "validation": Folds(tuple(range(1, 8)), 8, 9),
    "test": Folds(tuple(range(1, 9)), 9, 10),
}
"""As published: 1 to 8 to train, 9 to choose, 10 to test; one fold lower to choose settings without a look at 10."""


@dataclass(frozen=True)
class DiagnosisRecord:
    """One recording.

    Attributes
    ----------
    path : Path
    examples : Examples
        Who and what this is, for the leakage guard.
    fold : int
        Published, 1 to 10.
    targets : tuple of int
        1 for each superclass that it has, in the order of `SUPERCLASSES`.
    """

    path: Path
    examples: Examples
    fold: int
    targets: tuple[int, ...]


@dataclass(frozen=True)
class DiagnosisDatabase:
    """The recordings of a folder that have a superclass.

    Attributes
    ----------
    records : tuple of DiagnosisRecord
    counts : dict of str to int
        Recordings in the folder, published, without superclass or fold and so left out, and of persons that the table
        of the database does not name.
    """

    records: tuple[DiagnosisRecord, ...]
    counts: dict[str, int]


@dataclass(frozen=True)
class Split:
    """The three sides of a split: trained on, stopped and thresholds chosen by, scored."""

    training: tuple[DiagnosisRecord, ...]
    stopping: tuple[DiagnosisRecord, ...]
    scored: tuple[DiagnosisRecord, ...]

    @property
    def records(self) -> tuple[DiagnosisRecord, ...]:
        """All of them."""
        return self.training + self.stopping + self.scored


def read_diagnosis_database(folder: Path, *, progress: Progress = no_progress) -> DiagnosisDatabase:
    """Read labels, folds and persons of a folder of PTB-XL; no recording is opened.

    Parameters
    ----------
    folder : Path
        As published, whole or in part.
    progress : callable
        Told the stage and the fraction done.

    Raises
    ------
    ConfigError
        If it is another database, or no recording has a superclass.
    DatabaseError
        If a table of labels is missing or damaged.
    """
    opened = open_folder(folder)
    if opened.database is None or opened.database.slug != PTB_XL:
        raise ConfigError(f"'{folder}' is {opened.name}; the protocol needs {PTB_XL}. Give its folder.")
    paths = opened.records()
    found: dict[str, set[str]] = {}
    folds: dict[str, int] = {}
    table = labels(opened, progress=progress).dropna()
    for name, label, fold in zip(table["record"], table["label"], table["fold"], strict=True):
        found.setdefault(name, set()).add(label)
        folds[name] = int(fold)
    records = tuple(_record(opened, path, folds[path.stem], found[path.stem]) for path in paths if path.stem in folds)
    counts = {
        "n_records": len(paths),
        "n_published": opened.database.n_records,
        "n_without_superclass_or_fold": len(paths) - len(records),
        "n_persons_not_named": sum(opened.recording_of(one.path) not in opened.patients for one in records),
    }
    return DiagnosisDatabase(records, counts)


def _record(folder: DatabaseFolder, path: Path, fold: int, present: Collection[str]) -> DiagnosisRecord:
    examples = Examples(PTB_XL, path.stem, folder.subject_of(path))
    return DiagnosisRecord(path, examples, fold, tuple(int(name in present) for name in SUPERCLASSES))


def amplitude_of(records: Sequence[DiagnosisRecord], *, progress: Progress = no_progress) -> Amplitude:
    """Say what the amplitudes of recordings are to be given in.

    Millivolts; or for all of them the standard deviation of each lead, where the amplitude of some is not known.
    """
    for number, record in enumerate(records):
        progress("units", number / len(records))
        if any(channel.unit != "mV" for channel in twelve_leads(read_record(record.path))):
            return "standard deviations"
    return "mV"


def twelve_leads(record: Record) -> list[Channel]:
    """Return the channels of the standard leads, in the order of `LEADS`.

    Raises
    ------
    LeadNotFoundError
        If one is missing.
    """
    return [record.lead(name) for name in LEADS]


def split_folds(database: DiagnosisDatabase, side: Side, *, training: Sequence[int] | None = None) -> Split:
    """Split the recordings by published fold.

    Parameters
    ----------
    database : DiagnosisDatabase
    side : {"validation", "test"}
        Which fold is scored: 9, or 10. Fold 10 is in no side of the first.
    training : sequence of int, optional
        Folds to train on, of those that the side trains on; by default all of them.

    Raises
    ------
    ConfigError
        If a fold is none that may be trained on, or a side has no recording.
    """
    folds = FOLDS[side]
    chosen = tuple(folds.training if training is None else training)
    wrong = sorted(set(chosen) - set(folds.training))
    if wrong or not chosen:
        allowed = ", ".join(map(str, folds.training))
        raise ConfigError(
            f"fold {wrong[0] if wrong else 'none'} is to be trained on; scoring fold {folds.scored}, allowed are "
            f"{allowed}. Choose some of them."
        )
    sides = {"training": chosen, "stopping": (folds.stopping,), "scored": (folds.scored,)}
    parts = {name: tuple(one for one in database.records if one.fold in of) for name, of in sides.items()}
    empty = next((name for name, part in parts.items() if not part), None)
    if empty is not None:
        named = ", ".join(map(str, sides[empty]))
        raise ConfigError(f"the folder has no labelled recording of fold {named}; each side needs one. Download more.")
    return Split(**parts)


def targets_of(records: Sequence[DiagnosisRecord]) -> npt.NDArray[np.float32]:
    """Return the superclasses of recordings, 0 or 1, shape (n_records, 5)."""
    return np.array([one.targets for one in records], dtype=np.float32).reshape(-1, len(SUPERCLASSES))
