"""How much a row needs to learn: scores by share of the training subjects and of their labels, and what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from heartbert.errors import ConfigError
from heartbert.progress import Progress, no_progress
from heartbert.protocols.comparison import (
    ComparisonTask,
    Draw,
    KeptOutcomes,
    Outcome,
    as_json,
    estimate,
    estimate_difference,
    keep_outcomes,
)

Axis = Literal["subjects", "labels"]
AXES: tuple[Axis, ...] = ("subjects", "labels")
FRACTIONS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class CurveSettings:
    """What is measured.

    Attributes
    ----------
    fractions : tuple of float
        Above 0, increasing, the last one 1: claims are made against all labels.
    n_seeds : int
        Each draws other subjects and trains anew.
    axes : tuple of Axis
        ``subjects``: a share of the training subjects, all their labels. ``labels``: all of them, a share of the labels
        of each.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    fractions: tuple[float, ...] = FRACTIONS
    n_seeds: int = 5
    axes: tuple[Axis, ...] = AXES

    def __post_init__(self) -> None:
        shares = self.fractions
        if not shares or shares[-1] != 1 or shares[0] <= 0 or list(shares) != sorted(set(shares)):
            raise ConfigError(
                f"fractions are {', '.join(f'{share:g}' for share in shares) or 'none'}; they must be above 0 and "
                "increase to 1, which every claim is compared with. Change them."
            )
        if self.n_seeds < 1 or not self.axes or not set(self.axes) <= set(AXES):
            raise ConfigError(
                f"{self.n_seeds} seeds for the axes {', '.join(self.axes) or 'none'}; at least one seed and one of "
                f"{', '.join(AXES)} are needed. Change them."
            )


def measure_label_efficiency(
    task: ComparisonTask, settings: CurveSettings, work: Path, *, progress: Progress = no_progress
) -> dict[str, Any]:
    """Train every row on every share from every seed, and say what follows for ours.

    Shares that draw the same subjects, and the whole of both axes, are trained once.

    Parameters
    ----------
    task : ComparisonTask
    settings : CurveSettings
    work : Path
        Folder of runs; an interrupted measurement continues there.
    progress : callable
        Told the row and the fraction done.

    Returns
    -------
    result : dict
        What the task tells of itself; ``score``; ``axes``: for each axis a list of points with ``share``, what was
        drawn and, by row, the score with its interval; ``claims``: for each axis what follows.

    Raises
    ------
    ConfigError
        If the folder holds runs of other data or another split.
    """
    store = keep_outcomes(task, work)
    points = [(axis, share) for axis in settings.axes for share in settings.fractions]
    curves: dict[str, list[dict[str, Any]]] = {axis: [] for axis in settings.axes}
    runs: dict[tuple[str, float, str], list[Outcome]] = {}
    for number, (axis, share) in enumerate(points):
        draws = [_draw(axis, share, seed) for seed in range(1, settings.n_seeds + 1)]
        scores = {}
        for row in task.rows:
            progress(f"{row}, {share:.0%} of the {axis}", number / len(points))
            runs[axis, share, row] = [_run(task, store, row, draw) for draw in draws]
            scores[row] = as_json(estimate(task, runs[axis, share, row]))
        curves[axis].append({"share": share, "drawn": _described(task, draws), "scores": scores})
    return {
        **task.facts,
        "ours": task.ours,
        "score": task.score_name,
        "n_seeds": settings.n_seeds,
        "intervals": f"95 %, bootstrap over each {task.unit} scored and over seeds, both drawn with replacement",
        "axes": curves,
        "claims": {axis: _claim(task, settings, axis, runs) for axis in settings.axes},
    }


def _draw(axis: Axis, share: float, seed: int) -> Draw:
    return Draw(subject_share=share, seed=seed) if axis == "subjects" else Draw(label_share=share, seed=seed)


def _run(task: ComparisonTask, store: KeptOutcomes, row: str, draw: Draw) -> Outcome:
    """Return the outcome of a row; shares that draw the same subjects are one run."""
    n_drawn = len(task.drawn(draw).subjects)
    n_all = len(task.drawn(Draw(label_share=draw.label_share, seed=draw.seed)).subjects)
    same = Draw(n_drawn / n_all, draw.label_share, draw.seed)
    return store.outcome(task, row, same)


def _described(task: ComparisonTask, draws: Sequence[Draw]) -> dict[str, Any]:
    """Say how many subjects and labels were drawn, and which classes were missing in how many draws."""
    drawn = [task.drawn(draw) for draw in draws]
    missing = sorted(name for one in drawn for name in one.missing)
    return {
        "n_subjects": len(drawn[0].subjects),
        "n_labels": [sum(one.n_labels.values()) for one in drawn],
        "draws_without_class": {name: missing.count(name) for name in dict.fromkeys(missing)},
        "subjects": [list(one.subjects) for one in drawn],
    }


def _claim(
    task: ComparisonTask,
    settings: CurveSettings,
    axis: Axis,
    runs: Mapping[tuple[str, float, str], Sequence[Outcome]],
) -> dict[str, Any]:
    """Compare ours at every share with what the best of the others reaches with everything."""
    others = [row for row in task.rows if row != task.ours]
    if not others:
        raise ConfigError(f"there is no row beside '{task.ours}'; a claim needs one to be compared with. Add one.")
    whole = {row: estimate(task, runs[axis, 1.0, row]) for row in others}
    best = max(others, key=lambda row: whole[row].mean)
    differences = {
        share: estimate_difference(task, runs[axis, share, task.ours], runs[axis, 1.0, best])
        for share in settings.fractions
    }
    reached = [share for share, one in differences.items() if one.mean >= 0]
    # Shown: the interval of the difference excludes that ours is worse.
    shown = [share for share, one in differences.items() if one.low >= 0]
    claim = {
        "best_baseline": best,
        "baseline_score": as_json(whole[best]),
        "differences": [{"share": share, **as_json(one)} for share, one in differences.items()],
        "reached_with": min(reached) if reached else None,
        "shown_with": min(shown) if shown else None,
    }
    return {**claim, "sentence": claim_sentence(task.ours, task.score_name, axis, claim)}


def claim_sentence(ours: str, score_name: str, axis: Axis, claim: Mapping[str, Any]) -> str:
    """Put what follows into words, from the numbers of a claim alone."""
    target = f"the {score_name} that '{claim['best_baseline']}' has with all labels"
    target += f" ({claim['baseline_score']['mean']:.3f})"
    differences = {one["share"]: one for one in claim["differences"]}
    share = claim["reached_with"]
    what = "training subjects" if axis == "subjects" else "labels of each training subject"
    if share is None:
        return (
            f"'{ours}' does not reach {target} with any share of the {what}: {_difference(differences[1.0])} with all."
        )
    shown = claim["shown_with"]
    certainty = "which the interval does not confirm" if shown is None else "confirmed by the interval"
    if shown is not None and shown > share:
        certainty = f"confirmed by the interval from {shown:.0%} on"
    lost = [one for one, found in differences.items() if one > share and found["mean"] < 0]
    again = f" With {', '.join(f'{one:.0%}' for one in lost)} it is below it again." if lost else ""
    reached = f"'{ours}' reaches {target} with {share:.0%} of the {what}"
    return f"{reached}: {_difference(differences[share])}, {certainty}.{again}"


def _difference(one: Mapping[str, float]) -> str:
    return f"{one['mean']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"
