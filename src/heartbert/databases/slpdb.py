"""The MIT-BIH Polysomnographic Database: stages, beats and ECG of its nights, as published."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.errors import DatabaseError, RecordFormatError
from heartbert.evaluation.heartbeats import reference_beats
from heartbert.evaluation.splits import person_of
from heartbert.predictions.sleep_labels import EPOCH_S, UNSCORED, stage_of_note
from heartbert.records import Annotations, read_annotations
from heartbert.records.wfdb_header import read_header

SLPDB = "slpdb"
# Annotators of the published files: stages with events, and beats of the whole night.
STAGE_ANNOTATOR, BEAT_ANNOTATOR = "st", "ecg"
# An epoch's note may lie this far from the grid of 30 s, in seconds: the first one of most records is at sample 1.
_OFF_GRID_S = 0.1


@dataclass(frozen=True)
class ScoredNight:
    """A night with the stages that were scored and the beats that were marked.

    Attributes
    ----------
    record : str
    subject_id : str
        The person, as the guard against leaks knows it.
    start : datetime or None
        Wall-clock time of the start of the recording.
    stages : ndarray of int64, shape (n_epochs,)
        `SleepStage` of each epoch of 30 s from the start of the recording; -1 for movement time and unscored ones.
    beats_s : ndarray of float64, shape (n_beats,)
        Times of the marked beats in seconds from the start; empty where there is no file of them.
    first_scored : int
        Epoch that the first note of the file stands at.
    """

    record: str
    subject_id: str
    start: datetime | None
    stages: npt.NDArray[np.int64]
    beats_s: npt.NDArray[np.float64]
    first_scored: int

    @property
    def n_epochs(self) -> int:
        """Number of epochs up to the last scored one."""
        return int(self.stages.size)


def read_notes(path: str | Path) -> Annotations:
    """Read the notes of a `.st` file, those of movement time and of nothing included.

    Parameters
    ----------
    path : str or Path
        Record name with its folder, or the header.

    Returns
    -------
    notes : Annotations
        ``symbols`` are the first words, a stage, MT, M, or empty; ``aux_notes`` the events that follow.

    Raises
    ------
    RecordFormatError
        If there is no `.st` file, or it is damaged.
    """
    notes = read_annotations(path, STAGE_ANNOTATOR)
    words = [note.split() for note in notes.aux_notes]
    return Annotations(
        samples=notes.samples,
        symbols=tuple(found[0] if found else "" for found in words),
        aux_notes=tuple(" ".join(found[1:]) for found in words),
        fs=notes.fs,
    )


def read_scored_night(path: str | Path) -> ScoredNight:
    """Read the stages and the beats of a record; the signal need not be there.

    Parameters
    ----------
    path : str or Path
        Record name with its folder, or the header.

    Returns
    -------
    night : ScoredNight

    Raises
    ------
    RecordFormatError
        If there is no `.st` file, it holds no note, or its notes are not on a grid of 30 s.
    """
    header = Path(path).with_suffix(".hea")
    notes = read_notes(path)
    if notes.samples.size == 0:
        raise RecordFormatError(f"'{header.stem}.st' holds no note; give a record whose sleep was scored.")
    epochs = np.round(notes.samples / notes.fs / EPOCH_S).astype(np.int64)
    off_s = np.abs(notes.samples / notes.fs - epochs * EPOCH_S)
    if off_s.max() > _OFF_GRID_S:
        wrong = int(np.argmax(off_s > _OFF_GRID_S))
        raise RecordFormatError(
            f"'{header.stem}.st': note {wrong} is at {notes.samples[wrong] / notes.fs:.2f} s; notes must be at "
            f"multiples of {EPOCH_S:g} s. Download the file again."
        )
    stages = np.full(int(epochs.max()) + 1, UNSCORED, dtype=np.int64)
    stages[epochs] = [stage_of_note(note) for note in notes.symbols]
    start = read_header(header).start if header.is_file() else None
    subject = person_of(SLPDB, header.stem)
    return ScoredNight(header.stem, subject, start, stages, _beats_s(header), int(epochs.min()))


def _beats_s(header: Path) -> npt.NDArray[np.float64]:
    if not header.with_suffix(f".{BEAT_ANNOTATOR}").is_file():
        return np.empty(0, dtype=np.float64)
    beats = read_annotations(header, BEAT_ANNOTATOR)
    return np.asarray(reference_beats(beats)[0] / beats.fs, dtype=np.float64)


def scored_records(folder: Path) -> list[Path]:
    """Return the headers of a folder whose sleep was scored, in order of their names.

    Raises
    ------
    DatabaseError
        If there are none.
    """
    headers = (path.with_suffix(".hea") for path in folder.glob(f"*.{STAGE_ANNOTATOR}"))
    found = sorted(header for header in headers if header.is_file())  # README.st is no record
    if not found:
        raise DatabaseError(
            f"'{folder}' holds no record with sleep stages (.st, .hea); the folder of the MIT-BIH Polysomnographic "
            f"Database is needed. Fetch it with 'heartbert download slpdb -o {folder}'"
        )
    return found


@dataclass(frozen=True)
class TextEpochs:
    """Epochs of one record of which the published text has the ECG.

    Attributes
    ----------
    epochs : ndarray of int64, shape (n_texts,)
        Number of each from the start of the recording, increasing.
    levels : ndarray of uint8, shape (n_texts, 1000)
        Equal-probability levels 0 to 99 at 33.3 Hz.
    """

    epochs: npt.NDArray[np.int64]
    levels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TextRow:
    """One row of the published text files.

    Attributes
    ----------
    record : str
    epoch : int
        Number from the start of the recording.
    class_set : {"stages3", "stages5"}
        File that it stands in.
    split : {"train", "dev"}
        As published: persons are on both sides.
    """

    record: str
    epoch: int
    class_set: str
    split: str


# Epochs whose identity was recovered from their beats and is certain enough.
_CERTAIN = ("sure", "likely")


def read_text_epochs(file: Path, nights: Mapping[str, ScoredNight]) -> tuple[dict[str, TextEpochs], list[TextRow]]:
    """Read the published text of epochs: their levels by record, and the rows of the files.

    Each of the four published files has breakpoints of its own, so an epoch in two of them has two texts that differ by
    a few levels; the first one is taken.

    Parameters
    ----------
    file : Path
        ``.npz`` with `levels`, `record`, `epoch_index` (0 is the first scored epoch), `csv_class_set`, `split` and
        `confidence`.
    nights : mapping of str to ScoredNight
        By record name; rows of other records are left out.

    Raises
    ------
    DatabaseError
        If the file lacks an array.
    """
    needed = ("levels", "record", "epoch_index", "csv_class_set", "split", "confidence")
    with np.load(file) as content:
        lacking = [name for name in needed if name not in content]
        if lacking:
            raise DatabaseError(f"{file.name} has no array '{lacking[0]}'; {', '.join(needed)} are needed.")
        arrays = {name: content[name] for name in needed}
    rows: list[TextRow] = []
    levels: dict[str, dict[int, npt.NDArray[np.uint8]]] = {}
    for index in np.flatnonzero(np.isin(arrays["confidence"], _CERTAIN)).tolist():
        record = str(arrays["record"][index])
        if record not in nights:
            continue
        epoch = int(arrays["epoch_index"][index]) + nights[record].first_scored
        levels.setdefault(record, {}).setdefault(epoch, arrays["levels"][index])
        rows.append(TextRow(record, epoch, f"stages{arrays['csv_class_set'][index]}", str(arrays["split"][index])))
    return {record: _in_order(found) for record, found in levels.items()}, rows


def _in_order(levels: dict[int, npt.NDArray[np.uint8]]) -> TextEpochs:
    epochs = sorted(levels)
    return TextEpochs(np.array(epochs, dtype=np.int64), np.stack([levels[epoch] for epoch in epochs]))


_AGE_AND_SEX = re.compile(r"#?\s*(\d+|x)\s+([MF])\b")


def age_and_sex(comment: str) -> tuple[int | None, str | None]:
    """Read the first comment of a header, for example ``44 M 89 32-01-89`` (age, sex, weight, date).

    Examples
    --------
    >>> age_and_sex("44 M 89 32-01-89"), age_and_sex("x M x 24-01-90")
    ((44, 'M'), (None, 'M'))
    """
    found = _AGE_AND_SEX.match(comment)
    if not found:
        return None, None
    return (None if found[1] == "x" else int(found[1])), found[2]
