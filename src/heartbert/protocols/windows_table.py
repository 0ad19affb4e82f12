"""HeartBERT's own heartbeat task -> the table of scores, split at random as published and split by person beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError, LeakageError
from heartbert.evaluation.bootstrap import bootstrap
from heartbert.evaluation.ec57 import LABELS
from heartbert.evaluation.heartbeats import score_tables, table_of_pairs
from heartbert.evaluation.leakage import Examples, FittedPart, Leak, LeakKind, bundle_parts, refuse_leaks
from heartbert.predictions.heartbeats import BEAT_PARTS_S
from heartbert.predictions.labels import AamiClass
from heartbert.progress import Progress, no_progress
from heartbert.protocols.beat_records import Input, digest_read, encoders_of
from heartbert.protocols.beat_rows import OURS
from heartbert.protocols.beat_scoring import Run, calibration_bins
from heartbert.protocols.beat_table import RUNS_FOLDER, TableSettings, fingerprint, score_rows
from heartbert.protocols.heartbeat_windows import (
    N_FOLDS,
    N_PLACES,
    SCHEMES,
    Scheme,
    WindowRecord,
    deal_windows,
    read_windows,
)
from heartbert.protocols.raw_networks import NetworkTraining, RawCnn, SequenceBiLstm, raw_bilstm, train_network
from heartbert.protocols.run_store import RunStore, open_run_store
from heartbert.training.config import HeartbeatsConfig

# LSTM units in each direction, as published.
_N_UNITS = 128
Folds = Sequence[npt.NDArray[np.int64]]
# Leaks that a random split of windows has by its nature; measured here.
_PUBLISHED_LEAKS = (LeakKind.PERSON, LeakKind.RECORDING, LeakKind.CHOSEN)


def _embedded_bilstm(n_numbers: int) -> nn.Module:
    """Return the published head on the frozen encoder: a BiLSTM over the stretches of a window."""
    n_steps = N_PLACES * len(BEAT_PARTS_S)
    scaled = nn.BatchNorm1d(n_numbers, affine=False)
    return nn.Sequential(scaled, SequenceBiLstm(n_steps, n_numbers // n_steps, n_units=_N_UNITS))


_MAJORITY = "majority class"
# What each row reads, and the network that reads that many numbers.
_WINDOW_ROWS: Mapping[str, tuple[Input, Callable[[int], nn.Module]]] = {
    "CNN on the raw signal": ("signal", lambda _: RawCnn()),
    "BiLSTM on the raw signal": ("signal", raw_bilstm),
    "encoder of random weights, BiLSTM": ("random encoder", _embedded_bilstm),
    OURS: ("encoder", _embedded_bilstm),
}


def evaluate_windows(
    bundle: Bundle,
    recordings: Sequence[tuple[Examples, Path]],
    output: Path,
    settings: TableSettings,
    *,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score windows split at random, as published, and split by person; every window is tested once in five folds.

    Parameters
    ----------
    bundle : Bundle
        Its encoder stays as it is.
    recordings : sequence of (Examples, Path)
    output : Path
        Folder of the results; runs are kept in ``runs`` below it.
    settings : TableSettings
        Its rows and placements do not matter here.
    progress : callable
        Told the stage and the fraction done.

    Returns
    -------
    table : dict
        Scores split by person, ours and ``baselines``; the same, flattering ones, under ``random_windows`` with what
        the leakage guard says of that split; and ``worth_of_the_leak``: how much macro-F1 the random split adds to
        each row.

    Raises
    ------
    LeakageError
        If the encoder has seen the recordings and that is not allowed.
    ConfigError
        If there are fewer persons than folds, further bundles are asked for, or the folder holds runs made with other
        settings.
    """
    if settings.others:
        raise ConfigError(
            f"{len(settings.others)} further bundles were given, but the table of published windows has rows of one "
            "bundle alone; run it for each of them."
        )
    known = (LeakKind.TRANSDUCTIVE,) if settings.allow_transductive else ()
    refuse_leaks(
        [], [one for one, _ in recordings], fitted=bundle_parts(bundle.manifest, with_head=False), allowed=known
    )
    records = _read_all(bundle, recordings, settings, progress=progress)
    told = {
        "encoder": digest_read("encoder", bundle, settings.heads),
        "records": [one.examples.name for one in records],
    }
    store = open_run_store(output / RUNS_FOLDER, {**fingerprint(settings), **told})
    runs: dict[Scheme, dict[str, list[Run]]] = {}
    blocks: dict[Scheme, dict[str, Any]] = {}
    for scheme in SCHEMES:
        folds = deal_windows(records, scheme)
        allowed = known if scheme == "by_person" else (*known, *_PUBLISHED_LEAKS)
        blocks[scheme] = {"leaks": _guard_folds(records, folds, bundle, allowed)}
        if scheme == "random_windows":
            blocks[scheme]["refused_by_the_guard"] = _refusal(records, folds, bundle, known)
        runs[scheme] = _run_rows(scheme, records, folds, store, settings.heads, progress=progress)
        blocks[scheme] |= score_rows(runs[scheme])
    worth = {name: _worth(runs, name) for name in runs["by_person"]}
    return {**blocks["by_person"], "random_windows": blocks["random_windows"], "worth_of_the_leak": worth}


def _read_all(
    bundle: Bundle, recordings: Sequence[tuple[Examples, Path]], settings: TableSettings, *, progress: Progress
) -> list[WindowRecord]:
    encoders = encoders_of(bundle, settings.heads.layer, cache=settings.cache)
    records = []
    for number, (examples, path) in enumerate(recordings):
        progress(f"embedding {examples.record}", number / len(recordings))
        records.append(read_windows(encoders, path, examples))
    return records


def _run_rows(
    scheme: Scheme,
    records: Sequence[WindowRecord],
    folds: Folds,
    store: RunStore,
    heads: HeartbeatsConfig,
    *,
    progress: Progress,
) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {}
    for number, name in enumerate((_MAJORITY, *_WINDOW_ROWS)):
        for seed in range(heads.seed, heads.seed + heads.n_seeds):
            progress(f"{name}, seed {seed}", (number / (1 + len(_WINDOW_ROWS)) + SCHEMES.index(scheme)) / len(SCHEMES))
            make = partial(_run, name, records, folds, heads, seed)
            runs.setdefault(name, []).append(store.get((scheme, name, seed), make))
    return runs


def _side(records: Sequence[WindowRecord], inside: Sequence[npt.NDArray[np.bool_]]) -> list[Examples]:
    """Return the chosen windows of each recording that has any."""
    found = []
    for one, chosen in zip(records, inside, strict=True):
        starts_s, stops_s = one.examples.windows()
        if chosen.any():
            found.append(replace(one.examples, starts_s=starts_s[chosen], stops_s=stops_s[chosen]))
    return found


def _guard_fold(
    records: Sequence[WindowRecord],
    folds: Folds,
    fold: int,
    bundle: Bundle,
    allowed: Sequence[LeakKind],
) -> tuple[Leak, ...]:
    validation = (fold + 1) % N_FOLDS
    chosen = tuple(one.name for one in _side(records, [found == validation for found in folds]))
    return refuse_leaks(
        _side(records, [(found != fold) & (found != validation) for found in folds]),
        _side(records, [found == fold for found in folds]),
        fitted=(FittedPart("training epoch", chosen, LeakKind.CHOSEN), *bundle_parts(bundle.manifest, with_head=False)),
        allowed=allowed,
    )


def _guard_folds(
    records: Sequence[WindowRecord],
    folds: Folds,
    bundle: Bundle,
    allowed: Sequence[LeakKind],
) -> list[str]:
    """Refuse folds that leak; returns what was allowed, in words."""
    leaks = [leak.what for fold in range(N_FOLDS) for leak in _guard_fold(records, folds, fold, bundle, allowed)]
    return sorted(set(leaks))


def _refusal(records: Sequence[WindowRecord], folds: Folds, bundle: Bundle, known: Sequence[LeakKind]) -> str:
    """Return what the guard says of folds when their leaks are not allowed."""
    try:
        _guard_folds(records, folds, bundle, known)
    except LeakageError as error:
        return str(error)
    return ""


def _run(
    name: str,
    records: Sequence[WindowRecord],
    folds: Folds,
    heads: HeartbeatsConfig,
    seed: int,
) -> Run:
    """Train a row on every fold's training windows and classify its test windows."""
    fold_of = np.concatenate(folds)
    labels = np.concatenate([one.labels for one in records])
    probabilities = np.zeros((labels.size, len(AamiClass)), dtype=np.float32)
    for fold in range(N_FOLDS):
        test, validation = fold_of == fold, fold_of == (fold + 1) % N_FOLDS
        training = ~test & ~validation
        if name == _MAJORITY:
            probabilities[test, np.argmax(np.bincount(labels[training]))] = 1
            continue
        key, build = _WINDOW_ROWS[name]
        examples = np.concatenate([one.inputs[key] for one in records])
        settings = NetworkTraining(heads.n_training_epochs, heads.class_balance)
        sides = [(examples[side], labels[side]) for side in (training, validation)]
        classify = train_network(partial(build, examples.shape[1]), sides[0], sides[1], settings, seed=seed)
        probabilities[test] = classify(examples[test])
    return _score(records, probabilities)


def _score(records: Sequence[WindowRecord], probabilities: npt.NDArray[np.float32]) -> Run:
    found = np.split(probabilities, np.cumsum([one.labels.size for one in records])[:-1])
    tables, bins = [], []
    for one, classified in zip(records, found, strict=True):
        table = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
        np.add.at(table, (one.labels, np.argmax(classified, axis=1)), 1)
        tables.append(table)
        bins.append(calibration_bins(one.labels, classified))
    names = tuple(one.examples.record for one in records)
    return Run(names, np.stack(tables), np.zeros_like(np.stack(tables)), np.stack(bins))


def _worth(runs: Mapping[Scheme, Mapping[str, Sequence[Run]]], name: str) -> dict[str, float]:
    """Return macro-F1 split at random less that split by person, with an interval over recordings."""
    pairs = np.stack([[run.pairs for run in runs[scheme][name]] for scheme in SCHEMES], axis=2)
    tables = table_of_pairs(pairs)  # (n_seeds, n_records, 2, 6, 6)
    found = bootstrap(tables, lambda totals: {"worth": np.diff(score_tables(totals)["macro_f1"], axis=-1)[..., 0]})
    return asdict(found["worth"])
