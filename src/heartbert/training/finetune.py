"""A person's own labels -> a task: the frozen encoder's embeddings, a head, and what it scores on held-out persons."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedModel

from heartbert.bundle import Bundle, load_bundle, save_bundle
from heartbert.errors import ConfigError
from heartbert.evaluation.bootstrap import Estimate
from heartbert.evaluation.tasks import score_classes, score_labels, score_numbers
from heartbert.predictions.calibration import fit_temperature
from heartbert.predictions.lead_attention import LeadAttention
from heartbert.predictions.task_files import check_task_name, encoder_digest
from heartbert.predictions.task_units import UnitEmbeddings, UnitInput
from heartbert.predictions.tasks import TaskHead
from heartbert.progress import Progress, no_progress
from heartbert.training.card import write_card
from heartbert.training.finetune_encoder import check_tuning, tune_task
from heartbert.training.finetune_sides import Sides, persons_of, split_units
from heartbert.training.finetune_units import EmbeddingStore, LabelledRecord, Reading, embed_table, place_units
from heartbert.training.heartbeat_encoder import EncoderTuning
from heartbert.training.label_tables import LabelTable
from heartbert.training.lead_attention import LeadAttentionConfig, train_lead_attention

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TaskSettings:
    """What is learnt from a table, and how.

    Attributes
    ----------
    name : str
        Of the task.
    leads : {"one", "all"} or None
        Whether one lead of a recording is read or all of them, weighed by name; None: all for whole recordings.
    lead : str or None
        The one lead; None for the first in the documented order of preference.
    layer : int or None
        Encoder layer; None for the one that the heartbeat head of the bundle reads, or the last.
    seed : int
        Of the draw of persons, and of the training.
    reading : Reading
    network : LeadAttentionConfig
    tuning : EncoderTuning or None
        Trains a part of the encoder with the head, after the head alone.
    """

    name: str
    leads: Literal["one", "all"] | None = None
    lead: str | None = None
    layer: int | None = None
    seed: int = 0
    reading: Reading = field(default_factory=Reading)
    network: LeadAttentionConfig = field(default_factory=LeadAttentionConfig)
    tuning: EncoderTuning | None = None

    def __post_init__(self) -> None:
        check_task_name(self.name)
        if self.leads == "all" and self.lead is not None:
            raise ConfigError(f"all leads were asked for and lead '{self.lead}' alone. Leave out one of them.")


@dataclass(frozen=True)
class TrainedTask:
    """A head and what is known of it.

    Attributes
    ----------
    head : TaskHead
    bundle : Bundle
        With the head. Where the encoder learnt, without the heads that were trained on it as it was before.
    scores : dict of str to Estimate
        On the persons of `scored_on`.
    baseline : dict of str to Estimate
        The same for the answer that training persons give most often, or their mean.
    scored_on : {"test", "validation"}
        Validation, where nobody was left for the test: the time to stop and the temperature were chosen there.
    values : ndarray of float32, shape (n_units, n_classes)
        What the head says of every unit of the table.
    sides : dict of str to ndarray of int64
    told : dict
        For the manifest.
    """

    head: TaskHead
    bundle: Bundle
    scores: dict[str, Estimate]
    baseline: dict[str, Estimate]
    scored_on: Literal["test", "validation"]
    values: npt.NDArray[np.float32]
    sides: Sides
    told: dict[str, Any]


def bundle_with_task(
    source: Path,
    table: LabelTable,
    folder: Path,
    settings: TaskSettings,
    *,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> TrainedTask:
    """Train a head on a person's own labels and write it with the bundle.

    Other heads of the bundle stay, unless the encoder learnt too: they were trained on the encoder as it was.

    Parameters
    ----------
    source : Path
        Bundle with the encoder.
    table : LabelTable
    folder : Path
        Bundle to write; may be `source`.
    settings : TaskSettings
    cache : Path, optional
        Folder that keeps embeddings for the next time.
    progress : callable

    Raises
    ------
    ConfigError
        If the table cannot be learnt from: see `read_label_table`, `split_units` and `place_units`.
    LeakageError
        If a person or a recording is on two sides.
    """
    trained = train_task(load_bundle(source), table, settings, cache=cache, progress=progress)
    manifest = {key: value for key, value in trained.bundle.manifest.items() if key not in ("versions", "sha256")}
    manifest["tasks"] = {**manifest.get("tasks", {}), settings.name: trained.told}
    save_bundle(replace(trained.bundle, manifest=manifest), folder, card=write_card(manifest))
    return trained


def train_task(
    bundle: Bundle,
    table: LabelTable,
    settings: TaskSettings,
    *,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> TrainedTask:
    """Train a head of a bundle; see `bundle_with_task`."""
    sides, leaks = split_units(table, seed=settings.seed, manifest=bundle.manifest)
    read = _input(bundle, table, settings)
    if settings.tuning is not None:
        check_tuning(bundle, read, settings.tuning)
    placed = place_units(table, read, settings.reading, progress=progress)
    read = replace(read, leads=_lead_names(placed) if _reads_all(table, settings) else ())
    store = EmbeddingStore(bundle, cache), settings.reading
    embedded = embed_table(table, placed, read, store, progress=progress)
    known: npt.NDArray[np.bool_] = np.any(embedded.mask, axis=(1, 2))
    usable = {side: rows[known[rows]] for side, rows in sides.items()}
    progress("training", 0.0)
    network = _train_network(table, embedded, usable, read, settings)
    if settings.tuning is not None:
        how = read, settings.reading, settings.network, settings.tuning, settings.seed
        model, network = tune_task(bundle, network, (table, placed, usable), how, progress=progress)
        bundle = _without_heads(bundle, model)
        store = EmbeddingStore(bundle, None), settings.reading
        embedded = embed_table(table, placed, read, store, progress=progress)
    head = TaskHead(network, table.kind, table.classes, read, 1.0, encoder_digest(bundle.model))
    head = replace(head, temperature=_temperature(head, table, embedded, usable["validation"]))
    values = head.apply(embedded)
    scored_on: Literal["test", "validation"] = "test" if "test" in sides else "validation"
    persons = persons_of(table)
    scores = _score(table, values, persons, usable[scored_on])
    constant = np.broadcast_to(_constant(table, usable["train"]), values.shape)
    baseline = _score(table, constant, persons, usable[scored_on])
    told = {
        "unit": table.unit,
        "kind": table.kind,
        "classes": list(table.classes),
        "scored_on": scored_on,
        "scores": {name: asdict(one) for name, one in scores.items()},
        "baseline": {name: asdict(one) for name, one in baseline.items()},
        "subjects": "column" if table.subjects else "recordings",
        "n_persons": {side: len({persons[row] for row in rows}) for side, rows in sides.items()},
        "n_units": {side: int(rows.size) for side, rows in sides.items()},
        "n_units_unscorable": int((~known).sum()),
        "records": {side: sorted({table.paths[row].name for row in rows}) for side, rows in sides.items()},
        "leaks": leaks,
        "temperature": head.temperature,
        "n_parameters": sum(parameter.numel() for parameter in head.network.parameters()),
        "reads": asdict(read),
        "network": asdict(settings.network),
        "tuning": asdict(settings.tuning) if settings.tuning else None,
        "seed": settings.seed,
    }
    bundle = replace(bundle, tasks={**bundle.tasks, settings.name: head})
    return TrainedTask(head, bundle, scores, baseline, scored_on, values, sides, told)


def _without_heads(bundle: Bundle, model: PreTrainedModel) -> Bundle:
    """Return the bundle with another encoder, and without what was trained on the one before."""
    manifest = {key: value for key, value in bundle.manifest.items() if key not in ("heartbeats", "sleep", "tasks")}
    manifest["heartbeat_scores"] = {}
    return replace(bundle, model=model, heartbeats=None, sleep=None, tasks={}, manifest=manifest)


def _reads_all(table: LabelTable, settings: TaskSettings) -> bool:
    """Say whether all leads of a recording are read."""
    named = any(table.leads)
    if settings.leads == "all" and (named or table.unit == "beat"):
        why = "the table names a lead" if named else "a beat's sample belongs to one lead"
        raise ConfigError(f"all leads were asked for, but {why}; use --leads one.")
    if settings.leads is None:
        return table.unit == "record" and not named and settings.lead is None
    return settings.leads == "all"


def _input(bundle: Bundle, table: LabelTable, settings: TaskSettings) -> UnitInput:
    layer = bundle.beat_layer if settings.layer is None else settings.layer
    n_layers = int(bundle.model.config.num_hidden_layers)
    if not 0 <= layer <= n_layers:
        raise ConfigError(f"layer is {layer}; the encoder has layers 0 (its input) to {n_layers}. Give one of them.")
    window_s = float(np.median(table.stops_s - table.starts_s)) if table.unit == "window" else None
    return UnitInput(table.unit, layer, lead=settings.lead, window_s=window_s)


def _lead_names(placed: Sequence[LabelledRecord]) -> tuple[str, ...]:
    """Return every lead that occurs, in order of appearance; nothing where each recording has only one."""
    if all(len(one.lead_names) == 1 for one in placed):
        return ()
    return tuple(dict.fromkeys(name for one in placed for name in one.lead_names))


def _train_network(
    table: LabelTable, embedded: UnitEmbeddings, sides: Sides, read: UnitInput, settings: TaskSettings
) -> LeadAttention:
    """Train on the frozen encoder until validation persons gain nothing more."""
    training, validation = (
        (embedded.vectors[rows], embedded.mask[rows], table.targets[rows])
        for rows in (sides["train"], sides["validation"])
    )
    config = replace(settings.network, names_leads=bool(read.leads))
    return train_lead_attention(*training, validation=validation, kind=table.kind, config=config, seed=settings.seed)


def _temperature(head: TaskHead, table: LabelTable, embedded: UnitEmbeddings, rows: Rows) -> float:
    """Return the temperature at which a head's probabilities fit units of validation persons; 1 for a number.

    It is at least 1: a few persons who are all right would ask for certainty.
    """
    if table.kind == "number":
        return 1.0
    values = head.apply(UnitEmbeddings(embedded.vectors[rows], embedded.mask[rows], embedded.quality[rows]))
    labels = table.targets[rows].astype(np.int64)
    if table.kind == "multi":  # each label is a choice between two
        values, labels = np.stack([1 - values.ravel(), values.ravel()], axis=1), labels.ravel()
    return max(1.0, fit_temperature(values, labels))


def _constant(table: LabelTable, training: Rows) -> npt.NDArray[np.float32]:
    """Return what training says without a look at the signal: the share of each class or label, or the mean."""
    targets = table.targets[training]
    if table.kind == "single":
        return (np.bincount(targets.astype(np.int64), minlength=len(table.classes)) / targets.size).astype(np.float32)
    return np.atleast_1d(targets.mean(axis=0)).astype(np.float32)


def _score(
    table: LabelTable, values: npt.NDArray[np.float32], persons: Sequence[str], rows: Rows
) -> dict[str, Estimate]:
    named = [persons[row] for row in rows]
    if table.kind == "single":
        return score_classes(values[rows], table.targets[rows].astype(np.int64), named, table.classes)
    targets = table.targets[rows].astype(np.float32)
    if table.kind == "multi":
        return score_labels(values[rows], targets, named, table.classes)
    return score_numbers(values[rows, 0], targets, named)
