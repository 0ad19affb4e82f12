"""Store what a pre-training run did, and what its frozen encoder is worth on held-out training subjects.

    python benchmarks/pretraining.py RUN --command "heartbert pretrain ..." --trained-at COMMIT
        --scores benchmarks/results/heartbeats-validation.json -o benchmarks/results/pretraining.json

RUN is the folder of a finished `heartbert pretrain`: its log holds the curve of the loss and of the probe, its
baselines what counting achieves. The scores of the frozen encoder, of the same encoder with random weights, and of
gradient boosting on RR intervals and waveform are those of `heartbeats_validation.py`, which is run before.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from heartbert.files import replacing_file
from heartbert.training.checkpoints import read_log
from heartbert.training.pretraining import BASELINES_FILE

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

ROWS = {
    "frozen": "heartbert (RR intervals + frozen encoder)",
    "random_weights": "RR intervals + encoder of random weights, same head",
    "boosting": "RR intervals + waveform, gradient boosting",
}


def scores_of(path: Path) -> dict[str, Any]:
    """Return macro-F1 of heads on the encoder and of what it has to beat, and where the scores come from."""
    scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {
        "scored_by": {name: scores[name] for name in ("commit", "command", "validation_records", "n_seeds")},
        "probe_macro_f1": {name: scores["rows"][row]["macro_f1"] for name, row in ROWS.items()},
    }


def baselines_of(run: Path) -> dict[str, Any]:
    """Return what counting achieves, where the run has counted."""
    path = run / BASELINES_FILE
    return {"baselines": json.loads(path.read_text(encoding="utf-8"))["baselines"]} if path.exists() else {}


def main() -> None:
    """Parse the command line, gather, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--command", required=True, help="the commands that trained the encoder")
    parser.add_argument("--trained-at", required=True, help="commit that trained it")
    parser.add_argument("--note", help="what a reader of the curve has to know")
    parser.add_argument("--scores", type=Path, help="scores of heads on the encoder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    result = {
        **provenance([arguments.run]),
        "commit": arguments.trained_at,
        "command": arguments.command,
        **({"note": arguments.note} if arguments.note else {}),
        **(scores_of(arguments.scores) if arguments.scores else {}),
        **baselines_of(arguments.run),
        "rows": read_log(arguments.run),
    }
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
