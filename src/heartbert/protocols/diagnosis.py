"""Diagnosis of heart disease from twelve leads on PTB-XL, by its published folds: our encoder against every baseline.

One embedding a lead, attention over the leads, five superclasses of which a recording has one or several. Training
stops, and the threshold of each class is chosen, by the fold below the one that is scored.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from heartbert.databases.labelling import SUPERCLASSES
from heartbert.errors import ConfigError
from heartbert.evaluation.leakage import LeakKind, bundle_parts, refuse_leaks
from heartbert.files import replacing_file
from heartbert.pipeline import HeartBert
from heartbert.predictions.pooled_leads import Pooling
from heartbert.progress import Progress, no_progress
from heartbert.protocols.diagnosis_data import (
    DiagnosisDatabase,
    DiagnosisRecord,
    Side,
    Split,
    amplitude_of,
    read_diagnosis_database,
    split_folds,
    targets_of,
)
from heartbert.protocols.diagnosis_inputs import InputSettings, InputStore, default_layer
from heartbert.protocols.diagnosis_rows import OURS, ROWS, Part, Row, RowSettings
from heartbert.protocols.diagnosis_scoring import Scored, best_thresholds, score_rows


@dataclass(frozen=True)
class DiagnosisProtocol:
    """How a table is made.

    Attributes
    ----------
    work : Path
        Folder of inputs and predictions that are done, to continue there.
    bundle : Path or None
        Folder of a bundle; None is the one that ships.
    side : {"validation", "test"}
        Score fold 9 with fold 8 to stop, or fold 10 with fold 9.
    training : tuple of int or None
        Folds to train on; None is all below.
    n_seeds : int
    layer : int or None
        Layer of the encoder; None is two thirds up.
    pooling : {"mean", "mean-std"}
    rows : RowSettings
    n_workers : int
        Processes that compute inputs.
    """

    work: Path
    bundle: Path | None = None
    side: Side = "validation"
    training: tuple[int, ...] | None = None
    n_seeds: int = 5
    layer: int | None = None
    pooling: Pooling = "mean-std"
    rows: RowSettings = field(default_factory=RowSettings)
    n_workers: int = 1

    def __post_init__(self) -> None:
        for name in ("n_seeds", "n_workers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; at least 1 is needed.")


def evaluate_diagnosis(
    folder: Path, protocol: DiagnosisProtocol, *, progress: Progress = no_progress
) -> dict[str, Any]:
    """Score our encoder and every baseline on the superclasses of PTB-XL.

    Parameters
    ----------
    folder : Path
        PTB-XL, whole or in part.
    protocol : DiagnosisProtocol
    progress : callable
        Told the stage and the fraction done.

    Returns
    -------
    result : dict
        ``data``: how many recordings there are of those published, by side and class. ``rows``: scores, see
        `score_rows`. ``macro_auroc``: ours. ``leaks``: what the encoder saw without labels.

    Raises
    ------
    LeakageError
        If a person is on two sides, or the bundle does not say what it was trained on.
    ConfigError, DatabaseError, BundleError
    """
    bundle = HeartBert.load(protocol.bundle).bundle
    protocol = replace(protocol, layer=default_layer(bundle) if protocol.layer is None else protocol.layer)
    database = read_diagnosis_database(folder, progress=progress)
    split = split_folds(database, protocol.side, training=protocol.training)
    leaks = guard_split(split, bundle.manifest)
    settings = InputSettings(protocol.bundle, int(protocol.layer or 0), protocol.pooling)
    amplitude = amplitude_of(split.records, progress=progress)
    store = InputStore(protocol.work, settings, amplitude, protocol.n_workers)
    rows = {name: _score(name, row, split, store, protocol, progress=progress) for name, row in ROWS.items()}
    persons = [one.examples.person for one in split.scored]
    scores = score_rows(targets_of(split.scored), persons, rows, SUPERCLASSES, ours=OURS)
    return {
        "protocol": "ptb-xl",
        "side": protocol.side,
        "bundle": bundle.name,
        "settings": {
            "layer": protocol.layer,
            "pooling": protocol.pooling,
            "n_seeds": protocol.n_seeds,
            **asdict(protocol.rows),
        },
        "data": {**_described(database, split), "amplitude": amplitude},
        "leaks": leaks,
        "macro_auroc": scores["rows"][OURS]["macro_auroc"],
        **scores,
    }


def guard_split(split: Split, manifest: Mapping[str, Any]) -> list[str]:
    """Check that no person is on two sides; returns, in words, what the encoder saw without labels.

    Raises
    ------
    LeakageError
        If one is, or the manifest of the bundle does not say what it was trained on.
    """
    training, stopping, scored = (
        [one.examples for one in part] for part in (split.training, split.stopping, split.scored)
    )
    refuse_leaks(training, stopping)
    fitted = bundle_parts(manifest, with_head=False)
    leaks = refuse_leaks(training + stopping, scored, fitted=fitted, allowed=(LeakKind.TRANSDUCTIVE,))
    return [leak.what for leak in leaks]


def _described(database: DiagnosisDatabase, split: Split) -> dict[str, Any]:
    """Say how much of the published database was used."""
    sides = {"training": split.training, "stopping": split.stopping, "scored": split.scored}
    return {
        **database.counts,
        "sides": {name: _side(part) for name, part in sides.items()},
    }


def _side(records: Sequence[DiagnosisRecord]) -> dict[str, Any]:
    present = targets_of(records).sum(axis=0).astype(int).tolist()
    return {
        "folds": sorted({one.fold for one in records}),
        "n_records": len(records),
        "n_persons": len({one.examples.person for one in records}),
        "n_by_class": dict(zip(SUPERCLASSES, present, strict=True)),
    }


def _score(
    name: str, row: Row, split: Split, store: InputStore, protocol: DiagnosisProtocol, *, progress: Progress
) -> Scored:
    """Train one row for every seed, or read what was predicted before."""
    n_seeds = protocol.n_seeds if row.has_seeds else 1
    paths = [_path(name, row, split, store, protocol, seed) for seed in range(n_seeds)]
    values = None
    for seed, path in enumerate(paths):
        progress(f"{name}, seed {seed + 1} of {n_seeds}", seed / n_seeds)
        if path.is_file():
            continue
        values = store.read(row.reads, split.records, progress=progress) if values is None else values
        n_training, n_before = len(split.training), len(split.training) + len(split.stopping)
        training: Part = (values[:n_training], targets_of(split.training))
        held_out: Part = (values[n_training:n_before], targets_of(split.stopping))
        score = row.train(training, held_out, protocol.rows, seed)
        with replacing_file(path) as temporary:
            np.savez(temporary, stopping=score(held_out[0]), scored=score(values[n_before:]))
    stopping, scored = [], []
    for path in paths:
        with np.load(path, allow_pickle=False) as stored:
            stopping.append(stored["stopping"])
            scored.append(stored["scored"])
    thresholds = [best_thresholds(targets_of(split.stopping), found) for found in stopping]
    return Scored(np.stack(scored), np.stack(thresholds))


def _path(name: str, row: Row, split: Split, store: InputStore, protocol: DiagnosisProtocol, seed: int) -> Path:
    """Name the file of predictions by all that they depend on."""
    sides = [[(one.path.stem, one.targets) for one in part] for part in (split.training, split.stopping, split.scored)]
    key = [name, seed, asdict(protocol.rows), store.key(row.reads), sides]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    return protocol.work / "runs" / f"{digest}.npz"
