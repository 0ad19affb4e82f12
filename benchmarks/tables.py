"""Write the tables of README and docs from the stored results: the text between two marks is replaced.

python benchmarks/tables.py            write
python benchmarks/tables.py --check    fail if a file is stale
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
FILES = ("README.md", "docs/log.md", "docs/results.md")


def read_result(name: str) -> dict[str, Any]:
    """Read a stored result."""
    content: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return content


def heartbeats_table() -> str:
    """Return the scores on the validation records, one row a method."""
    result = read_result("heartbeats-validation.json")
    columns = {"macro_f1": "macro-F1", "f1_S": "F1 S", "f1_V": "F1 V", "f1_F": "F1 F", "accuracy": "accuracy"}
    lines = ["| | " + " | ".join(columns.values()) + " |", "|---|" + "---|" * len(columns)]
    for name, scores in result["rows"].items():
        cells = [_interval(scores[column]) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    records = ", ".join(result["validation_records"])
    origin = (
        f"MIT-BIH Arrhythmia, one lead, DS1 only: trained on {result['n_training_records']} records, validated on "
        f"{records}. Mean (lowest-highest) over {result['n_seeds']} seeds. "
        f"Commit {result['commit']}, {result['machine']}."
    )
    return "\n".join([*lines, "", origin])


def analyze_table() -> str:
    """Return time and memory of `heartbert analyze` by folder of recordings."""
    result = read_result("analyze.json")
    lines = ["| recordings | number | failed | seconds each (median) | peak memory (max) |", "|---|---|---|---|---|"]
    for name, row in result["by_folder"].items():
        cells = (name, row["records"], row["failed"], f"{row['median_seconds']:.2f}", f"{row['max_peak_mb']:.0f} MB")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    origin = (
        f"One thread, all result files written; {result['seconds_per_lead_hour']:.1f} s a lead-hour (median over "
        f"half-hour records). Commit {result['commit']}, {result['machine']}."
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


def pretraining_table() -> str:
    """Return the loss of the shipped encoder at every thousandth step and at the end."""
    rows = read_result("pretraining-small.json")["rows"]
    lines = ["| step | million tokens | hours | training loss | loss on held-out leads |", "|---|---|---|---|---|"]
    for row in [row for row in rows if row["step"] % 1000 == 0 or row is rows[-1]]:
        cells = (
            f"{row['tokens'] / 1e6:.1f}",
            f"{row['seconds'] / 3600:.2f}",
            row["training_loss"],
            row["validation_loss"],
        )
        lines.append(f"| {row['step']} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _interval(score: dict[str, float]) -> str:
    if score["low"] == score["high"]:
        return f"{score['mean']:.3f}"
    return f"{score['mean']:.3f} ({score['low']:.3f}-{score['high']:.3f})"


TABLES: dict[str, Callable[[], str]] = {
    "heartbeats": heartbeats_table,
    "analyze": analyze_table,
    "stages": stages_table,
    "head_choices": head_choices_table,
    "pretraining": pretraining_table,
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
