"""Tables of the claims: few labels, few parameters, other encoders. Each takes one task's part of a stored result."""

from typing import Any

_AXES = {"subjects": "training subjects", "labels": "labels of each training subject"}


def label_efficiency_table(result: dict[str, Any], origin: str) -> str:
    """Return the score of every row by share, a table for each axis, and what follows."""
    parts = []
    for axis, points in result["axes"].items():
        lines = [
            f"| {result['score']}, share of the {_AXES[axis]} | " + " | ".join(_share(one) for one in points) + " |",
            "|---|" + "---|" * len(points),
        ]
        for row in points[0]["scores"]:
            lines.append(f"| {row} | " + " | ".join(_score(point["scores"][row]) for point in points) + " |")
        parts += ["\n".join(lines), f"{result['claims'][axis]['sentence']} {_missing(points)}".strip()]
    stretch = f" Labels are {result['label_stretch']}." if "labels" in result["axes"] else ""
    parts.append(f"{_scored(result)}{stretch} {_note(result)} {origin}")
    return "\n\n".join(parts)


def parameter_efficiency_table(result: dict[str, Any], origin: str) -> str:
    """Return cost and score of every setting."""
    lines = [
        "| setting | encoder | parameters that learn | in all | Mflop a lead-second | ms a lead-second | peak memory "
        f"| {result['score']} | front by |",
        "|---|" + "---|" * 8,
    ]
    names = {"n_trainable": "parameters", "mflops": "operations", "latency_ms": "time", "peak_mb": "memory"}
    for row in result["rows"]:
        cells = (
            f"{row['kind']}, {row['label']}",
            row["bundle"] or "-",
            f"{row['n_trainable']:,}",
            f"{row['n_total']:,}",
            f"{row['mflops']:.1f}",
            f"{row['latency_ms']:.2f}",
            f"{row['peak_mb']:.0f} MB",
            _score(row["score"]),
            ", ".join(names[cost] for cost in row["pareto"]) or "-",
        )
        lines.append("| " + " | ".join(cells) + " |")
    threads = sorted({row["n_threads"] for row in result["rows"]})
    note = (
        f"{_scored(result)} Cost of {result['footprint_of']} on the CPU, {threads[0]} thread{'s'[: threads[0] > 1]}, "
        f"median of the repeats. {_note(result)} {origin}"
    )
    return "\n".join([*lines, "", note])


def rivals_table(result: dict[str, Any], origin: str) -> str:
    """Return the score of every encoder and baseline, the best first."""
    lines = [f"| row | {result['score']} | ours less this |", "|---|---|---|"]
    for row in result["rows"]:
        less = "-" if row["name"] == result["ours"] else _score(row["ours_less_this"], sign="+")
        lines.append(f"| {row['name']} | {_score(row['score'])} | {less} |")
    note = f"{result['sentence']} {_scored(result)} {_note(result)} {origin}"
    return "\n".join([*lines, "", note])


def _share(point: dict[str, Any]) -> str:
    return f"{point['share']:.0%} ({point['drawn']['n_subjects']})"


def _missing(points: list[dict[str, Any]]) -> str:
    """Say how many draws of each share have no label of a class; Q, of a handful of beats, is not scored."""
    shares = []
    for point in points:
        drawn = point["drawn"]
        counts = [f"{name} in {number}" for name, number in drawn["draws_without_class"].items() if name != "Q"]
        if counts:
            shares.append(f"{point['share']:.0%}: {', '.join(counts)} of {len(drawn['n_labels'])}")
    return f"Draws without any label of a class: {'; '.join(shares)}." if shares else ""


def _scored(result: dict[str, Any]) -> str:
    seeds = f"{result['n_seeds']} seed{'s'[: result['n_seeds'] > 1]}"
    return f"{result['database']}, {result['side']}: {len(result['scored'])} scored; {seeds}."


def _note(result: dict[str, Any]) -> str:
    leaks = "".join(f" Allowed: {leak}." for leak in result["leaks"])
    limit = f" The first {result['minutes']:g} minutes of each record." if result.get("minutes") else ""
    return f"Intervals: {result['intervals']}.{limit} Chosen: {result['how_chosen']}.{leaks}"


def _score(score: dict[str, float], *, sign: str = "") -> str:
    return f"{score['mean']:{sign}.3f} ({score['low']:{sign}.3f} to {score['high']:{sign}.3f})"
