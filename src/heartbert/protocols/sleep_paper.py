"""The published split of the text of `slpdb` next to the same rows split by person: what a leak is worth.

One text an epoch, nothing of the night around it, as the first version of the paper had it. Both splits train the same
small network on the same vectors; they differ in whether the test persons were in training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heartbert.databases.slpdb import SLPDB, TextRow
from heartbert.errors import DatabaseError, LeakageError
from heartbert.evaluation.leakage import Examples, refuse_leaks
from heartbert.evaluation.sleep import stage_counts, stage_scores
from heartbert.predictions.sleep_labels import STAGE_SETS, StageSetName
from heartbert.protocols.sleep_data import SleepDatabase, deal_persons
from heartbert.training.sleep import LabelledNight

PUBLISHED_ACCURACY = {"stages3": 0.593, "stages5": 0.497}
"""Of the first version of the paper (arXiv 2411.11896; April 2024), random split, all layers trained."""
# The network on one epoch's vector.
_N_UNITS, _DROPOUT, _STEPS, _BATCH, _LEARNING_RATE, _DECAY = 64, 0.5, 600, 128, 2e-3, 0.05


@dataclass(frozen=True)
class _Rows:
    vectors: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    persons: npt.NDArray[np.str_]
    examples: tuple[Examples, ...]


def evaluate_paper(data: SleepDatabase, *, n_seeds: int = 5, n_folds: int = 16) -> dict[str, Any]:
    """Score the text's train and dev rows as published, and the same rows split by person.

    Parameters
    ----------
    data : SleepDatabase
        Its nights must have embeddings of the text.
    n_seeds : int
    n_folds : int
        Of the split by person; all rows, of train and dev, are tested once.

    Returns
    -------
    result : dict
        ``paper_split`` and ``person_split``, each with ``stages3`` and ``stages5``: accuracy, kappa and macro-F1, with
        the mean over seeds and the lowest and highest seed; ``refused_by_the_guard`` is what the leakage guard says of
        the published split; ``published`` its published accuracy.

    Raises
    ------
    DatabaseError
        If there is no text.
    """
    if not data.text_rows:
        raise DatabaseError("the folder has no published text of epochs; the protocol 'paper' is about its rows.")
    result: dict[str, Any] = {"protocol": "paper", "published": PUBLISHED_ACCURACY}
    sets: tuple[StageSetName, ...] = ("stages3", "stages5")
    paper, person = {}, {}
    for name in sets:
        rows = {split: _rows(data, name, split) for split in ("train", "dev")}
        result.setdefault("refused_by_the_guard", _refusal(rows["train"], rows["dev"]))
        n_classes = len(STAGE_SETS[name].classes)
        paper[name] = _summary([_table(rows["train"], rows["dev"], n_classes, seed) for seed in range(n_seeds)])
        together = _join(rows["train"], rows["dev"])
        person[name] = _summary([_by_person(together, data, n_folds, n_classes, seed) for seed in range(n_seeds)])
    return {**result, "paper_split": paper, "person_split": person}


def _rows(data: SleepDatabase, name: StageSetName, split: str) -> _Rows:
    nights = {night.record: night for night in data.nights}
    chosen = [row for row in data.text_rows if row.class_set == name and row.split == split and _is_scored(row, nights)]
    stages = np.array([nights[row.record].stages[row.epoch] for row in chosen], dtype=np.int64)
    return _Rows(
        np.stack([nights[row.record].night.embeddings[row.epoch] for row in chosen]),
        STAGE_SETS[name].labels(stages),
        np.array([nights[row.record].subject_id for row in chosen]),
        tuple(Examples(SLPDB, row.record, epochs=np.array([row.epoch])) for row in chosen),
    )


def _is_scored(row: TextRow, nights: Mapping[str, LabelledNight]) -> bool:
    night = nights[row.record]
    return row.epoch < night.stages.size and bool(night.stages[row.epoch] >= 0)


def _join(one: _Rows, other: _Rows) -> _Rows:
    return _Rows(
        np.concatenate([one.vectors, other.vectors]),
        np.concatenate([one.labels, other.labels]),
        np.concatenate([one.persons, other.persons]),
        one.examples + other.examples,
    )


def _refusal(training: _Rows, test: _Rows) -> str:
    """Return what the leakage guard says of the published split."""
    try:
        refuse_leaks(training.examples, test.examples)
    except LeakageError as error:
        return str(error)
    return ""


def _by_person(rows: _Rows, data: SleepDatabase, n_folds: int, n_classes: int, seed: int) -> npt.NDArray[np.int64]:
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    for held_out in deal_persons(data.nights, n_folds):
        test = np.isin(rows.persons, held_out)
        if test.any() and not test.all():
            counts += _table(_choose(rows, ~test), _choose(rows, test), n_classes, seed)
    return counts


def _choose(rows: _Rows, chosen: npt.NDArray[np.bool_]) -> _Rows:
    examples = tuple(rows.examples[index] for index in np.flatnonzero(chosen))
    return _Rows(rows.vectors[chosen], rows.labels[chosen], rows.persons[chosen], examples)


def _table(training: _Rows, test: _Rows, n_classes: int, seed: int) -> npt.NDArray[np.int64]:
    """Train on rows, count the classes found in others."""
    mean, scale = training.vectors.mean(axis=0), training.vectors.std(axis=0) + 1e-4
    inputs, labels = torch.from_numpy((training.vectors - mean) / scale), torch.from_numpy(training.labels)
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Dropout(_DROPOUT),
            nn.Linear(inputs.shape[1], _N_UNITS),
            nn.GELU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_N_UNITS, n_classes),
        )
        optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_DECAY)
        for _ in range(_STEPS):
            rows = torch.from_numpy(rng.integers(len(labels), size=_BATCH))
            loss = nn.functional.cross_entropy(network(inputs[rows]), labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.inference_mode():
        found = network.eval()(torch.from_numpy((test.vectors - mean) / scale)).argmax(dim=-1).numpy()
    return stage_counts(test.labels, found, n_classes)


def _summary(tables: Sequence[npt.NDArray[np.int64]]) -> dict[str, dict[str, float]]:
    """Return mean, lowest and highest score over the seeds."""
    scores = stage_scores(np.stack(tables))
    return {
        name: {"mean": float(values.mean()), "low": float(values.min()), "high": float(values.max())}
        for name, values in scores.items()
    }
