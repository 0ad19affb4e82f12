"""MIT-BIH Arrhythmia, DS1 to DS2: the published split, with everything chosen inside DS1."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from heartbert.bundle import Bundle
from heartbert.errors import RecordFormatError
from heartbert.evaluation.leakage import Examples
from heartbert.evaluation.splits import MITDB_DS1, MITDB_DS1_VALIDATION, MITDB_DS2, person_of
from heartbert.progress import Progress, no_progress
from heartbert.protocols.beat_splits import Split
from heartbert.protocols.beat_table import TableSettings, make_table

# What is scored: DS2, which is opened once for each finished model, or the validation records inside DS1.
ScoredSide = Literal["test", "validation"]
# The man who is in both sides of the published split: 201 in DS1, 202 in DS2.
_SHARED_RECORD = "201"
_DATABASE = "mitdb"


def ds1_ds2_splits(side: ScoredSide, *, records: Collection[str] | None = None) -> tuple[Split, ...]:
    """Return the published split, and the same without record 201 in training.

    Parameters
    ----------
    side : {"test", "validation"}
        ``"validation"`` scores the validation records inside DS1 and names no record of DS2.
    records : collection of str, optional
        Leave out all others, for a quick look; a table of fewer records compares with nothing published.

    Examples
    --------
    >>> [(split.name, len(split.training), len(split.test)) for split in ds1_ds2_splits("test")]
    [('', 17, 22), ('without_201', 16, 22)]
    """
    scored = MITDB_DS2 if side == "test" else MITDB_DS1_VALIDATION
    training = [record for record in MITDB_DS1 if record not in MITDB_DS1_VALIDATION]
    training_examples, validation, test = (
        tuple(Examples(_DATABASE, record) for record in names if records is None or record in records)
        for names in (training, MITDB_DS1_VALIDATION, scored)
    )
    shared = frozenset({person_of(_DATABASE, _SHARED_RECORD)})
    published = Split("", training_examples, validation, test, shared)
    apart = tuple(one for one in training_examples if one.record != _SHARED_RECORD)
    return published, replace(published, name="without_201", training=apart, allowed_persons=frozenset())


def evaluate_ds1_ds2(
    bundle: Bundle,
    folder: Path,
    output: Path,
    settings: TableSettings,
    *,
    splits: tuple[Split, ...],
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Make the table of a bundle's encoder on the records of `splits`; see `make_table`.

    Raises
    ------
    RecordFormatError
        If a record is not in the folder.
    LeakageError
        If a split leaks.
    """
    missing = [one.record for split in splits for one in split.examples if not _header(folder, one).is_file()]
    if missing:
        raise RecordFormatError(
            f"'{folder}' has no {missing[0]}.hea; all records of the split are needed. Fetch them with "
            f"'heartbert download mitdb -o {folder}'."
        )
    return make_table(bundle, splits, lambda one: _header(folder, one), output, settings, progress=progress)


def _header(folder: Path, examples: Examples) -> Path:
    return folder / f"{examples.record}.hea"
