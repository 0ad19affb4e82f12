"""Store what a pre-training run did, and what its frozen encoder is worth on held-out training subjects.

    python benchmarks/pretraining.py RUN --command "heartbert pretrain ..." -o benchmarks/results/pretraining.json

RUN is the folder of a finished `heartbert pretrain`: its log holds the curve of the loss and of the probe, its
baselines what counting achieves. The scores of the frozen encoder, of the same encoder with random weights, and of
gradient boosting on RR intervals and waveform are those of `heartbeats.py --sides validation`, which is run before.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from heartbert.files import replacing_file
from heartbert.protocols.beat_rows import BOOSTING
from heartbert.training.checkpoints import read_log
from heartbert.training.pretraining import BASELINES_FILE

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

SCORES = Path(__file__).parent / "results" / "heartbeats-validation.json"
BASELINES = {"random_weights": "RR + encoder of random weights, same head", "boosting": BOOSTING}


def over_seeds(row: dict[str, Any]) -> dict[str, float]:
    """Return mean, lowest and highest macro-F1 of a row over its seeds."""
    scores: list[float] = row["macro_f1_by_seed"]
    return {"mean": sum(scores) / len(scores), "low": min(scores), "high": max(scores)}


def main() -> None:
    """Parse the command line, gather, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--command", required=True, help="the commands that trained the encoder")
    parser.add_argument("--trained-at", required=True, help="commit that trained it")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    stored: dict[str, Any] = json.loads(SCORES.read_text(encoding="utf-8"))
    scores = {**stored, **stored["detected"]}
    result = {
        **provenance([arguments.run]),
        "commit": arguments.trained_at,
        "command": arguments.command,
        "scored_by": {name: scores[name] for name in ("commit", "command", "side", "heads")},
        "probe_macro_f1": {
            "frozen": over_seeds(scores),
            **{name: over_seeds(scores["baselines"][row]) for name, row in BASELINES.items()},
        },
        "baselines": json.loads((arguments.run / BASELINES_FILE).read_text(encoding="utf-8"))["baselines"],
        "rows": read_log(arguments.run),
    }
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
