"""Tables of the DS1 to DS2 protocol and of its speed, from stored results."""

from collections.abc import Callable, Mapping
from typing import Any

from heartbert.protocols.beat_reports import rows_of

Interval = Callable[[dict[str, float]], str]
_CLASSES = ("N", "S", "V", "F", "Q", "none")
# What was aimed at on DS2, one lead: the best honest published scores (docs/method.md), or above.
_GOALS = {"macro_f1": 0.70, "S": 0.77, "V": 0.93, "accuracy": 0.96}
_DETECTED_WITHIN = 0.01
_WORST = 8


def ds1_ds2_table(result: Mapping[str, Any], placement: str, interval: Interval, origin: str) -> str:
    """Return the scores of one placement of beats, one row a method, with intervals over recordings."""
    block = result.get(placement, result)
    lines = ["|  | macro-F1 | F1 S | F1 V | F1 F | accuracy | EC57: S | V |", "|---|" + "---|" * 7]
    for row, scores in rows_of(block).items():
        f1 = [interval(scores["f1"][one]) for one in "SVF"]
        # F1 of ectopic beats after EC57: gross, without the learning period.
        gross = scores["ec57"]["gross"]
        standard = [_se_ppv(gross, of) for of in ("SVEB", "VEB")]
        cells = (interval(scores["macro_f1"]), *f1, interval(scores["accuracy"]), *standard)
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    whose = "our detector" if placement == "detected" else "the reference annotation"
    lines += [
        "",
        f"Macro-F1 of heartbert less that of the best baseline ({block['best_baseline']}): "
        f"{interval(block['difference'])}. Beats placed by {whose}, one lead; mean of {result['heads']['n_seeds']} "
        f"seeds, 95 % intervals by bootstrap over recordings. {origin}",
    ]
    return "\n".join(lines)


def ds1_ds2_apart_table(result: Mapping[str, Any], interval: Interval, origin: str) -> str:
    """Return macro-F1 with and without the training record of a person of DS2, for both placements of beats."""
    apart = result["without_201"]
    blocks = (result, apart, result["detected"], apart["detected"])
    lines = [
        "| macro-F1 | reference beats | the same without 201 | detected beats | the same without 201 |",
        "|---|" + "---|" * len(blocks),
    ]
    for row in rows_of(apart):
        lines.append(f"| {row} | " + " | ".join(interval(rows_of(block)[row]["macro_f1"]) for block in blocks) + " |")
    lines.append(
        "| heartbert less the best baseline | " + " | ".join(interval(one["difference"]) for one in blocks) + " |"
    )
    return "\n".join([*lines, "", origin])


def published_windows_table(result: Mapping[str, Any], interval: Interval, origin: str) -> str:
    """Return the published task split at random and by person, and what the leak was worth."""
    random_windows = rows_of(result["random_windows"])
    lines = [
        "| macro-F1 | windows split at random, as published | split by person | worth of the leak |",
        "|---|---|---|---|",
    ]
    for row, scores in rows_of(result).items():
        pair = (interval(one["macro_f1"]) for one in (random_windows[row], scores))
        lines.append(f"| {row} | " + " | ".join([*pair, interval(result["worth_of_the_leak"][row])]) + " |")
    n_seeds = result["heads"]["n_seeds"]
    note = (
        "Windows of 3 s of DS1 with the class of their gravest beat, five folds, each tested once; "
        f"{n_seeds} seed{'s'[: n_seeds > 1]}, 95 % intervals by bootstrap over recordings. {origin}"
    )
    return "\n".join([*lines, "", note])


def late_fusion_table(result: Mapping[str, Any], interval: Interval, origin: str) -> str:
    """Return the scores of one lead, of the other, and of both."""
    lines = ["| judged by | macro-F1 | F1 S | F1 V | accuracy |", "|---|---|---|---|---|"]
    for row, scores in result["rows"].items():
        cells = (scores["macro_f1"], scores["f1"]["S"], scores["f1"]["V"], scores["accuracy"])
        lines.append(f"| {row} | " + " | ".join(map(interval, cells)) + " |")
    records = ", ".join(result["records"])
    note = f"Records {records}, beats of the reference, the head that ships; 95 % intervals over recordings. {origin}"
    return "\n".join([*lines, "", note])


def head_folds_table(result: Mapping[str, Any], interval: Interval, origin: str) -> str:
    """Return what heads that read different things score on persons left out."""
    columns = {"macro_f1": "macro-F1", "f1.S": "F1 S", "f1.V": "F1 V", "accuracy": "accuracy"}
    lines = ["| what the head reads | " + " | ".join(columns.values()) + " |", "|---|" + "---|" * len(columns)]
    for row, scores in result["rows"].items():
        lines.append(f"| {row} | " + " | ".join(interval(scores[column]) for column in columns) + " |")
    n_records = sum(len(fold) for fold in result["folds"])
    note = (
        f"{n_records} records of DS1 in {len(result['folds'])} folds of persons, beats of the reference, one lead; "
        f"mean (lowest-highest) over {result['n_seeds']} seeds. {origin}"
    )
    return "\n".join([*lines, "", note])


def _se_ppv(gross: Mapping[str, float | None], of: str) -> str:
    se, ppv = gross[f"{of} Se"], gross[f"{of} +P"]
    return "-" if se is None or ppv is None else f"{se:.2f}/{ppv:.2f}"


def ds1_ds2_goals_table(result: Mapping[str, Any], interval: Interval, origin: str) -> str:
    """Return goals beside scores."""
    found = {"macro_f1": result["macro_f1"], **{one: result["f1"][one] for one in "SV"}, "accuracy": result["accuracy"]}
    names = {"macro_f1": "macro-F1", "S": "F1 S", "V": "F1 V", "accuracy": "accuracy"}
    lines = ["| reference beats, one lead | goal | here | above or below |", "|---|---|---|---|"]
    for key, goal in _GOALS.items():
        lines.append(f"| {names[key]} | {goal:.2f} | {interval(found[key])} | {found[key]['mean'] - goal:+.3f} |")
    detected = result["detected"]["macro_f1"]
    lost = result["macro_f1"]["mean"] - detected["mean"]
    lines.append(
        f"| macro-F1 lost with detected beats | {_DETECTED_WITHIN:.2f} | {lost:.3f} | {_DETECTED_WITHIN - lost:+.3f} |"
    )
    few, boosting = result["few_labels_10"]["macro_f1"], result["boosting_100"]["macro_f1"]
    lines.append(
        f"| macro-F1 with 10 % of the labels, boosting with all | {interval(boosting)} | {interval(few)} "
        f"| {few['mean'] - boosting['mean']:+.3f} |"
    )
    return "\n".join([*lines, "", f"Expected calibration error {interval(result['ece'])}. {origin}"])


def ds1_ds2_confusion_table(result: Mapping[str, Any], origin: str) -> str:
    """Return the confusion matrix of ours."""
    lines = ["| reference \\ found | " + " | ".join(_CLASSES) + " |", "|---|" + "---|" * len(_CLASSES)]
    for name, row in zip(_CLASSES, result["confusion"], strict=True):
        lines.append(f"| {name} | " + " | ".join(f"{count:,.0f}" for count in row) + " |")
    return "\n".join([*lines, "", f"Beats, mean over seeds; none: no beat there. {origin}"])


def ds1_ds2_records_table(result: Mapping[str, Any], origin: str) -> str:
    """Return the recordings that cost most."""
    lines = [
        "| record | errors | share of all errors | S beats, F1 | V beats, F1 | F beats, F1 |",
        "|---|" + "---|" * 5,
    ]
    for row in result["records"][:_WORST]:
        classes = [f"{row[f'n_{one}']:.0f}, {_known(row[f'f1_{one}'])}" for one in "SVF"]
        cells = (row["record"], f"{row['n_errors']:.0f}", f"{row['share_of_errors']:.0%}", *classes)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"Mean over seeds. {origin}"])


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def heartbeats_speed_table(result: Mapping[str, Any], origin: str) -> str:
    """Return seconds a lead-hour from the file to classified beats, and memory by length."""
    seconds, parts = result["seconds_per_lead_hour"], result["published_by_part"]
    lines = [
        "| way | processor seconds a lead-hour |",
        "|---|---|",
        f"| heartbert | {seconds['ours']:.1f} |",
        f"| published configuration | {seconds['published']:.0f} (signal {parts['signal']:.1f}) |",
        "",
    ]
    memory = ", ".join(f"{one['peak_mb']:.0f} MB for {one['hours']:g} h" for one in result["memory"])
    note = (
        f"{result['ratio']:.0f} times as fast, one core, {result['database']} record {result['record']}; peak memory "
        f"{memory} ({result['memory'][0]['before_mb']:.0f} MB before any of it). {origin}"
    )
    return "\n".join([*lines, note])
