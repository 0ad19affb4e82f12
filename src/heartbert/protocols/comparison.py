"""What a benchmark needs of a task: rows that learn from a share of the training side, and scores with intervals.

A task (heartbeats, sleep, ...) is one object that keeps to `ComparisonTask`; the benchmarks of few labels, few
parameters and rival encoders are written against it and know nothing else of the task.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError
from heartbert.evaluation.bootstrap import N_RESAMPLES
from heartbert.protocols.run_store import open_run_store, write_json

Floats = npt.NDArray[np.float64]
# What a trained row made of every scored unit (recording or person): first axis the units, the rest is the task's own.
Outcome = npt.NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Draw:
    """What of the training side a row may learn from.

    Attributes
    ----------
    subject_share : float
        Share of the training subjects; at least one is drawn.
    label_share : float
        Share of the labels of each of them: those of one stretch of time.
    seed : int
        Of who and what is drawn, and of the training.
    """

    subject_share: float = 1.0
    label_share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("subject_share", "label_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0 and at most 1. Change it.")


class ComparisonTask(Protocol):
    """A task with labels, split by person, and the rows that are compared on it."""

    @property
    def ours(self) -> str:
        """The row whose claims are tested."""

    @property
    def rows(self) -> Sequence[str]:
        """All rows, ours among them."""

    @property
    def score_name(self) -> str:
        """What `scores` gives, for people."""

    @property
    def unit(self) -> str:
        """What the intervals are taken over, one of it: "recording" or "person"."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """For the result, ready for JSON: database, side, who is scored, what leaks were allowed."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Data and split, ready for JSON; kept runs of another identity are refused."""

    def told(self, row: str) -> Mapping[str, Any]:
        """Return what a run of that row depends on beside its draw, ready for JSON: settings, and the encoder."""

    def drawn(self, draw: Draw) -> "DrawnLabels":
        """Say what a draw holds, without training."""

    def run(self, row: str, draw: Draw) -> Outcome:
        """Train a row on a draw and give what it makes of every scored unit, shape (n_units, ...)."""

    def scores(self, outcomes: Floats, weights: Floats) -> Floats:
        """Score outcomes of shape (n_seeds, n_units, ...), units counted by weights of shape (n_draws, n_units).

        Returns
        -------
        scores : ndarray of float64, shape (n_draws, n_seeds)
        """


@dataclass(frozen=True)
class DrawnLabels:
    """What a draw shows to a row: subjects, and labels by class; the classes are those of the task, none left out."""

    subjects: tuple[str, ...]
    n_labels: Mapping[str, int]

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes without any label, which a row cannot learn."""
        return tuple(name for name, number in self.n_labels.items() if not number)


def draw_subjects(subjects: Sequence[str], share: float, seed: int) -> tuple[str, ...]:
    """Draw a share of subjects, at least one; a larger share of one seed holds all of a smaller one.

    Examples
    --------
    >>> [len(draw_subjects(["a", "b", "c", "d"], share, seed=1)) for share in (0.01, 0.5, 1.0)]
    [1, 2, 4]
    """
    order = np.random.default_rng(seed).permutation(len(subjects))
    return tuple(subjects[index] for index in order[: max(1, round(share * len(subjects)))])


def draw_stretch(n_units: int, share: float, seed: Sequence[int], *, at_least: int) -> slice:
    """Draw one stretch of consecutive units (beats, epochs), a share of all, at a random place.

    Examples
    --------
    >>> stretch = draw_stretch(200, 0.1, (1, 2), at_least=8)
    >>> stretch.stop - stretch.start
    20
    """
    length = min(n_units, max(at_least, round(share * n_units)))
    start = int(np.random.default_rng(seed).integers(n_units - length + 1))
    return slice(start, start + length)


def summed_scores(outcomes: Floats, weights: Floats, score: Callable[[Floats], Floats]) -> Floats:
    """Score outcomes that add up over units, as counts do; the usual body of `ComparisonTask.scores`."""
    totals = np.tensordot(weights.astype(np.float64), outcomes.astype(np.float64), axes=(1, 1))
    return score(totals)  # of shape (n_draws, n_seeds, ...)


@dataclass(frozen=True)
class SeedEstimate:
    """A score with an interval that knows who was tested, and who was drawn for training.

    Attributes
    ----------
    mean : float
        Mean over seeds.
    low, high : float
        Percentile interval, 95 %, of draws of units and of seeds, both with replacement.
    by_seed : tuple of float
    """

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]


def estimate(task: ComparisonTask, runs: Sequence[Outcome]) -> SeedEstimate:
    """Estimate the score of the runs of one row, one from each seed."""
    values, seed_weights = _resampled(task, np.stack(runs))
    return _summary(values, seed_weights)


def estimate_difference(task: ComparisonTask, runs: Sequence[Outcome], others: Sequence[Outcome]) -> SeedEstimate:
    """Estimate the score of one row less that of another, seed by seed, units and seeds drawn alike for both."""
    n_seeds = min(len(runs), len(others))
    ours, seed_weights = _resampled(task, np.stack(runs[:n_seeds]))
    theirs, _ = _resampled(task, np.stack(others[:n_seeds]))
    return _summary(ours - theirs, seed_weights)


def _resampled(task: ComparisonTask, outcomes: Outcome) -> tuple[Floats, Floats]:
    """Return scores of draws of units, all units first, and weights of the seeds; shape (1 + n_resamples, n_seeds)."""
    n_seeds, n_units = outcomes.shape[:2]
    rng = np.random.default_rng(0)

    def draws(n: int) -> Floats:
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
        return np.concatenate([np.ones((1, n)), drawn.astype(np.float64)])

    unit_weights, seed_weights = draws(n_units), draws(n_seeds)
    return task.scores(outcomes.astype(np.float64), unit_weights), seed_weights / n_seeds


def _summary(values: Floats, seed_weights: Floats) -> SeedEstimate:
    means = (values * seed_weights).sum(axis=1)
    low, high = np.percentile(means[1:], [2.5, 97.5])
    return SeedEstimate(float(means[0]), float(low), float(high), tuple(values[0].tolist()))


def as_json(one: SeedEstimate) -> dict[str, Any]:
    """Return an estimate as numbers and a list."""
    return {**asdict(one), "by_seed": list(one.by_seed)}


@dataclass(frozen=True)
class KeptOutcomes:
    """Runs that are done, in a folder; an interrupted benchmark takes them from there. Made by `keep_outcomes`."""

    folder: Path

    def get(
        self,
        key: Sequence[str | float],
        make: Callable[[], T],
        *,
        decode: Callable[[Any], T],
        encode: Callable[[T], Any],
    ) -> T:
        """Return what was kept under a key; it is made, and kept as JSON, where it is not there.

        Raises
        ------
        ConfigError
            If the file of that run is damaged.
        """
        path = self.folder / f"{hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:16]}.json"
        if path.exists():
            try:
                return decode(json.loads(path.read_text(encoding="utf-8"))["made"])
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"'{path}' holds no run ({error}); remove it and start again.") from error
        made = make()
        write_json(path, {"run": list(key), "made": encode(made)})
        return made

    def outcome(self, task: ComparisonTask, row: str, draw: Draw) -> Outcome:
        """Return the outcome of a row on a draw; it is trained where it was not yet."""
        settings = json.dumps(task.told(row), sort_keys=True)
        key = (row, settings, draw.subject_share, draw.label_share, draw.seed)
        return self.get(
            key,
            lambda: task.run(row, draw),
            decode=lambda made: np.array(made, dtype=np.float64),
            encode=lambda made: made.tolist(),
        )


def keep_outcomes(task: ComparisonTask, folder: Path) -> KeptOutcomes:
    """Open a folder of runs of a task.

    Raises
    ------
    ConfigError
        If it holds runs of other data or another split; the message names the first that differs.
    """
    return KeptOutcomes(open_run_store(folder, task.identity).folder)
