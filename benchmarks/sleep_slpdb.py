"""Stage sleep from one ECG lead on the MIT-BIH Polysomnographic Database, persons left out.

    python benchmarks/sleep_slpdb.py SLPDB_FOLDER --work FOLDER -o benchmarks/results/sleep-slpdb.json

Inputs are measured apart and together: `beats` (variability of the marked beats; all scored epochs), `tokens`
(the encoder on the published text; epochs that have one) and `both` (the same epochs). Intervals are 95 %, by bootstrap
over persons, mean over training seeds; those of the split as published and by person are lowest and highest seed. What
is done is kept in the work folder, and an interrupted run continues there.
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from heartbert.bundle import load_bundle
from heartbert.databases.slpdb import age_and_sex
from heartbert.embeddings.encoder import build_encoder
from heartbert.errors import DatabaseError
from heartbert.files import replacing_file
from heartbert.protocols.sleep import SleepProtocol, evaluate_slpdb, evaluate_tokens
from heartbert.protocols.sleep_data import SleepDatabase, epoch_encoder, read_sleep_database
from heartbert.protocols.sleep_paper import evaluate_paper
from heartbert.protocols.sleep_scoring import PredictedNight, score_row
from heartbert.records import read_annotations
from heartbert.training.config import EncoderConfig
from heartbert.training.sleep_config import SleepConfig

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

# Among which each fold chooses on its training persons.
CHOICES = (SleepConfig(), SleepConfig(class_balance=0.0), SleepConfig(noise=0.4))
_RANDOM_SEED = 7


def sleepecg_row(data: SleepDatabase, folder: Path) -> dict[str, Any]:
    """Stage with SleepECG's shipped classifier (MESA, wake, REM, non-REM); says why where it cannot run."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        from sleepecg import SleepRecord, load_classifier, stage
        from sleepecg.io.sleep_readers import Gender, SubjectData

        classifier = load_classifier("wrn-gru-mesa", "SleepECG")
    except ImportError as error:
        return {"could_not_run": f"{error}; it needs keras, which heartbert does not depend on"}
    predicted = []
    for night in data.nights:
        header = (folder / f"{night.record}.hea").read_text(encoding="utf-8")
        age, _ = age_and_sex(next((line for line in header.splitlines() if line.startswith("#")), ""))
        marks = read_annotations(folder / night.record, "ecg")
        record = SleepRecord(
            sleep_stages=np.zeros(night.stages.size, dtype=int),
            sleep_stage_duration=30,
            id=night.record,
            recording_start_time=_start_time(folder / f"{night.record}.hea"),
            heartbeat_times=marks.samples / marks.fs,
            subject_data=SubjectData(gender=Gender.MALE, age=age),  # all persons of the database are men
        )
        _undefined, nrem, rem, wake = stage(classifier, record, return_mode="prob").T[:4]
        three = np.stack([wake, nrem, rem], axis=1)[: night.stages.size].astype(np.float32)
        zero = np.zeros(len(three), dtype=np.float32)
        five = np.stack([wake, zero, nrem, zero, rem], axis=1).astype(np.float32)
        four = np.stack([wake, nrem, zero, rem], axis=1).astype(np.float32)
        predicted.append(PredictedNight(night, {"stages3": three, "stages4": four, "stages5": five}))
    row = score_row([predicted])
    return {key: value for key, value in row.items() if key not in {"stages4", "stages5"}}


def _start_time(header: Path) -> Any:
    from heartbert.records.wfdb_header import read_header

    start = read_header(header).start
    return start.time() if start else None


def main() -> None:
    """Parse the command line, run every row, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of embeddings and predictions that are done")
    parser.add_argument("--bundle", type=Path, default=Path("src/heartbert/bundles/small"))
    parser.add_argument("--folds", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=("beats", "sleepecg", "trained", "all"), default="all")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance([arguments.folder, arguments.work])
    protocol = SleepProtocol(CHOICES, n_folds=arguments.folds, n_seeds=arguments.seeds, store=arguments.work / "runs")
    result: dict[str, Any] = {**origin, "database": "slpdb", "intervals": "95 %, bootstrap over persons"}
    plain = read_sleep_database(arguments.folder, None)
    result["sleepecg"] = sleepecg_row(plain, arguments.folder)
    _print("sleepecg", result["sleepecg"])
    if arguments.only == "beats":
        result |= evaluate_slpdb(plain, protocol, progress=_show)
    if arguments.only in ("trained", "all"):
        result |= _with_tokens(arguments, protocol)
    for name, row in result.items():
        _print(name, row)
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _with_tokens(arguments: argparse.Namespace, protocol: SleepProtocol) -> dict[str, Any]:
    """Run the rows with the bundle's encoder, unless left out with one of random weights, and the published split."""
    bundle = load_bundle(arguments.bundle)
    encoder = epoch_encoder(bundle, CHOICES[0].layer)
    name = bundle.manifest["sha256"]["model.safetensors"][:8]
    cache = arguments.work / f"embeddings-{name}"
    data = read_sleep_database(arguments.folder, encoder, cache=cache, progress=_show)
    result = evaluate_slpdb(data, protocol, manifest=bundle.manifest, progress=_show)
    if arguments.only == "all":
        settings = EncoderConfig(**bundle.manifest["config"]["encoder"])
        random = build_encoder(settings, bundle.tokenizer.n_tokens, seed=_RANDOM_SEED).eval().base_model
        cache = arguments.work / f"embeddings-random-{name}"
        other = read_sleep_database(arguments.folder, replace(encoder, encoder=random), cache=cache, progress=_show)
        with_random = evaluate_tokens(other, protocol, progress=_show)
        result["baselines"] |= {f"random-weight encoder, {row}": with_random[row] for row in ("tokens", "both")}
    try:
        result |= evaluate_paper(data, n_seeds=arguments.seeds, n_folds=arguments.folds)
    except DatabaseError as error:
        result["paper_split"] = {"could_not_run": str(error)}
    return {**result, "protocol": ["slpdb", "paper"], "bundle": bundle.name}


def _show(stage: str, fraction: float) -> None:
    print(f"{fraction:4.0%} {stage}", file=sys.stderr, flush=True)


def _print(name: str, row: Any) -> None:
    if isinstance(row, dict):
        for of in ("stages3", "stages5"):
            if isinstance(row.get(of), dict) and "kappa" in row[of]:
                scores = {key: round(row[of][key]["mean"], 3) for key in ("accuracy", "kappa", "macro_f1")}
                print(name, of, scores, flush=True)


if __name__ == "__main__":
    main()
