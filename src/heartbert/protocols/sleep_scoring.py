"""Predicted nights -> the numbers of one row of a table: intervals over persons, by class, by person, calibrated."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.evaluation.bootstrap import bootstrap
from heartbert.evaluation.sleep import scores_by_class, stage_counts, stage_scores
from heartbert.predictions.calibration import expected_calibration_error, reliability_bins, risk_coverage
from heartbert.predictions.sleep_labels import STAGE_SETS, UNSCORED, StageSetName
from heartbert.protocols.sleep_rows import Probabilities
from heartbert.training.sleep import LabelledNight

N_DRAWS = 1000


@dataclass(frozen=True)
class PredictedNight:
    """A test night with the probabilities that one training seed gave it.

    Attributes
    ----------
    night : LabelledNight
    probabilities : mapping of str to ndarray of float32, shape (n_epochs, n_classes)
    """

    night: LabelledNight
    probabilities: Probabilities


def score_row(seeds: Sequence[Sequence[PredictedNight]], *, with_tokens_only: bool = False) -> dict[str, Any]:
    """Score all test nights of a row.

    Parameters
    ----------
    seeds : sequence of sequence of PredictedNight
        For each training seed all test nights, each night in one fold.
    with_tokens_only : bool, default False
        Score only the epochs that have tokens.

    Returns
    -------
    scores : dict
        ``n_epochs``, ``n_persons``, ``n_seeds``, and for each set of classes accuracy, kappa and macro-F1 with 95 %
        intervals by bootstrap over persons, ``per_class``, ``confusion`` (mean over seeds), ``per_subject`` and
        ``calibration``.
    """
    chosen = [[_only_with_tokens(one) if with_tokens_only else one for one in seed] for seed in seeds]
    persons = sorted({one.night.subject_id for one in chosen[0]})
    n_epochs = sum(int((one.night.stages >= 0).sum()) for one in chosen[0])
    head = {"n_epochs": n_epochs, "n_persons": len(persons), "n_seeds": len(chosen)}
    return {**head, **{name: _score_set(chosen, name, persons) for name in STAGE_SETS}}


def _only_with_tokens(one: PredictedNight) -> PredictedNight:
    return PredictedNight(one.night.only_with_tokens(), one.probabilities)


def _score_set(seeds: Sequence[Sequence[PredictedNight]], name: StageSetName, persons: Sequence[str]) -> dict[str, Any]:
    counts = np.stack([_counts_by_person(seed, name, persons) for seed in seeds])  # (n_seeds, n_persons, n, n)
    scores = bootstrap(counts, stage_scores, n_resamples=N_DRAWS)
    classes = STAGE_SETS[name].classes
    return {
        **{key: asdict(estimate) for key, estimate in scores.items()},
        "per_class": scores_by_class(counts.sum(axis=(0, 1)), classes),
        "confusion": counts.sum(axis=1).mean(axis=0).tolist(),
        "per_subject": {
            person: {key: float(value.mean()) for key, value in stage_scores(counts[:, number]).items()}
            for number, person in enumerate(persons)
        },
        "calibration": _calibration(seeds, name),
    }


def _counts_by_person(
    nights: Sequence[PredictedNight], name: StageSetName, persons: Sequence[str]
) -> npt.NDArray[np.int64]:
    n_classes = len(STAGE_SETS[name].classes)
    counts = np.zeros((len(persons), n_classes, n_classes), dtype=np.int64)
    for one in nights:
        found = np.argmax(one.probabilities[name], axis=1)
        labels = STAGE_SETS[name].labels(one.night.stages)
        counts[persons.index(one.night.subject_id)] += stage_counts(labels, found, n_classes)
    return counts


def _calibration(seeds: Sequence[Sequence[PredictedNight]], name: StageSetName) -> dict[str, Any]:
    """Return the calibration error, and what abstaining below a confidence leaves and how often that is wrong."""
    labels = np.concatenate([STAGE_SETS[name].labels(one.night.stages) for seed in seeds for one in seed])
    probabilities = np.concatenate([one.probabilities[name] for seed in seeds for one in seed])
    known = labels != UNSCORED
    bins = reliability_bins(probabilities[known], labels[known])
    points = risk_coverage(probabilities[known], labels[known])
    return {
        "expected_calibration_error": expected_calibration_error(bins),
        "risk_coverage": [asdict(point) for point in points],
    }


def short_scores(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Leave out of a row what a table does not show."""
    return {name: {key: row[name][key] for key in ("accuracy", "kappa", "macro_f1")} for name in STAGE_SETS}
