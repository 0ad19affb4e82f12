"""Heartbeats as a task of the benchmarks: MIT-BIH Arrhythmia, macro-F1 of N, S, V, F, intervals over recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError, RecordFormatError
from heartbert.evaluation.heartbeats import score_tables, table_of_pairs
from heartbert.evaluation.leakage import Examples
from heartbert.predictions.labels import AamiClass
from heartbert.progress import Progress, no_progress
from heartbert.protocols.beat_records import (
    APART,
    PLACEMENTS,
    BeatRecord,
    Encoders,
    Placement,
    digest_read,
    encoders_of,
    read_beats,
)
from heartbert.protocols.beat_rows import OURS, ROWS, Row, Sides
from heartbert.protocols.beat_scoring import score_records
from heartbert.protocols.beat_splits import Split, guard_split
from heartbert.protocols.beat_table import head_settings
from heartbert.protocols.comparison import (
    Draw,
    DrawnLabels,
    Floats,
    Outcome,
    draw_stretch,
    draw_subjects,
    summed_scores,
)
from heartbert.protocols.ds1_ds2 import ScoredSide, ds1_ds2_splits
from heartbert.signals.resampling import TARGET_FS
from heartbert.training.config import HeartbeatsConfig
from heartbert.training.heartbeats import AnnotatedBeats

RANDOM = "RR + encoder of random weights, same head"
CURVE_ROWS = tuple(name for name, row in ROWS.items() if row.label_share == 1)
"""Rows of the label-efficiency curve: ours and every baseline."""
# A stretch of fewer beats has no median beat to compare with.
_FEWEST_BEATS = 10
_HOW_CHOSEN = (
    "training epochs of networks on the raw signal and of encoders that learn, and the class weights of the boosting, "
    "by all labels of the recordings in chosen_on; nothing by the other rows"
)


@dataclass(frozen=True)
class BeatRow:
    """A row of the task: how it is trained, with what settings, on the recordings as one encoder sees them.

    Attributes
    ----------
    row : Row
    config : HeartbeatsConfig
    records : mapping of str to BeatRecord
        By `Examples.name`; all recordings of the split.
    encoder : str
        Tells encoders apart; what the inputs of the row depend on.
    """

    row: Row
    config: HeartbeatsConfig
    records: Mapping[str, BeatRecord]
    encoder: str


@dataclass(frozen=True)
class HeartbeatComparison:
    """See `heartbert.protocols.comparison.ComparisonTask`; made by `open_heartbeats`.

    Attributes
    ----------
    split : Split
    beat_rows : mapping of str to BeatRow
    facts, identity : mapping
    """

    split: Split
    beat_rows: Mapping[str, BeatRow]
    facts: Mapping[str, Any]
    identity: Mapping[str, Any]
    ours: str = OURS
    score_name: str = "macro-F1"
    unit: str = "recording"
    scored: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.ours not in self.beat_rows:
            raise ConfigError(f"the rows {', '.join(self.beat_rows)} lack '{self.ours}'; add it.")
        object.__setattr__(self, "scored", tuple(one.name for one in self.split.test))

    @property
    def rows(self) -> Sequence[str]:
        """All rows."""
        return tuple(self.beat_rows)

    def told(self, row: str) -> Mapping[str, Any]:
        """Return the settings of a row, whose seed is in the draw, and its encoder."""
        chosen = self.beat_rows[row]
        settings = {name: value for name, value in asdict(chosen.config).items() if name not in APART}
        return {"settings": settings, "encoder": chosen.encoder}

    def drawn(self, draw: Draw) -> DrawnLabels:
        """Count the labels of a draw by AAMI class."""
        subjects = self._subjects(draw)
        training = self._training(next(iter(self.beat_rows.values())).records, draw)
        labels = np.concatenate([one.beats.labels for one in training])
        counts = np.bincount(labels[labels >= 0], minlength=len(AamiClass)).tolist()
        return DrawnLabels(subjects, {one.name: counts[one] for one in AamiClass})

    def run(self, row: str, draw: Draw) -> Outcome:
        """Train a row and count the beats of every scored recording by reference and found class."""
        chosen = self.beat_rows[row]
        validation, test = (
            [chosen.records[one.name] for one in side] for side in (self.split.validation, self.split.test)
        )
        sides = Sides(self._training(chosen.records, draw), [one for one in validation if one.beats.r_peaks.size])
        classify = chosen.row.train(sides, chosen.config, draw.seed)
        none = np.empty((0, len(AamiClass)), dtype=np.float32)
        return count_beats(test, [classify(one) if one.beats.r_peaks.size else none for one in test])

    def scores(self, outcomes: Floats, weights: Floats) -> Floats:
        """Return macro-F1."""
        return summed_scores(outcomes, weights, lambda totals: score_tables(totals)["macro_f1"])

    def _subjects(self, draw: Draw) -> tuple[str, ...]:
        persons = sorted({one.person for one in self.split.training})
        return draw_subjects(persons, draw.subject_share, draw.seed)

    def _training(self, records: Mapping[str, BeatRecord], draw: Draw) -> list[BeatRecord]:
        persons = self._subjects(draw)
        chosen = [(number, one) for number, one in enumerate(self.split.training) if one.person in persons]
        cut = [_stretch(records[one.name], draw, number) for number, one in chosen]
        return [one for one in cut if one.beats.r_peaks.size]


def count_beats(records: Sequence[BeatRecord], probabilities: Sequence[Any]) -> Outcome:
    """Compare classified beats with the reference, shape (n_records, 6, 6)."""
    return table_of_pairs(score_records(records, probabilities).pairs).astype(np.float64)


def _stretch(record: BeatRecord, draw: Draw, number: int) -> BeatRecord:
    """Leave of a recording one stretch of beats, as if no more of it had been annotated."""
    if draw.label_share == 1:
        return record
    beats = record.beats
    kept = draw_stretch(beats.r_peaks.size, draw.label_share, (draw.seed, number), at_least=_FEWEST_BEATS)
    cut = replace(beats, r_peaks=beats.r_peaks[kept], embeddings=beats.embeddings[kept], labels=beats.labels[kept])
    return replace(record, beats=cut, inputs={name: values[kept] for name, values in record.inputs.items()})


def first_minutes(record: BeatRecord, minutes: float) -> BeatRecord:
    """Leave of a recording its first minutes, reference annotations included."""
    duration_s = min(60 * minutes, record.duration_s)
    marks, annotations = record.reference, record.reference.annotations
    n_marks = int(np.searchsorted(annotations.samples, duration_s * annotations.fs))
    kept = replace(
        annotations,
        samples=annotations.samples[:n_marks],
        symbols=annotations.symbols[:n_marks],
        aux_notes=annotations.aux_notes[:n_marks],
        subtypes=annotations.subtypes[:n_marks],
    )
    n_beats = int(np.searchsorted(record.beats.r_peaks, duration_s * TARGET_FS))
    return BeatRecord(
        record.examples,
        first_beats(record.beats, duration_s),
        {name: values[:n_beats] for name, values in record.inputs.items()},
        replace(marks, annotations=kept, subtypes=marks.subtypes[:n_marks]),
        duration_s,
    )


def first_beats(beats: AnnotatedBeats, duration_s: float) -> AnnotatedBeats:
    """Leave of the beats of a recording those before some time, and of the reference beats, too."""
    n_beats = int(np.searchsorted(beats.r_peaks, duration_s * TARGET_FS))
    n_reference = int(np.searchsorted(beats.reference_s, duration_s))
    return replace(
        beats,
        r_peaks=beats.r_peaks[:n_beats],
        embeddings=beats.embeddings[:n_beats],
        labels=beats.labels[:n_beats],
        reference_s=beats.reference_s[:n_reference],
        reference_classes=beats.reference_classes[:n_reference],
    )


def curve_rows(without: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the rows of the label-efficiency curve but for some.

    Raises
    ------
    ConfigError
        If one of those is no row.
    """
    unknown = [name for name in without if name not in CURVE_ROWS]
    if unknown:
        raise ConfigError(f"there is no row '{unknown[0]}' to leave out; choose of {', '.join(CURVE_ROWS)}.")
    return tuple(name for name in CURVE_ROWS if name not in without)


@dataclass(frozen=True)
class HeartbeatSource:
    """Where the recordings are and which of them count.

    Attributes
    ----------
    folder : Path
        MIT-BIH Arrhythmia.
    side : {"validation", "test"}
        Scored are the validation records inside DS1, or DS2.
    placement : {"reference", "detected"}
        Who places the beats.
    records : tuple of str or None
        Leave out all others, for a quick look.
    minutes : float or None
        Leave out the rest of every recording, on all sides.
    allow_transductive : bool
        Whether the encoder may have seen unlabelled signals of scored persons; the result then says so.
    cache : Path or None
        Folder for embeddings.
    """

    folder: Path
    side: ScoredSide = "validation"
    placement: Placement = "reference"
    records: tuple[str, ...] | None = None
    minutes: float | None = None
    allow_transductive: bool = False
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise ConfigError(f"placement is '{self.placement}'; choose one of {', '.join(PLACEMENTS)}.")
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"minutes is {self.minutes}; it must be above 0. Give more, or leave it out.")

    @property
    def split(self) -> Split:
        """Training, validation and scored recordings; `LeakageError` is not checked here.

        Raises
        ------
        ConfigError
            If a side is empty.
        RecordFormatError
            If a recording is not in the folder.
        """
        split, _ = ds1_ds2_splits(self.side, records=self.records)
        for name in ("training", "validation", "test"):
            if not getattr(split, name):
                raise ConfigError(
                    f"the recordings {', '.join(self.records or ())} leave nobody for {name}; give some of each side."
                )
        missing = [one.record for one in split.examples if not self.path_of(one).is_file()]
        if missing:
            raise RecordFormatError(
                f"'{self.folder}' has no {missing[0]}.hea; all records of the split are needed. Fetch them with "
                f"'heartbert download mitdb -o {self.folder}'."
            )
        return split

    def guard(self, bundle: Bundle) -> list[str]:
        """Refuse a split that leaks into this bundle; returns what was allowed, in words.

        Raises
        ------
        LeakageError
            If it leaks.
        """
        leaks = guard_split(self.split, bundle, allow_transductive=self.allow_transductive)
        return [leak.what for leak in leaks]

    def read(self, encoders: Encoders, *, progress: Progress = no_progress) -> dict[str, BeatRecord]:
        """Read and embed every recording of the split, by `Examples.name`."""
        records, examples = {}, self.split.examples
        for number, one in enumerate(examples):
            progress(f"embedding {one.record}", number / len(examples))
            whole = read_beats(encoders, self.path_of(one), one)[self.placement]
            records[one.name] = whole if self.minutes is None else first_minutes(whole, self.minutes)
        return records

    def path_of(self, examples: Examples) -> Path:
        """Return the header of a recording."""
        return self.folder / f"{examples.record}.hea"


def open_heartbeats(
    bundle: Bundle,
    source: HeartbeatSource,
    *,
    heads: HeartbeatsConfig | None = None,
    rows: Sequence[str] = CURVE_ROWS,
    progress: Progress = no_progress,
) -> HeartbeatComparison:
    """Open MIT-BIH Arrhythmia for the benchmarks with rows of `beat_rows.ROWS`.

    Parameters
    ----------
    bundle : Bundle
        Its frozen encoder is ours.
    source : HeartbeatSource
    heads : HeartbeatsConfig, optional
        Settings of the head and training epochs of all networks; by default those of the bundle.
    rows : sequence of str
    progress : callable

    Raises
    ------
    LeakageError
        If the split leaks, the encoder included.
    RecordFormatError
        If recordings are missing.
    ConfigError
        If a row is unknown, or a side of the split is empty.
    """
    unknown = [name for name in rows if name not in ROWS]
    if unknown:
        raise ConfigError(f"there is no row '{unknown[0]}'; choose of {', '.join(ROWS)}.")
    config = heads or head_settings(bundle)
    leaks = source.guard(bundle)
    encoders = encoders_of(bundle, config.layer, cache=source.cache)
    if RANDOM not in rows:
        encoders = replace(encoders, bundles={"encoder": bundle})
    records = source.read(encoders, progress=progress)
    made = {name: BeatRow(ROWS[name], config, records, digest_read(ROWS[name].reads, bundle, config)) for name in rows}
    return assemble(source, made, leaks, [bundle])


def assemble(
    source: HeartbeatSource,
    rows: Mapping[str, BeatRow],
    leaks: Sequence[str],
    bundles: Sequence[Bundle],
    *,
    ours: str = OURS,
) -> HeartbeatComparison:
    """Put a guarded split and rows together; `leaks` is what the guard allowed."""
    split = source.split
    facts = {
        "database": "mitdb",
        "side": source.side,
        "placement": source.placement,
        "minutes": source.minutes,
        "training": [one.name for one in split.training],
        "chosen_on": [one.name for one in split.validation],
        "scored": [one.name for one in split.test],
        "leaks": list(leaks),
        "bundles": [bundle.name for bundle in bundles],
        "how_chosen": _HOW_CHOSEN,
        "label_stretch": f"one stretch of consecutive beats of every training recording, at least {_FEWEST_BEATS}",
    }
    identity = {
        name: facts[name] for name in ("database", "side", "placement", "minutes", "training", "chosen_on", "scored")
    }
    return HeartbeatComparison(split, rows, facts, identity, ours)
