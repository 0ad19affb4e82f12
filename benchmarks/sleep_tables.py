"""Tables of sleep staging, from the stored result of `benchmarks/sleep_slpdb.py`."""

from collections.abc import Callable, Mapping
from typing import Any

Interval = Callable[[dict[str, float]], str]
_SETS = {"stages3": "3 stages", "stages5": "5 stages"}
# Rows of ours: the part of the result, and what it is.
_OURS = {
    "beats": "beats: same head without encoder",
    "beats_where_tokens": "the same, scored where there are tokens",
    "tokens": "tokens",
    "both": "beats and tokens",
    "both_everywhere": "the same, scored everywhere",
}

# What was aimed at, by person: the best published scores on `slpdb` for 3 stages.
_GOALS = (("stages3", "accuracy", 0.77), ("stages3", "kappa", 0.56), ("stages5", "kappa", 0.40))


def sleep_table(result: Mapping[str, Any], interval: Interval, origin: str) -> str:
    """Return the scores by person of every input and baseline."""
    scores = {"accuracy": "accuracy", "kappa": "kappa", "macro_f1": "macro-F1"}
    heads = [f"{sets}: {name}" for sets in _SETS.values() for name in scores.values()]
    lines = ["| input | epochs | " + " | ".join(heads) + " |", "|---|---|" + "---|" * len(heads)]
    for name, row in _rows(result).items():
        if "could_not_run" in row:
            lines.append(f"| {name} | - |" + " - |" * len(heads))
            continue
        cells = [interval(row[of][score]) if of in row else "-" for of in _SETS for score in scores]
        lines.append(f"| {name} | {row['n_epochs']:,} | " + " | ".join(cells) + " |")
    beats = result["beats"]
    note = (
        f"`slpdb`, {beats['n_persons']} persons in {len(result['folds'])} folds, each tested once, choices made inside "
        f"the training persons; mean of {beats['n_seeds']} seeds, 95 % intervals by bootstrap over persons. {origin}"
    )
    return "\n".join([*lines, "", note])


def _rows(result: Mapping[str, Any]) -> dict[str, Any]:
    rows = dict(result["baselines"])
    rows["SleepECG, WRN-GRU trained on MESA"] = result["sleepecg"]
    return rows | {name: result[part] for part, name in _OURS.items() if part in result}


def sleep_goals_table(result: Mapping[str, Any], interval: Interval, origin: str) -> str:
    """Return goals beside the scores of beats and tokens together, and what the tokens add to the beats."""
    both, beats = result["both_everywhere"], result["beats"]
    lines = ["| all scored epochs | goal | beats and tokens | above or below | tokens add |", "|---|---|---|---|---|"]
    for of, score, goal in _GOALS:
        found = both[of][score]
        added = found["mean"] - beats[of][score]["mean"]
        cells = (f"{goal:.2f}", interval(found), f"{found['mean'] - goal:+.3f}", f"{added:+.3f}")
        lines.append(f"| {_SETS[of]}, {score} | " + " | ".join(cells) + " |")
    classes = both["stages5"]["per_class"]
    by_class = ", ".join(
        f"{name} {row['f1']:.2f} ({beats['stages5']['per_class'][name]['f1']:.2f})" for name, row in classes.items()
    )
    error = both["stages5"]["calibration"]["expected_calibration_error"]
    note = f"F1 of the 5 stages, beats alone in brackets: {by_class}. Expected calibration error {error:.3f}. {origin}"
    return "\n".join([*lines, "", note])


def sleep_splits_table(result: Mapping[str, Any], interval: Interval, origin: str) -> str:
    """Return what the published split of the text's rows is worth."""
    lines = ["| accuracy | published | published split | split by person |", "|---|---|---|---|"]
    for of, name in _SETS.items():
        ours = [interval(result[split][of]["accuracy"]) for split in ("paper_split", "person_split")]
        lines.append(f"| {name} | {result['published'][of]:.3f} | " + " | ".join(ours) + " |")
    note = (
        "One text of 30 s at a time, frozen encoder, the same small network; mean (lowest-highest) of the seeds. "
        f"{origin}"
    )
    return "\n".join([*lines, "", note])


def sleep_night_table(result: Mapping[str, Any], origin: str) -> str:
    """Return what staging a night costs."""
    lines = ["| recording | processor seconds | peak memory | before any of it |", "|---|---|---|---|"]
    for row in result["rows"]:
        cells = (f"{row['hours']:g} h", f"{row['processor_seconds']:.0f}")
        lines.append("| " + " | ".join([*cells, f"{row['peak_mb']:.0f} MB", f"{row['before_mb']:.0f} MB"]) + " |")
    note = (
        f"Generated, one lead at {result['fs']:g} Hz, one core, from samples to stages. An hour more takes "
        f"{result['mb_an_hour']:.1f} MB more. {origin}"
    )
    return "\n".join([*lines, "", note])
