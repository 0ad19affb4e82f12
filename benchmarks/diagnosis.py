"""Diagnose heart disease from twelve leads of PTB-XL, five superclasses, by its published folds.

    python benchmarks/diagnosis.py PTB_XL_FOLDER --work FOLDER --sides test -o benchmarks/results/diagnosis.json

All rows, one embedding a lead and attention over the leads for the encoders. Intervals are 95 %, by bootstrap over
persons, mean over training seeds. Published results are of all 21,799 recordings and are not listed beside a part of
them. What is done is kept in the work folder, and an interrupted run continues there.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from heartbert.files import replacing_file
from heartbert.protocols.diagnosis import DiagnosisProtocol, evaluate_diagnosis

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance


def main() -> None:
    """Parse the command line, run every row, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of inputs and predictions that are done")
    parser.add_argument("--bundle", type=Path, help="by default the one that ships")
    parser.add_argument("--sides", choices=("validation", "test"), default="validation")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--layer", type=int)
    parser.add_argument("--pooling", choices=("mean", "mean-std"), default="mean-std")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance([arguments.folder, arguments.work])
    protocol = DiagnosisProtocol(
        arguments.work,
        arguments.bundle,
        arguments.sides,
        n_seeds=arguments.seeds,
        layer=arguments.layer,
        pooling=arguments.pooling,
        n_workers=arguments.workers,
    )
    started = time.perf_counter()
    scores = evaluate_diagnosis(arguments.folder, protocol, progress=_show)
    seconds = round(time.perf_counter() - started)
    result: dict[str, Any] = {**origin, "database": "ptb-xl", "intervals": "95 %, bootstrap over persons"}
    with replacing_file(arguments.output) as temporary:
        content = {**result, "seconds": seconds, **scores}
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for name, row in scores["rows"].items():
        print(name, {key: round(row[key]["mean"], 3) for key in ("macro_auroc", "macro_f1")}, flush=True)


def _show(stage: str, fraction: float) -> None:
    print(f"{fraction:4.0%} {stage}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
