"""Classified beats -> counts by recording, and counts -> scores with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.evaluation.bootstrap import bootstrap
from heartbert.evaluation.ec57 import LEARNING_PERIOD_S, STANDARD, Rules, compare_annotators
from heartbert.evaluation.ec57_marks import Marks
from heartbert.evaluation.ec57_statistics import average_statistics, beat_statistics
from heartbert.evaluation.heartbeats import score_tables, table_of_pairs
from heartbert.predictions.labels import AamiClass
from heartbert.protocols.beat_records import BeatRecord
from heartbert.records.record import Annotations
from heartbert.signals.resampling import TARGET_FS

# Published scores on MIT-BIH count all beats; EC57 leaves out the learning period. Both are given.
WHOLE_RECORD = Rules(start_s=0.0)
# Bins of equal width for the expected calibration error.
N_BINS = 15


@dataclass(frozen=True)
class Run:
    """What one trained row made of the scored recordings.

    Attributes
    ----------
    records : tuple of str
    pairs, standard_pairs : ndarray of int64, shape (n_records, 7, 7)
        Compared after EC57 over all of each recording, and without its learning period; 0 where it is no longer than
        that.
    bins : ndarray of float64, shape (n_records, 15, 3)
        For the expected calibration error, by confidence: beats with a reference beat, sum of their confidence, and
        number of those classified rightly.
    """

    records: tuple[str, ...]
    pairs: npt.NDArray[np.int64]
    standard_pairs: npt.NDArray[np.int64]
    bins: npt.NDArray[np.float64]

    def as_json(self) -> dict[str, Any]:
        """Return everything as lists and numbers."""
        arrays = {name: getattr(self, name).tolist() for name in ("pairs", "standard_pairs", "bins")}
        return {"records": list(self.records), **arrays}


def run_from_json(content: Mapping[str, Any]) -> Run:
    """Build a run from what `Run.as_json` gave."""
    return Run(
        tuple(content["records"]),
        np.array(content["pairs"], dtype=np.int64),
        np.array(content["standard_pairs"], dtype=np.int64),
        np.array(content["bins"], dtype=np.float64),
    )


def score_records(records: Sequence[BeatRecord], probabilities: Sequence[npt.NDArray[np.float32]]) -> Run:
    """Compare classified beats with the reference annotations.

    The classes come from the probabilities of each recording, shape (n_beats, 5). Only beats are compared: what the
    preprocessing takes for unscorable is no shutdown here, so a beat missed there counts as missed.
    """
    scored = list(zip(records, probabilities, strict=True))
    none = np.zeros((7, 7), dtype=np.int64)
    return Run(
        tuple(record.beats.record for record in records),
        np.stack([_pairs(record, found, WHOLE_RECORD) for record, found in scored]),
        np.stack(
            [_pairs(one, found, STANDARD) if one.duration_s > LEARNING_PERIOD_S else none for one, found in scored]
        ),
        np.stack([calibration_bins(record.beats.labels, found) for record, found in scored]),
    )


def _pairs(record: BeatRecord, probabilities: npt.NDArray[np.float32], rules: Rules) -> npt.NDArray[np.int64]:
    n_beats = record.beats.r_peaks.size
    symbols = tuple(AamiClass(beat_class).name for beat_class in np.argmax(probabilities, axis=1).tolist())
    found = Annotations(record.beats.r_peaks, symbols, ("",) * n_beats, TARGET_FS)
    marks = Marks(found, np.zeros(n_beats, dtype=np.int64))
    return compare_annotators(record.reference, marks, duration_s=record.duration_s, rules=rules).counts


def calibration_bins(labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Sum up labelled examples by the confidence of their class; see `Run.bins` for the columns."""
    confidence = probabilities.max(axis=1)[labels >= 0].astype(np.float64)
    right = (np.argmax(probabilities, axis=1) == labels)[labels >= 0]
    number = np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)
    columns = (np.ones_like(confidence), confidence, right)
    return np.stack([np.bincount(number, column, minlength=N_BINS) for column in columns], axis=1)


def calibration_error(bins: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the expected calibration error of bins of shape (..., 15, 3); NaN without examples.

    Mean of |share classified rightly - mean confidence| over the bins, weighted by their examples (Naeini et al.,
    AAAI 2015).
    """
    n_examples = bins[..., 0].sum(axis=-1)
    apart = np.abs(bins[..., 2] - bins[..., 1]).sum(axis=-1)
    return np.asarray(apart / np.where(n_examples > 0, n_examples, np.nan))


def summarise_runs(runs: Sequence[Run]) -> dict[str, Any]:
    """Score the runs of one row, one from each seed, with intervals over recordings.

    Returns
    -------
    summary : dict
        ``accuracy``, ``macro_f1``, ``f1``, ``sensitivity`` and ``positive_predictivity`` by class, ``ece``, each with
        mean, low and high; ``average``, the mean over recordings; ``confusion``, the mean over seeds; ``ec57``, the
        same without the learning period, with the statistics of the standard; and ``macro_f1_by_seed``.
    """
    tables = table_of_pairs(np.stack([run.pairs for run in runs]))  # (n_seeds, n_records, 6, 6)
    standard = np.stack([run.standard_pairs for run in runs])
    bins = np.stack([run.bins for run in runs])
    estimates = bootstrap(bins, lambda totals: {"ece": calibration_error(totals)})
    by_record = score_tables(tables.astype(np.float64))
    summary = {
        **scores_with_intervals(tables),
        **{name: asdict(estimate) for name, estimate in estimates.items()},
        "average": {name: _mean_over_records(by_record[name]) for name in ("accuracy", "macro_f1")},
        "confusion": tables.sum(axis=1).mean(axis=0).tolist(),
        "macro_f1_by_seed": score_tables(tables.sum(axis=1).astype(np.float64))["macro_f1"].tolist(),
    }
    if standard.any():
        summary["ec57"] = {**scores_with_intervals(table_of_pairs(standard)), **_standard_statistics(standard)}
    return summary


def scores_with_intervals(tables: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Score confusion matrices of shape (n_seeds, n_units, 6, 6); names with a dot become tables in tables."""
    nested: dict[str, Any] = {}
    for name, estimate in bootstrap(tables, score_tables).items():
        table, _, key = name.partition(".")
        if key:
            nested.setdefault(table, {})[key] = asdict(estimate)
        else:
            nested[name] = asdict(estimate)
    return nested


def _mean_over_records(values: npt.NDArray[np.float64]) -> float:
    return float(np.mean(values))


def _standard_statistics(pairs: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return the statistics of EC57, gross and average over recordings, each the mean over seeds."""
    gross = [{name: ratio.value for name, ratio in beat_statistics(seed.sum(axis=0)).items()} for seed in pairs]
    average = [average_statistics([beat_statistics(record) for record in seed if record.any()]) for seed in pairs]
    return {"gross": _mean_of(gross), "average": _mean_of(average)}


def _mean_of(statistics: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name in statistics[0]:
        known = [value for one in statistics if (value := one[name]) is not None]
        means[name] = float(np.mean(known)) if known else None
    return means


def scores_by_record(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Score each recording, mean over seeds, those with most errors first.

    Returns
    -------
    rows : list of dict
        ``record``, ``n_beats``, ``n_errors`` (beats missed, of the wrong class, or not there), ``share_of_errors`` of
        all recordings, ``accuracy``, ``macro_f1`` and the F1 and number of beats of each class.
    """
    tables = table_of_pairs(np.stack([run.pairs for run in runs])).mean(axis=0)  # (n_records, 6, 6)
    scores = score_tables(tables)
    n_errors = tables.sum(axis=(1, 2)) - np.trace(tables, axis1=1, axis2=2)
    rows = []
    for number in np.argsort(-n_errors, kind="stable").tolist():
        by_class = {
            name: value
            for one in list(AamiClass)[:4]
            for name, value in (
                (f"n_{one.name}", float(tables[number, one].sum())),
                (f"f1_{one.name}", _known(scores[f"f1.{one.name}"][number])),
            )
        }
        rows.append(
            {
                "record": runs[0].records[number],
                "n_beats": float(tables[number, : len(AamiClass)].sum()),
                "n_errors": float(n_errors[number]),
                "share_of_errors": float(n_errors[number] / max(n_errors.sum(), 1)),
                "accuracy": float(scores["accuracy"][number]),
                "macro_f1": float(scores["macro_f1"][number]),
                **by_class,
            }
        )
    return rows


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
