"""Score the heartbeat classes of the shipped encoder and of every baseline, and store the table with its origin.

    python benchmarks/heartbeats.py MITDB --work DIR --sides validation -o benchmarks/results/heartbeats-validation.json
    python benchmarks/heartbeats.py MITDB --work DIR --sides test -o benchmarks/results/heartbeats-ds1-ds2.json

It runs what `heartbert evaluate heartbeats` runs. Heads are trained on DS1 without its validation records, and
training epochs chosen on those, so that scores on them are optimistic for all rows alike; ``--sides validation`` does
not read DS2. An interrupted run continues in DIR.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from heartbert.bundle import load_bundle
from heartbert.files import replacing_file
from heartbert.protocols.beat_records import PLACEMENTS
from heartbert.protocols.beat_reports import blocks_of, rows_of
from heartbert.protocols.beat_rows import ROWS
from heartbert.protocols.beat_table import TableSettings, head_settings
from heartbert.protocols.heartbeats import HeartbeatTask, evaluate_heartbeats

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance


def main() -> None:
    """Parse the command line, run every row, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--protocol", choices=("ds1-ds2", "paper"), default="ds1-ds2")
    parser.add_argument("--sides", choices=("test", "validation"), default="validation")
    parser.add_argument("--work", type=Path, required=True, help="folder of embeddings and runs")
    parser.add_argument("--bundle", type=Path, default=Path("src/heartbert/bundles/small"))
    parser.add_argument("--compare", type=Path, nargs="*", default=[], help="bundles of encoders that are rows, too")
    parser.add_argument("--placements", choices=PLACEMENTS, nargs="+", default=PLACEMENTS)
    parser.add_argument("--rows", nargs="+", default=tuple(ROWS), metavar="ROW", help="by default all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--allow-transductive", action="store_true", help="accept an encoder that saw test signals")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance([arguments.folder, arguments.work])
    bundle = load_bundle(arguments.bundle)
    settings = TableSettings(
        replace(head_settings(bundle), n_seeds=arguments.seeds),
        rows=tuple(arguments.rows),
        placements=tuple(arguments.placements),
        allow_transductive=arguments.allow_transductive,
        cache=arguments.work / "embeddings",
        others=tuple(load_bundle(folder) for folder in arguments.compare),
    )
    task = HeartbeatTask(arguments.protocol, arguments.folder, arguments.sides)
    work = arguments.work / f"{arguments.protocol}-{arguments.sides}"
    result = evaluate_heartbeats(bundle, task, work, settings, progress=_show)
    for name, block in blocks_of(result).items():
        for row, scores in rows_of(block).items():
            print(
                f"{name}; {row}: macro-F1 {scores['macro_f1']['mean']:.3f}, accuracy {scores['accuracy']['mean']:.3f}"
            )
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps({**origin, **result}, indent=1) + "\n", encoding="utf-8")


def _show(stage: str, fraction: float) -> None:
    print(f"{fraction:4.0%} {stage}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
