"""Choose what the heartbeat head reads: persons of DS1 left out in four folds, beats of the reference, one lead.

    python benchmarks/head_folds.py MITDB_FOLDER --work DIR -o benchmarks/results/head-folds.json
    python benchmarks/head_folds.py MITDB_FOLDER --work DIR --bundle FOLDER ... --layers 2 3 4
        -o benchmarks/results/head-layers.json

Every variant is trained on three quarters of the records of DS1 (MIT-BIH Arrhythmia) and scored on the others, each
record once; nothing is chosen by what is scored. Encoders, by default the one that ships, are frozen. DS2 is not read.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.bundle import load_bundle
from heartbert.evaluation.heartbeats import confusion_matrix, score_tables
from heartbert.evaluation.leakage import Examples, refuse_leaks
from heartbert.files import replacing_file
from heartbert.predictions.heartbeats import classify_heartbeats
from heartbert.protocols.beat_records import BeatRecord, Encoders, Input, encoders_of, read_beats
from heartbert.training.config import HeartbeatsConfig, read_config
from heartbert.training.heartbeats import reads_waveform, train_head

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

# The validation records inside DS1 are one fold; S and V beats are spread over the others.
FOLDS = (
    ("114", "118", "205", "220", "223"),
    ("106", "112", "115", "122", "209"),
    ("101", "119", "201", "208", "230"),
    ("108", "109", "116", "124", "203", "207", "215"),
)
SCORES = ("macro_f1", "f1.S", "f1.V", "f1.F", "accuracy")


@dataclass(frozen=True)
class Variant:
    """What a head reads, and how its settings differ from those of the preset `small`."""

    reads: Input = "encoder"
    changes: Mapping[str, Any] = field(default_factory=dict)


ALONE = {"reads": "encoder"}
LAYER_VARIANTS = {"waves of encoder and waveform": Variant(), "waves of the encoder": Variant(changes=ALONE)}
VARIANTS = {
    "waves of encoder and waveform (ships)": Variant(),
    "waves of the encoder": Variant(changes=ALONE),
    "waves of the waveform": Variant("waveform"),
    "waves of encoder and waveform, encoder of random weights": Variant("random encoder"),
    "waves of an encoder of random weights": Variant("random encoder", ALONE),
    "waves of the encoder, and 8 directions in which they differ": Variant(changes={**ALONE, "n_directions": 8}),
    "RR intervals alone": Variant("nothing"),
}


def score(
    records: Mapping[str, BeatRecord], variant: Variant, config: HeartbeatsConfig, seed: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Train a head for every fold and score all records gross."""
    table = np.zeros((6, 6))
    for held_out in FOLDS:
        sides = ([one for name, one in records.items() if (name in held_out) == scored] for scored in (False, True))
        training, test = sides
        refuse_leaks([one.examples for one in training], [one.examples for one in test])
        settings = replace(config, **variant.changes)
        waveform = reads_waveform(settings) and "encoder" in variant.reads
        seen, left_out = (
            [one.with_input(variant.reads, waveform=waveform) for one in side] for side in (training, test)
        )
        head = train_head(seen, left_out, settings, seed=seed).head
        for beats in left_out:
            found = np.argmax(classify_heartbeats(head, beats.embeddings, beats.r_peaks), axis=1)
            table += confusion_matrix(beats.labels, found)
    return score_tables(table)


def read_all(encoders: Encoders, variants: Mapping[str, Variant], folder: Path) -> dict[str, BeatRecord]:
    """Read all records of DS1, and embed them with the encoders that a variant reads."""
    used = {one.reads for one in variants.values()}
    encoders = replace(encoders, bundles={name: one for name, one in encoders.bundles.items() if name in used})
    names = sorted(name for fold in FOLDS for name in fold)
    return {name: read_beats(encoders, folder / f"{name}.hea", Examples("mitdb", name))["reference"] for name in names}


def main() -> None:
    """Parse the command line, train every variant, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of embeddings")
    parser.add_argument("--bundle", type=Path, nargs="+", default=[Path("src/heartbert/bundles/small")])
    parser.add_argument("--layers", type=int, nargs="+", help="compare these layers; by default what a head reads")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance([arguments.folder, arguments.work])
    config = read_config("small").heartbeats
    bundles = [load_bundle(folder) for folder in arguments.bundle]
    variants = LAYER_VARIANTS if arguments.layers else VARIANTS
    rows: dict[str, dict[str, Any]] = {}
    for bundle, layer in itertools.product(bundles, arguments.layers or [config.layer]):
        encoders = encoders_of(bundle, layer, cache=arguments.work / "embeddings")
        records = read_all(encoders, variants, arguments.folder)
        place = f"{bundle.name}, layer {layer}: " if arguments.layers or len(bundles) > 1 else ""
        for name, variant in variants.items():
            found = [score(records, variant, config, seed) for seed in range(1, arguments.seeds + 1)]
            values = {key: [float(one[key]) for one in found] for key in SCORES}
            row = {key: {"mean": float(np.mean(of)), "low": min(of), "high": max(of)} for key, of in values.items()}
            rows[place + name] = row
            print(place + name, {key: round(one["mean"], 3) for key, one in row.items()}, flush=True)
    measured = {"bundles": [bundle.name for bundle in bundles], "database": "mitdb", "folds": FOLDS}
    with replacing_file(arguments.output) as temporary:
        content = {**origin, **measured, "n_seeds": arguments.seeds, "rows": rows}
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
