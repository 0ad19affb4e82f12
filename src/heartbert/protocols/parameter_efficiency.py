"""What a setting costs and what it is worth: parameters that learn, operations, time, memory, score; Pareto fronts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from heartbert.errors import ConfigError
from heartbert.progress import Progress, no_progress
from heartbert.protocols.comparison import ComparisonTask, Draw, KeptOutcomes, as_json, estimate, keep_outcomes
from heartbert.protocols.footprint import Footprint, FootprintTask, measure_in_fresh_process

COSTS = ("n_trainable", "mflops", "latency_ms", "peak_mb")


@dataclass(frozen=True)
class Variant:
    """One setting of encoder and head.

    Attributes
    ----------
    row : str
        Row of the task that trains it.
    label, kind : str
        For plots and tables: the setting, and what it is one of.
    n_trainable : int
        Parameters that learn from labels.
    footprint : FootprintTask
        What is run to know its cost. Weights that learn cost nothing more when they are used, so variants of one
        encoder and head have one footprint.
    bundle : str
        Name of the encoder's bundle; empty without encoder.
    """

    row: str
    label: str
    kind: str
    n_trainable: int
    footprint: FootprintTask
    bundle: str = ""


def measure_parameter_efficiency(
    task: ComparisonTask,
    variants: Sequence[Variant],
    work: Path,
    *,
    n_seeds: int = 5,
    measure: Callable[[FootprintTask], Footprint] = measure_in_fresh_process,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure the cost and the score of every variant.

    Parameters
    ----------
    task : ComparisonTask
    variants : sequence of Variant
    work : Path
        Folder of runs and footprints; an interrupted measurement continues there.
    n_seeds : int
    measure : callable
        Measures a footprint.
    progress : callable
        Told the variant and the fraction done.

    Returns
    -------
    result : dict
        What the task tells of itself, and ``rows``: for each variant what `Variant` says, the footprint, ``n_total``,
        ``score`` with its interval, and ``pareto``: by which costs no other variant is both cheaper and better.

    Raises
    ------
    ConfigError
        If there is no variant or no seed, or the folder holds runs of other data or another split.
    """
    if not variants or n_seeds < 1:
        raise ConfigError(f"{len(variants)} variants and {n_seeds} seeds; at least one of each is needed.")
    store = keep_outcomes(task, work)
    rows = []
    for number, variant in enumerate(variants):
        progress(f"{variant.kind}, {variant.label}", number / len(variants))
        footprint = _footprint(store, variant.footprint, measure)
        runs = [store.outcome(task, variant.row, Draw(seed=seed)) for seed in range(1, n_seeds + 1)]
        rows.append(
            {
                **{name: getattr(variant, name) for name in ("label", "kind", "bundle", "n_trainable")},
                "n_total": footprint.n_encoder + footprint.n_head,
                **asdict(footprint),
                "score": as_json(estimate(task, runs)),
            }
        )
    return {
        **task.facts,
        "score": task.score_name,
        "n_seeds": n_seeds,
        "intervals": f"95 %, bootstrap over each {task.unit} scored and over seeds, both drawn with replacement",
        "footprint_of": f"one lead of {variants[0].footprint.seconds:g} s",
        "rows": with_pareto(rows),
    }


def _footprint(store: KeptOutcomes, task: FootprintTask, measure: Callable[[FootprintTask], Footprint]) -> Footprint:
    key = ("footprint", str(task.bundle), task.head, task.n_units, task.layer, task.signal.size, task.fs)
    return store.get(key, lambda: measure(task), decode=lambda made: Footprint(**made), encode=asdict)


def with_pareto(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mark by which costs each row is on the Pareto front: no other is better and no dearer, or cheaper and no worse.

    Examples
    --------
    >>> costs = [dict.fromkeys(COSTS, cost) for cost in (1, 2, 3)]
    >>> rows = [{**cost, "score": {"mean": score}} for cost, score in zip(costs, (0.5, 0.4, 0.6))]
    >>> [row["pareto"] != [] for row in with_pareto(rows)]
    [True, False, True]
    """

    def is_beaten(row: Mapping[str, Any], cost: str) -> bool:
        own = row["score"]["mean"]
        return any(
            (other[cost] <= row[cost] and other["score"]["mean"] > own)
            or (other[cost] < row[cost] and other["score"]["mean"] >= own)
            for other in rows
        )

    return [{**row, "pareto": [cost for cost in COSTS if not is_beaten(row, cost)]} for row in rows]
