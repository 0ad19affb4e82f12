"""Write the tables of README and docs from the stored results: the text between two marks is replaced.

python benchmarks/tables.py            write
python benchmarks/tables.py --check    fail if a file is stale
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from beat_tables import (
    ds1_ds2_apart_table,
    ds1_ds2_confusion_table,
    ds1_ds2_goals_table,
    ds1_ds2_records_table,
    ds1_ds2_table,
    head_folds_table,
    heartbeats_speed_table,
    late_fusion_table,
    published_windows_table,
)
from claims_tables import label_efficiency_table, parameter_efficiency_table, rivals_table
from codec_tables import codec_table, encoding_table, scalings_table, speed_table, vocabularies_table
from sleep_tables import sleep_goals_table, sleep_night_table, sleep_splits_table, sleep_table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
FILES = ("README.md", "docs/log.md", "docs/results.md")


def read_result(name: str) -> dict[str, Any]:
    """Read a stored result."""
    content: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return content


# Macro-AUROC of the superclasses on fold 10 after training on all of folds 1-8: N. Strodthoff et al., IEEE J. Biomed.
# Health Inform. 25(5):1519-1528, 2021.
_PUBLISHED_SUPERCLASSES = {
    "resnet1d_wang": 0.930,
    "xresnet1d101": 0.928,
    "lstm": 0.927,
    "wavelets and a network": 0.874,
}


def diagnosis_table() -> str:
    """Return the scores of the superclasses of PTB-XL, one row a method, with intervals over persons."""
    result = read_result("diagnosis.json")
    classes = result["labels_scored"]
    lines = [
        "|  | macro-AUROC | " + " | ".join(f"AUROC {name}" for name in classes) + " | macro-F1 |",
        "|---|" + "---|" * (len(classes) + 2),
    ]
    for name, row in result["rows"].items():
        areas = [f"{row['auroc'][label]['mean']:.3f}" for label in classes]
        cells = (_interval(row["macro_auroc"]), *areas, _interval(row["macro_f1"]))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for name, area in _PUBLISHED_SUPERCLASSES.items():
        lines.append(f"| published: {name} | {area:.3f} |" + " - |" * (len(classes) + 1))
    data, best = result["data"], result["best_other"]
    sides = data["sides"]
    folds = {name: ", ".join(map(str, side["folds"])) for name, side in sides.items()}
    partial_note = "" if data["n_records"] == data["n_published"] else ", where the published scores had all of them"
    note = (
        f"Macro-AUROC of heartbert less that of the best other row ({best}): "
        f"{_interval(result['differences'][best])}. {data['n_records']:,} of the {data['n_published']:,} recordings "
        f"of PTB-XL, amplitudes in {data['amplitude']}{partial_note}; trained on folds "
        f"{folds['training']} ({sides['training']['n_records']:,} recordings), stopped and thresholds chosen by fold "
        f"{folds['stopping']} ({sides['stopping']['n_records']}), scored on fold {folds['scored']} "
        f"({sides['scored']['n_records']}). Mean of {result['settings']['n_seeds']} seeds, 95 % intervals by bootstrap "
        f"over persons. {_origin(result)}"
    )
    return "\n".join([*lines, "", note])


def codec_downstream_table() -> str:
    """Return what codecs cost a classifier of decoded waveforms."""
    columns = {"macro_f1": "macro-F1", "f1_S": "F1 S", "f1_V": "F1 V", "accuracy": "accuracy"}
    return _scores_table(read_result("codec-downstream.json"), "waveforms through", columns)


def _scores_table(result: dict[str, Any], first: str, columns: dict[str, str]) -> str:
    lines = [f"| {first} | " + " | ".join(columns.values()) + " |", "|---|" + "---|" * len(columns)]
    for name, scores in result["rows"].items():
        lines.append(f"| {name} | " + " | ".join(_interval(scores[column]) for column in columns) + " |")
    note = (
        f"MIT-BIH Arrhythmia, one lead, DS1 only: trained on {result['n_training_records']} records, validated on "
        f"{', '.join(result['validation_records'])}. Mean (lowest-highest) over {result['n_seeds']} seeds. "
        f"{_origin(result)}"
    )
    return "\n".join([*lines, "", note])


def analyze_table() -> str:
    """Return time and memory of `heartbert analyze` by folder of recordings."""
    result = read_result("analyze.json")
    lines = ["| recordings | number | failed | seconds each (median) | peak memory (max) |", "|---|---|---|---|---|"]
    for name, row in result["by_folder"].items():
        cells = (name, row["records"], row["failed"], f"{row['median_seconds']:.2f}", f"{row['max_peak_mb']:.0f} MB")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    origin = (
        f"One thread, all result files written; {result['seconds_per_lead_hour']:.1f} s a lead-hour (median over "
        f"half-hour records). {_origin(result)}"
    )
    return "\n".join([*lines, "", origin])


def stages_table() -> str:
    """Return where the time of a half-hour record goes."""
    stages = read_result("analyze.json")["file_seconds_by_stage"]
    total = sum(stages.values())
    lines = ["| stage | seconds | share |", "|---|---|---|"]
    lines += [f"| {name} | {value:.2f} | {value / total:.0%} |" for name, value in stages.items()]
    return "\n".join(lines)


def head_choices_table() -> str:
    """Return the settings of the heartbeat head that were tried."""
    lines = ["| layer | class balance | dropout | macro-F1 | F1 S | F1 V | F1 F |", "|---|---|---|---|---|---|---|"]
    for row in read_result("head-choices.json")["rows"]:
        scores = " | ".join(f"{row[name]:.3f}" for name in ("macro_f1", "f1_S", "f1_V", "f1_F"))
        lines.append(f"| {row['layer']} | {row['class_balance']} | {row['dropout']} | {scores} |")
    return "\n".join(lines)


_PROBE = "probe_average_precision"


def pretraining_table(name: str) -> str:
    """Return the loss of an encoder, and what its probe scored, at every thousandth step, each probe and the end."""
    rows = read_result(name)["rows"]
    probed = any(_PROBE in row for row in rows)
    columns = ["step", "million tokens", "hours", "training loss", "loss on held-out leads", *["probe"] * probed]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for row in [row for row in rows if row["step"] % 1000 == 0 or _PROBE in row or row is rows[-1]]:
        cells = [
            row["step"],
            f"{row['tokens'] / 1e6:.1f}",
            f"{row['seconds'] / 3600:.2f}",
            row["training_loss"],
            row["validation_loss"],
            *[f"{row[_PROBE]:.3f}" if _PROBE in row else "-"] * probed,
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def training_speed_table() -> str:
    """Return tokens a second and memory of a training step, ours and the Trainer's."""
    result = read_result("training-speed.json")
    lines = [
        "| architecture, rows a step | way | tokens a second | memory | against the Trainer: speed, memory |",
        "|---|---|---|---|---|",
    ]
    names = {
        "ours": "heartbert",
        "ours_one_row": "heartbert, row by row",
        "trainer": "Trainer",
        "trainer_bf16": "Trainer, bfloat16",
    }
    for architecture, row in result["architectures"].items():
        for way, name in names.items():
            ratios = row["ratios"].get(way)
            against = f"{ratios['tokens_per_s']['trainer']:.2f}, {ratios['peak_mb']['trainer']:.2f}" if ratios else "-"
            lines.append(
                f"| {architecture} | {name} | {row['tokens_per_s'][way]:,.0f} | {row['peak_mb'][way]:,.0f} MB "
                f"| {against} |"
            )
    commits = ", ".join(dict.fromkeys(row.get("commit", result["commit"]) for row in result["architectures"].values()))
    note = (
        f"Processor time of {result['n_threads']} thread, medians of {result['n_rounds']} rounds; "
        f"memory of the whole process. The Trainer has the published settings. {_origin({**result, 'commit': commits})}"
    )
    return "\n".join([*lines, "", note])


def ablations_table() -> str:
    """Return what a small encoder loses or gains by each change of its settings."""
    result = read_result("ablations.json")
    lines = [
        "| question | setting | seeds | average precision of S and V | loss on held-out leads | samples a token |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        loss = f"{row['validation_loss']['mean']:.2f}" if "validation_loss" in row else "-"
        lines.append(
            f"| {row['question']} | {row['name']} | {row['n_seeds']} | {_interval(row['average_precision'])} | {loss} "
            f"| {row['samples_per_token']['mean']:.2f} |"
        )
    reference = result["rows"][0]
    note = (
        f"{reference['tokens']['mean'] / 1e6:.1f} million tokens each, on one thread. Mean (lowest-highest) over "
        f"seeds. Losses compare only where codec, vocabulary and masks are the same. {_origin(result)}"
    )
    return "\n".join([*lines, "", note])


def _origin(result: dict[str, Any]) -> str:
    measured = [result["bundle"]] if "bundle" in result else result.get("bundles", [])[:1]
    return ", ".join([f"Commit {result['commit']}", *measured, result["machine"]]) + "."


def _interval(score: dict[str, float]) -> str:
    if score["low"] == score["high"]:
        return f"{score['mean']:.3f}"
    until = " to " if score["low"] < 0 else "-"
    return f"{score['mean']:.3f} ({score['low']:.3f}{until}{score['high']:.3f})"


def with_intervals(write: Callable[..., str], name: str, *arguments: Any) -> str:
    """Return a table of a result whose scores have intervals."""
    result = read_result(name)
    return write(result, *arguments, _interval, _origin(result))


def plain(write: Callable[[dict[str, Any], str], str], name: str) -> str:
    """Return a table of a result."""
    result = read_result(name)
    return write(result, _origin(result))


def claim_table(write: Callable[[dict[str, Any], str], str], name: str, task: str) -> str:
    """Return the table of one task in a result file that holds several."""
    result = read_result(name)[task]
    return write(result, _origin(result))


TABLES: dict[str, Callable[[], str]] = {
    "heartbeats": partial(with_intervals, ds1_ds2_table, "heartbeats-validation.json", "reference"),
    "heartbeats_detected": partial(with_intervals, ds1_ds2_table, "heartbeats-validation.json", "detected"),
    "ds1_ds2_reference": partial(with_intervals, ds1_ds2_table, "heartbeats-ds1-ds2.json", "reference"),
    "ds1_ds2_detected": partial(with_intervals, ds1_ds2_table, "heartbeats-ds1-ds2.json", "detected"),
    "ds1_ds2_apart": partial(with_intervals, ds1_ds2_apart_table, "heartbeats-ds1-ds2.json"),
    "ds1_ds2_goals": partial(with_intervals, ds1_ds2_goals_table, "heartbeats-ds1-ds2.json"),
    "ds1_ds2_confusion": partial(plain, ds1_ds2_confusion_table, "heartbeats-ds1-ds2.json"),
    "ds1_ds2_records": partial(plain, ds1_ds2_records_table, "heartbeats-ds1-ds2.json"),
    "published_windows": partial(with_intervals, published_windows_table, "heartbeats-paper.json"),
    "late_fusion": partial(with_intervals, late_fusion_table, "late-fusion.json"),
    "heartbeats_speed": partial(plain, heartbeats_speed_table, "heartbeats-speed.json"),
    "analyze": analyze_table,
    "stages": stages_table,
    "head_choices": head_choices_table,
    "head_folds": partial(with_intervals, head_folds_table, "head-folds.json"),
    "head_folds_before": partial(with_intervals, head_folds_table, "head-folds-before.json"),
    "head_layers": partial(with_intervals, head_folds_table, "head-layers.json"),
    "pretraining": partial(pretraining_table, "pretraining.json"),
    "pretraining_second": partial(pretraining_table, "pretraining-second.json"),
    "pretraining_32_levels": partial(pretraining_table, "pretraining-32-levels.json"),
    "pretraining_first": partial(pretraining_table, "pretraining-first.json"),
    "ablations": ablations_table,
    "training_speed": training_speed_table,
    "codec": partial(plain, codec_table, "codec.json"),
    "scalings": partial(plain, scalings_table, "codec.json"),
    "vocabularies": partial(plain, vocabularies_table, "codec.json"),
    "diagnosis": diagnosis_table,
    "sleep": partial(with_intervals, sleep_table, "sleep-slpdb.json"),
    "sleep_goals": partial(with_intervals, sleep_goals_table, "sleep-slpdb.json"),
    "sleep_splits": partial(with_intervals, sleep_splits_table, "sleep-slpdb.json"),
    "sleep_night": partial(plain, sleep_night_table, "sleep-night.json"),
    "codec_downstream": codec_downstream_table,
    "speed": partial(plain, speed_table, "speed.json"),
    "encoding": partial(plain, encoding_table, "speed.json"),
    **{
        f"{name}_{task}".replace("-", "_"): partial(claim_table, write, f"{name}.json", task)
        for task in ("heartbeats", "heartbeats-tuned", "heartbeats-validation", "sleep", "diagnosis")
        for name, write in (
            ("label-efficiency", label_efficiency_table),
            ("parameter-efficiency", parameter_efficiency_table),
            ("rivals", rivals_table),
        )
    },
}


def filled(text: str) -> str:
    """Return a document with every marked table written anew."""

    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"<!-- table: {name} -->\n{TABLES[name]()}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->.*?<!-- end -->", replacement, text, flags=re.DOTALL)


def main() -> None:
    """Write or check all documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name in FILES:
        path = ROOT / name
        old = path.read_text(encoding="utf-8")
        new = filled(old)
        if new != old:
            stale.append(name)
            if not check:
                path.write_text(new, encoding="utf-8")
    if check and stale:
        sys.exit(f"stale tables in {', '.join(stale)}; run: python benchmarks/tables.py")


if __name__ == "__main__":
    main()
