"""Train many small encoders that differ in one thing each, and probe them on heartbeats of held-out training subjects.

    python benchmarks/ablations.py FOLDER... --mitdb MITDB_FOLDER --work DIR -o benchmarks/results/ablations.json

Every encoder is a smaller sibling of the `small` preset, trained on one thread for the same number of tokens on the
recordings of the folders (records excluded and held out as in `recipes/small`). Where width, depth, family or context
differ, the steps are such that the multiplications are the same. The score is that of `training/probe.py`, a classifier
of frozen embeddings and RR intervals fitted on DS1 training records and scored on the validation records inside DS1.
DS2 is not read. Every finished run is kept in DIR, so a stopped program continues.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import hashlib
import json
import re
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import heartbert
from heartbert.embeddings.encoder import build_encoder
from heartbert.files import replacing_file
from heartbert.tokens import MASK_ID, load_tokenizer
from heartbert.training.bundling import bundle_pretrained
from heartbert.training.config import Config, config_from_tables, read_config
from heartbert.training.corpus_building import build_corpus
from heartbert.training.corpus_planning import plan_corpus
from heartbert.training.pretraining import Pretraining
from heartbert.training.probe import load_probe, score_probe
from heartbert.training.probe_building import build_probe

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

Tables = dict[str, dict[str, Any]]
RECIPE = Path(__file__).parent.parent / "recipes" / "small"
# What all encoders have in common, unless a variant says otherwise.
COMMON: Tables = {
    "encoder": {"n_layers": 4, "hidden_size": 128, "n_heads": 2, "intermediate_size": 256, "max_tokens": 384},
    "pretraining": {"rows_per_step": 4, "n_steps": 1200, "probe_every_minutes": 0.0, "steps_per_check": 200},
    "heartbeats": {"layer": 3},
}
# Minutes a record that the probe sees: those with most rare beats.
PROBE_MINUTES = 10.0
# Share of tokens that the language head is applied to.
HIDDEN_SHARE = 0.35


@dataclass(frozen=True)
class Variant:
    """One encoder of the comparison: what it answers, its name, and how its settings differ."""

    question: str
    name: str
    changes: Tables = field(default_factory=dict)
    equal_work: bool = False
    """Steps are chosen for equal multiplications, not for equal tokens."""
    by_samples: bool = False
    """The position of a token is its first sample, in units of the mean token, not its index."""
    trained: bool = True


def _encoder(question: str, name: str, **settings: Any) -> Variant:
    layer = max(1, round(settings.get("n_layers", 4) * 2 / 3))
    return Variant(question, name, {"encoder": settings, "heartbeats": {"layer": layer}}, equal_work=True)


VARIANTS = (
    Variant("reference", "small preset at a smaller size"),
    Variant("floor", "random weights", trained=False),
    Variant("filter", "none", {"signal": {"low_hz": 0.0, "high_hz": 0.0}}),
    Variant("scaling", "range of the record", {"signal": {"scaling": "record-range", "span": 1.0}}),
    Variant("scaling", "fixed, 5 mV each way", {"signal": {"scaling": "fixed", "span": 5.0}}),
    Variant("quantiser", "quantile", {"codebook": {"method": "quantile"}}),
    Variant("quantiser", "uniform", {"codebook": {"method": "uniform"}}),
    Variant("levels", "16", {"codebook": {"n_levels": 16}}),
    Variant("levels", "32", {"codebook": {"n_levels": 32}}),
    Variant("levels", "256", {"codebook": {"n_levels": 256}}),
    Variant(
        "codec",
        "as published: no filter, range of the record, quantile",
        {
            "signal": {"low_hz": 0.0, "high_hz": 0.0, "scaling": "record-range", "span": 1.0},
            "codebook": {"method": "quantile"},
        },
    ),
    Variant("vocabulary", "1,024", {"tokenizer": {"n_tokens": 1024}}),
    Variant("vocabulary", "16,384", {"tokenizer": {"n_tokens": 16384}}),
    Variant("longest token", "50 ms", {"tokenizer": {"max_token_samples": 18}}),
    Variant(
        "masking", "single tokens, 15 %", {"masking": {"mask": "token", "masked_share": 0.15, "random_share": 0.0}}
    ),
    Variant("masking", "whole beats", {"masking": {"mask": "beat"}}),
    _encoder("family", "RoBERTa, learned positions", family="roberta", intermediate_size=384),
    Variant("positions", "by sample", by_samples=True),
    _encoder("context", "a whole window", max_tokens=1536),
    _encoder("depth and width", "8 layers of 96", n_layers=8, hidden_size=96, n_heads=2, intermediate_size=192),
    _encoder("depth and width", "2 layers of 192", n_layers=2, hidden_size=192, n_heads=3, intermediate_size=384),
    Variant("rows a step", "12", {"pretraining": {"rows_per_step": 12, "n_steps": 400}}),
    Variant("learning rate", "1e-3", {"pretraining": {"learning_rate": 1e-3}}),
)


def config_of(variant: Variant, *, seed: int) -> Config:
    """Return the settings of a variant."""
    common = _changed(asdict(read_config("small")), COMMON)
    tables = _changed(_changed(common, variant.changes), {"pretraining": {"seed": seed}})
    encoder, training = tables["encoder"], tables["pretraining"]
    if variant.equal_work:
        training["rows_per_step"] = training["rows_per_step"] * common["encoder"]["max_tokens"] // encoder["max_tokens"]
        share = _work_per_token(common) / _work_per_token(tables)
        training["n_steps"] = round(training["n_steps"] * share)
    return config_from_tables(tables, variant.name)


def _changed(tables: Mapping[str, Any], changes: Tables) -> dict[str, Any]:
    return {name: {**table, **changes.get(name, {})} for name, table in tables.items()}


def _work_per_token(tables: Mapping[str, Any]) -> float:
    """Count the multiplications that one token takes, forwards."""
    of = tables["encoder"]
    n_matrices = 2 if of["family"] == "roberta" else 3  # of the feed-forward layers
    layer = 4 * of["hidden_size"] ** 2 + n_matrices * of["hidden_size"] * of["intermediate_size"]
    attention = 2 * of["hidden_size"] * of["max_tokens"]
    head = HIDDEN_SHARE * of["hidden_size"] * tables["tokenizer"]["n_tokens"]
    return float(of["n_layers"] * (layer + attention) + head)


def corpus_folder(work: Path, config: Config) -> Path:
    """Name the corpus of some settings."""
    parts = {name: table for name, table in asdict(config).items() if name in ("signal", "codebook", "tokenizer")}
    return work / f"corpus-{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:10]}"


def prepare(data: list[Path], mitdb: Path, work: Path, config: Config, *, n_workers: int) -> None:
    """Build the corpus and the probe of some settings, unless they are there."""
    folder = corpus_folder(work, config)
    probe = work / f"{folder.name}.npz"
    if not folder.exists():
        names = {name: _names(RECIPE / f"{name}.txt") for name in ("excluded", "held-out")}
        plan = plan_corpus(data, excluded=names["excluded"], held_out=names["held-out"], strict=False)
        build_corpus(plan, folder, config, n_workers=n_workers)
    if not probe.exists():
        build_probe(mitdb, folder, minutes=PROBE_MINUTES).save(probe)


def _names(path: Path) -> frozenset[str]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return frozenset(line for line in lines if line and not line.startswith("#"))


def result_file(work: Path, number: int, seed: int) -> Path:
    """Name the file that the score of a variant is kept in."""
    settings = json.dumps([asdict(VARIANTS[number]), asdict(config_of(VARIANTS[number], seed=seed))], sort_keys=True)
    return work / f"run-{hashlib.sha256(settings.encode()).hexdigest()[:12]}.json"


def train_and_probe(work: Path, number: int, seed: int, *, rescore: bool) -> Path:
    """Train one encoder and store its score, unless that is done; returns where."""
    torch.set_num_threads(1)
    path = result_file(work, number, seed)
    if path.exists() and not rescore:
        return path
    variant, started = VARIANTS[number], time.perf_counter()
    config = config_of(variant, seed=seed)
    corpus = corpus_folder(work, config)
    tokenizer = load_tokenizer(corpus)
    result: dict[str, Any] = {"question": variant.question, "name": variant.name, "seed": seed}
    if variant.trained:
        run = Pretraining(corpus, path.with_suffix(""), config)
        model = run.model
        if variant.by_samples:
            place_by_samples(model, tokenizer.token_lengths)
        run.run()  # returns at once when the run is finished
        result |= {"validation_loss": run.validation_loss(), "steps": run.step, "tokens": run.best_row()["tokens"]}
    else:
        model = build_encoder(config.encoder, tokenizer.n_tokens, seed=seed)
    result |= {"seconds": time.perf_counter() - started, "commit": provenance([])["commit"]}
    if path.exists():
        trained = json.loads(path.read_text(encoding="utf-8"))
        result |= {"seconds": trained["seconds"], "commit": trained["commit"]}
    probe = load_probe(work / f"{corpus.name}.npz", corpus)
    result["samples_per_token"] = float(tokenizer.token_lengths[probe.pieces].mean())
    result["average_precision"] = score_probe(probe, model, tokenizer.token_lengths, layer=config.heartbeats.layer)
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(result) + "\n", encoding="utf-8")
    print(
        variant.question,
        variant.name,
        seed,
        round(result["average_precision"], 3),
        round(result["seconds"]),
        flush=True,
    )
    return path


def place_by_samples(model: torch.nn.Module, token_lengths: Any) -> None:
    """Let the encoder count positions in samples; a hidden token, whose length it may not know, has the mean length."""
    lengths = torch.from_numpy(token_lengths).float()
    unit = float(lengths[lengths > 0].median())
    lengths[MASK_ID] = unit

    def add_positions(_: Any, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        of_tokens = lengths[named["input_ids"]]
        places = (of_tokens.cumsum(dim=1) - of_tokens) / unit
        return arguments, {**named, "position_ids": places.round().long()}

    model.base_model.register_forward_pre_hook(add_positions, with_kwargs=True)


def gather(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the seeds of each variant that has been trained: mean, lowest, highest."""
    rows = []
    for variant in VARIANTS:
        mine = [one for one in results if (one["question"], one["name"]) == (variant.question, variant.name)]
        if not mine:
            continue
        row: dict[str, Any] = {"question": variant.question, "name": variant.name, "n_seeds": len(mine)}
        for key in ("average_precision", "validation_loss", "samples_per_token", "steps", "tokens", "seconds"):
            if values := [one[key] for one in mine if key in one]:
                row[key] = {"mean": sum(values) / len(values), "low": min(values), "high": max(values)}
        rows.append(row)
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the score of every variant with the range over its seeds, the reference as a line."""
    figure = Figure(figsize=(7.5, 0.28 * len(rows) + 0.9), layout="constrained")
    axes = figure.subplots()
    scores = [row["average_precision"] for row in rows]
    ends = [[score["mean"] - score["low"] for score in scores], [score["high"] - score["mean"] for score in scores]]
    places = range(len(rows))
    axes.errorbar([score["mean"] for score in scores], places, xerr=ends, fmt="o", color="#3060a0", markersize=4)
    axes.axvline(scores[0]["mean"], color="#909090", linewidth=0.8)
    axes.set_yticks(places, [f"{row['question']}: {row['name']}" for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("average precision of S and V; mean and range over seeds")
    with replacing_file(path) as temporary, plt.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def train_missing(jobs: list[tuple[int, int]], arguments: argparse.Namespace) -> None:
    """Build the corpora, then train and probe every variant from every seed, unless that is done."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    configs = {corpus_folder(arguments.work, config): config for config in (config_of(one, seed=1) for one in VARIANTS)}
    for config in configs.values():
        prepare(arguments.folders, arguments.mitdb, arguments.work, config, n_workers=arguments.workers)
    # A new process for each run: the last one leaves memory behind.
    with ProcessPoolExecutor(arguments.workers, max_tasks_per_child=1, mp_context=get_context("spawn")) as executor:
        submitted = [
            executor.submit(train_and_probe, arguments.work, number, seed, rescore=arguments.rescore)
            for number, seed in jobs
        ]
        for one in submitted:
            one.result()


def write_bundles(work: Path, folder: Path) -> None:
    """Write the first seed of every finished encoder as a bundle, for `heartbert rivals`.

    Positions by sample are left out: a bundle has no place for them.
    """
    for number, variant in enumerate(VARIANTS):
        run = result_file(work, number, seed=1)
        if not run.exists() or not variant.trained or variant.by_samples:
            continue
        config = config_of(variant, seed=1)
        corpus = corpus_folder(work, config)
        name = re.sub("[^a-z0-9]+", "-", f"{variant.question} {variant.name}".lower()).strip("-")
        finished = Pretraining(corpus, run.with_suffix(""), config)
        bundle_pretrained(finished, corpus, folder / name, name=name, version=heartbert.__version__)


def main() -> None:
    """Parse the command line, train what is missing, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="recordings to train on")
    parser.add_argument("--mitdb", type=Path, required=True, help="MIT-BIH Arrhythmia, for the probe")
    parser.add_argument("--work", type=Path, required=True, help="folder of corpora and runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--finished", action="store_true", help="train nothing, store the runs that are finished")
    parser.add_argument("--rescore", action="store_true", help="probe the runs that are finished anew")
    parser.add_argument("--bundles", type=Path, help="folder for bundles of the encoders, one of each kind")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance([*arguments.folders, arguments.mitdb, arguments.work])
    jobs = [(number, seed) for seed in range(1, 1 + arguments.seeds) for number in range(len(VARIANTS))]
    if arguments.finished:
        jobs = [job for job in jobs if result_file(arguments.work, *job).exists()]
    if arguments.rescore or not arguments.finished:
        train_missing(jobs, arguments)
    files = [result_file(arguments.work, number, seed) for number, seed in jobs]
    results = [json.loads(path.read_text(encoding="utf-8")) for path in files if path.exists()]
    origin["commit"] = ", ".join(sorted({one["commit"] for one in results}))
    stored = {**origin, "n_seeds": arguments.seeds, "common": COMMON, "minutes_per_record": PROBE_MINUTES}
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps({**stored, "rows": gather(results)}, indent=1) + "\n", encoding="utf-8")
    draw(gather(results), arguments.output.with_suffix(".svg"))
    if arguments.bundles:
        write_bundles(arguments.work, arguments.bundles)


if __name__ == "__main__":
    main()
