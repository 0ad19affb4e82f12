"""Sleep staging, persons left out: `slpdb`, all choices inside the training persons.

The test persons of a fold are seen once, by the heads of its final setting. The setting is one of a short list, chosen
for each fold by the mean kappa of 3 and 5 classes on training persons that were held out from training.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from heartbert.errors import ConfigError
from heartbert.evaluation.leakage import LeakKind, bundle_parts, refuse_leaks
from heartbert.evaluation.sleep import stage_counts, stage_scores
from heartbert.files import replacing_file
from heartbert.predictions.sleep_labels import STAGE_SETS, StageSetName
from heartbert.predictions.sleep_night import SleepInput
from heartbert.predictions.sleep_stages import ensemble_probabilities
from heartbert.progress import Progress, no_progress
from heartbert.protocols.sleep_data import SleepDatabase, deal_persons
from heartbert.protocols.sleep_rows import BASELINES, Stager, Trainer, ours
from heartbert.protocols.sleep_scoring import PredictedNight, score_row
from heartbert.training.sleep import LabelledNight, split_persons, train_network
from heartbert.training.sleep_config import SleepConfig


@dataclass(frozen=True)
class SleepProtocol:
    """How a table is made.

    Attributes
    ----------
    settings : tuple of SleepConfig
        Among which each fold chooses; with one there is nothing to choose.
    n_folds : int
        Test folds of persons; as many as persons at most.
    n_inner_folds : int
        Folds of the training persons by which a setting is chosen.
    n_seeds : int
    store : Path or None
        Folder of predictions that are done, to continue there.
    """

    settings: tuple[SleepConfig, ...] = (SleepConfig(),)
    n_folds: int = 16
    n_inner_folds: int = 3
    n_seeds: int = 5
    store: Path | None = None

    def __post_init__(self) -> None:
        for name, least in (("n_folds", 2), ("n_inner_folds", 2), ("n_seeds", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}; at least {least} is needed.")
        if not self.settings:
            raise ConfigError("there is no setting to train with; give at least one.")


@dataclass(frozen=True)
class Row:
    """One row of the table: how it is trained, and what our head reads; None for a baseline, which chooses nothing."""

    train: Trainer
    inputs: SleepInput | None = None

    @property
    def reads_tokens(self) -> bool:
        """Whether embeddings matter to it."""
        return self.inputs in {"tokens", "both"}


def evaluate_slpdb(
    data: SleepDatabase,
    protocol: SleepProtocol,
    *,
    manifest: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score our head with each input, and the baselines, leaving persons out.

    Parameters
    ----------
    data : SleepDatabase
    protocol : SleepProtocol
    manifest : mapping, optional
        Of the bundle whose encoder made the embeddings; what it was trained on is checked, and said in the result.
    progress : callable
        Told the stage and the fraction done.

    Returns
    -------
    result : dict
        ``beats``: all scored epochs. ``tokens``, ``both``: epochs that have tokens; there only if there are any.
        ``beats_where_tokens``: the head of ``beats`` on those epochs. ``baselines``: all scored epochs.

    Raises
    ------
    LeakageError
        If a fold leaks, the encoder included unless it only saw unlabelled signals, which the result says.
    """
    has_tokens = any(np.isfinite(night.night.embeddings).any() for night in data.nights)
    inputs: tuple[SleepInput, ...] = ("beats", "tokens", "both") if has_tokens else ("beats",)
    rows: dict[str, Row] = {name: Row(ours(name), name) for name in inputs}
    rows |= {name: Row(train) for name, train in BASELINES.items()}
    predicted = {name: _predict_all(data, protocol, name, row, progress=progress) for name, row in rows.items()}
    result: dict[str, Any] = {
        "protocol": "slpdb",
        "settings": [asdict(setting) for setting in protocol.settings],
        "folds": deal_persons(data.nights, protocol.n_folds),
        "tokens_from": data.tokens_from,
        "leaks": _guard(data, protocol, manifest),
    }
    for name in inputs:
        result[name] = score_row(predicted[name], with_tokens_only=name != "beats")
    if has_tokens:
        result["beats_where_tokens"] = score_row(predicted["beats"], with_tokens_only=True)
        result["both_everywhere"] = score_row(predicted["both"])
    return {**result, "baselines": {name: score_row(predicted[name]) for name in BASELINES}}


def evaluate_tokens(
    data: SleepDatabase, protocol: SleepProtocol, *, progress: Progress = no_progress
) -> dict[str, Any]:
    """Score our head on embeddings of any encoder that learnt nothing from stages, as rows to compare with.

    Temperatures are not fitted: they change no class, and are more than half of a head's trainings.

    Returns
    -------
    rows : dict
        ``tokens`` and ``both``, scored where there are tokens.
    """
    names: tuple[SleepInput, ...] = ("tokens", "both")
    rows: dict[str, Any] = {}
    for name in names:
        row = Row(ours(name, calibrated=False), name)
        predicted = _predict_all(data, protocol, f"{name}, not calibrated", row, progress=progress)
        rows[name] = score_row(predicted, with_tokens_only=True)
    return rows


def _guard(data: SleepDatabase, protocol: SleepProtocol, manifest: Mapping[str, Any] | None) -> list[str]:
    """Check every fold; returns the leaks that are allowed, in words."""
    fitted = bundle_parts(manifest, with_head=False) if manifest else ()
    found: set[str] = set()
    for held_out in deal_persons(data.nights, protocol.n_folds):
        training, test = split_persons(data.nights, held_out)
        leaks = refuse_leaks(
            [night.examples for night in training],
            [night.examples for night in test],
            fitted=fitted,
            allowed=(LeakKind.TRANSDUCTIVE,),
        )
        found |= {leak.what for leak in leaks}
    return sorted(found)


def _predict_all(
    data: SleepDatabase, protocol: SleepProtocol, name: str, row: Row, *, progress: Progress
) -> list[list[PredictedNight]]:
    """Return for each seed all nights, each predicted by heads that did not see its person."""
    fingerprint = data.fingerprint(with_tokens=row.reads_tokens)
    folds = deal_persons(data.nights, protocol.n_folds)
    by_seed: list[list[PredictedNight]] = [[] for _ in range(protocol.n_seeds)]
    for number, held_out in enumerate(folds):
        progress(f"{name}, fold {number + 1} of {len(folds)}", number / len(folds))
        training, test = split_persons(data.nights, held_out)
        training = [night.only_with_tokens() for night in training] if row.inputs == "tokens" else training
        setting = _choose(training, protocol, row.inputs, fingerprint) if row.inputs else protocol.settings[0]
        for seed, nights in enumerate(by_seed):
            nights += _predict(
                test, training, row.train, replace(setting, seed=100 * seed), protocol, (fingerprint, name)
            )
    return by_seed


def _predict(
    test: Sequence[LabelledNight],
    training: Sequence[LabelledNight],
    train: Trainer,
    setting: SleepConfig,
    protocol: SleepProtocol,
    identity: tuple[str, str],
) -> list[PredictedNight]:
    """Train and predict, or read what was predicted before."""
    key = [*identity, asdict(setting), *(night.record for night in test), *(night.record for night in training)]
    path = _path(protocol, key)
    if path is not None and path.is_file():
        with np.load(path) as stored:
            return [PredictedNight(night, {of: stored[f"{night.record} {of}"] for of in STAGE_SETS}) for night in test]
    stager: Stager = train(training, setting)
    predicted = [PredictedNight(night, stager(night.night)) for night in test]
    if path is not None:
        arrays = {f"{one.night.record} {of}": one.probabilities[of] for one in predicted for of in STAGE_SETS}
        with replacing_file(path) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]
    return predicted


def _path(protocol: SleepProtocol, key: list[Any]) -> Path | None:
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    return protocol.store / f"{digest}.npz" if protocol.store else None


def _choose(
    training: Sequence[LabelledNight], protocol: SleepProtocol, inputs: SleepInput, fingerprint: str
) -> SleepConfig:
    """Return the setting with the best kappa on held-out training persons."""
    if len(protocol.settings) == 1:
        return protocol.settings[0]
    path = _path(
        protocol,
        ["choice", fingerprint, inputs, *map(asdict, protocol.settings), *(night.record for night in training)],
    )
    if path is not None and path.with_suffix(".json").is_file():
        return protocol.settings[int(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))]
    scores = [_inner_kappa(training, setting, protocol.n_inner_folds, inputs) for setting in protocol.settings]
    best = int(np.argmax(scores))
    if path is not None:
        with replacing_file(path.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(best), encoding="utf-8")
    return protocol.settings[best]


def _inner_kappa(training: Sequence[LabelledNight], setting: SleepConfig, n_folds: int, inputs: SleepInput) -> float:
    """Return the mean of kappa for 3 and 5 classes on held-out training persons, by one network a fold."""
    seen = [night.seen_by(inputs) for night in training]
    sets: tuple[StageSetName, ...] = ("stages3", "stages5")
    counts = {of: np.zeros((len(STAGE_SETS[of].classes),) * 2, dtype=np.int64) for of in sets}
    for held_out in deal_persons(seen, n_folds, seed=1):
        inner, validation = split_persons(seen, held_out)
        network = train_network(inner, setting, seed=setting.seed, with_tokens=inputs != "beats")
        for night in validation:
            probabilities = ensemble_probabilities([network], night.night)
            for of in sets:
                found = np.argmax(probabilities[of], axis=1)
                counts[of] += stage_counts(STAGE_SETS[of].labels(night.stages), found, len(STAGE_SETS[of].classes))
    return float(np.mean([stage_scores(table)["kappa"] for table in counts.values()]))
