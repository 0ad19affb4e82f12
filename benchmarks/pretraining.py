"""Store what a pre-training run did, and what its frozen encoder is worth on held-out training subjects.

    python benchmarks/pretraining.py RUN --command "heartbert pretrain ..." --trained-at COMMIT
        --scores benchmarks/results/heartbeats-validation.json -o benchmarks/results/pretraining.json

    python benchmarks/pretraining.py --scores benchmarks/results/heartbeats-validation.json
        -o benchmarks/results/pretraining.json

RUN is the folder of a finished `heartbert pretrain`: its log holds the curve of the loss and of the probe, its
baselines what counting achieves. The scores of the frozen encoder, of the same encoder with random weights (heads read
no waveform beside either), and of gradient boosting on RR intervals and waveform are those of `heartbeats.py --sides
validation`, which is run before. Without RUN the scores in a stored result are put anew.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from heartbert.files import replacing_file
from heartbert.protocols.beat_reports import rows_of
from heartbert.protocols.beat_rows import BOOSTING, ENCODER_ALONE, RANDOM_ALONE
from heartbert.training.checkpoints import read_log
from heartbert.training.pretraining import BASELINES_FILE

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

ROWS = {
    "frozen": ENCODER_ALONE,
    "random_weights": RANDOM_ALONE,
    "boosting": BOOSTING,
}


def scores_of(path: Path) -> dict[str, Any]:
    """Return macro-F1 of heads on the encoder and of what it has to beat, by seed, and where the scores come from."""
    scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    rows = rows_of(scores)
    by_seed = {name: [float(score) for score in rows[row]["macro_f1_by_seed"]] for name, row in ROWS.items()}
    return {
        "scored_by": {
            **{name: scores[name] for name in ("commit", "command")},
            "records": sorted(row["record"] for row in scores["records"]),
            "beats": "placed by the reference annotation",
            "n_seeds": scores["heads"]["n_seeds"],
        },
        "probe_macro_f1": {
            name: {"mean": sum(found) / len(found), "low": min(found), "high": max(found)}
            for name, found in by_seed.items()
        },
    }


def curve_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what a run did; what is stored of it where its folder is not given."""
    if arguments.run is None:
        stored: dict[str, Any] = json.loads(arguments.output.read_text(encoding="utf-8"))
        return stored
    return {
        **provenance([arguments.run]),
        "commit": arguments.trained_at,
        "command": arguments.command,
        **({"note": arguments.note} if arguments.note else {}),
        **baselines_of(arguments.run),
        "rows": read_log(arguments.run),
    }


def baselines_of(run: Path) -> dict[str, Any]:
    """Return what counting achieves, where the run has counted."""
    path = run / BASELINES_FILE
    return {"baselines": json.loads(path.read_text(encoding="utf-8"))["baselines"]} if path.exists() else {}


def main() -> None:
    """Parse the command line, gather, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--command", help="the commands that trained the encoder; with RUN")
    parser.add_argument("--trained-at", help="commit that trained it; with RUN")
    parser.add_argument("--note", help="what a reader of the curve has to know")
    parser.add_argument("--scores", type=Path, help="scores of heads on the encoder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.run is not None and not (arguments.command and arguments.trained_at):
        parser.error("a run needs --command and --trained-at")
    result = {**curve_of(arguments), **(scores_of(arguments.scores) if arguments.scores else {})}
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
