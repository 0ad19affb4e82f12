"""Predictions -> scores: annotation files found, paired by record, and compared after ANSI/AAMI EC57."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.evaluation.ec57 import LABELS, STANDARD, Comparison, Rules, compare_annotators
from heartbert.evaluation.ec57_marks import Marks
from heartbert.evaluation.ec57_statistics import (
    Ratio,
    average_statistics,
    beat_statistics,
    mean_of_known,
    shutdown_statistics,
)
from heartbert.records.wfdb_annotations import read_annotations
from heartbert.records.wfdb_header import read_header

# Name of the record that `heartbert analyze` writes into its output folder.
ANALYSIS_RECORD = "beats"


@dataclass(frozen=True)
class ScoredRecord:
    """One record of a comparison."""

    name: str
    comparison: Comparison

    @property
    def statistics(self) -> dict[str, Ratio]:
        """Se, +P and FPR of this record alone."""
        return beat_statistics(self.comparison.counts)


@dataclass(frozen=True)
class Scores:
    """Records compared by the same rules.

    Attributes
    ----------
    records : tuple of ScoredRecord
    not_scored : tuple of str
        Records with reference annotations and no test annotations.
    rules : Rules
    """

    records: tuple[ScoredRecord, ...]
    not_scored: tuple[str, ...]
    rules: Rules

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Pairs of all records, shape (7, 7)."""
        return np.asarray(sum(record.comparison.counts for record in self.records), dtype=np.int64)

    @property
    def gross(self) -> dict[str, Ratio]:
        """Statistics of all records taken as one, so that every beat weighs the same."""
        return beat_statistics(self.counts)

    @property
    def average(self) -> dict[str, float | None]:
        """Mean of the records' statistics, so that every record weighs the same."""
        return average_statistics([record.statistics for record in self.records])

    @property
    def rr_error_ms(self) -> float | None:
        """Mean of the records' RR interval errors."""
        return mean_of_known([record.comparison.rr_error_ms for record in self.records])

    @property
    def shutdown_s(self) -> float:
        """Time that the test annotator marked as unreadable in all records."""
        return sum(record.comparison.shutdown_s for record in self.records)

    def as_json(self) -> dict[str, object]:
        """Return everything as plain numbers, lists and dictionaries."""
        return {
            "rules": {**asdict(self.rules), "is_standard": self.rules.is_standard},
            "labels": list(LABELS),
            "records": [
                {
                    "record": record.name,
                    "counts": record.comparison.counts.tolist(),
                    "statistics": _ratios_as_json(record.statistics),
                    "shutdown": _ratios_as_json(shutdown_statistics(record.comparison.counts)),
                    "rr_error_ms": record.comparison.rr_error_ms,
                    "shutdown_s": record.comparison.shutdown_s,
                }
                for record in self.records
            ],
            "not_scored": list(self.not_scored),
            "counts": self.counts.tolist(),
            "gross": _ratios_as_json(self.gross),
            "average": self.average,
            "shutdown": _ratios_as_json(shutdown_statistics(self.counts)),
            "rr_error_ms": self.rr_error_ms,
            "shutdown_s": self.shutdown_s,
        }


def _ratios_as_json(statistics: dict[str, Ratio]) -> dict[str, dict[str, float | None]]:
    return {
        name: {"part": ratio.part, "whole": ratio.whole, "value": ratio.value} for name, ratio in statistics.items()
    }


def score_files(
    reference: Path, test: Path, *, annotators: tuple[str, str] = ("atr", "atr"), rules: Rules = STANDARD
) -> Scores:
    """Compare the test annotations of a record, or of a folder of records, with reference annotations.

    Parameters
    ----------
    reference : Path
        A record (with or without suffix), or a folder with annotation files.
    test : Path
        For one record: its test annotations (with or without suffix). For any number: a folder with, for each record
        NAME, the annotation file NAME.ANNOTATOR or the output folder NAME of ``heartbert analyze``. For one record
        also that output folder itself.
    annotators : (str, str)
        Suffixes of the annotation files of reference and test.
    rules : Rules

    Returns
    -------
    scores : Scores
        Records in order of their names.

    Raises
    ------
    ConfigError
        If no record has both annotations, or a record ends before scoring starts.
    RecordFormatError
        If an annotation file is missing or damaged.
    """
    references = _reference_records(reference, annotators[0])
    found = {name: _test_record(name, test, annotators[1], alone=len(references) == 1) for name in references}
    pairs = {name: (references[name], path) for name, path in found.items() if path is not None}
    if not pairs:
        names = ", ".join(list(references)[:3]) + (", ..." if len(references) > 3 else "")
        raise ConfigError(
            f"'{test}' has no '{annotators[1]}' annotations of any of the {len(references)} reference records "
            f"({names}). They are looked for as NAME.{annotators[1]} and NAME/{ANALYSIS_RECORD}.{annotators[1]}; "
            "name another folder or annotator"
        )
    records = [ScoredRecord(name, _compare_files(name, *pairs[name], annotators, rules)) for name in sorted(pairs)]
    return Scores(tuple(records), tuple(sorted(name for name in found if name not in pairs)), rules)


def _reference_records(reference: Path, annotator: str) -> dict[str, Path]:
    """Return the paths of the reference records, without suffix, by name."""
    if not reference.is_dir():
        path = _without_suffix(reference, annotator)
        return {path.name: path}
    files = sorted(reference.glob(f"*.{annotator}"))
    if not files:
        raise RecordFormatError(f"folder '{reference}' has no '.{annotator}' file. Name another folder or annotator")
    return {file.stem: file.with_suffix("") for file in files}


def _test_record(name: str, test: Path, annotator: str, *, alone: bool) -> Path | None:
    """Return the path of the test annotations of a record, without suffix, or None where there are none."""
    if not test.is_dir():
        if not alone:
            raise ConfigError(
                f"REF is a folder of several records and '{test}' is no folder. Name a folder of test annotations"
            )
        return _without_suffix(test, annotator)
    candidates = [test / name, test / name / ANALYSIS_RECORD, *([test / ANALYSIS_RECORD] if alone else [])]
    return next((path for path in candidates if path.with_name(f"{path.name}.{annotator}").is_file()), None)


def _without_suffix(path: Path, annotator: str) -> Path:
    return path.with_suffix("") if path.suffix in {".hea", ".dat", f".{annotator}"} else path


def _compare_files(name: str, reference: Path, test: Path, annotators: tuple[str, str], rules: Rules) -> Comparison:
    header = reference.with_name(f"{reference.name}.hea")
    content = read_header(header) if header.is_file() else None
    duration_s = content.n_frames / content.fs if content and content.n_frames is not None else None
    marks = read_marks(reference, annotators[0]), read_marks(test, annotators[1])
    try:
        return compare_annotators(*marks, duration_s=duration_s, rules=rules)
    except ConfigError as error:
        raise ConfigError(f"record '{name}': {error}") from error


def read_marks(path: Path, annotator: str) -> Marks:
    """Read the annotations of one annotator with their subtypes.

    Parameters
    ----------
    path : Path
        The record or annotation file, with or without suffix.
    annotator : str
        Suffix of the annotation file without dot.

    Returns
    -------
    marks : Marks

    Raises
    ------
    RecordFormatError
        If the file is missing or damaged, or nothing states the sampling frequency of its times.
    """
    annotations = read_annotations(path, annotator)
    return Marks(annotations, annotations.subtypes)
