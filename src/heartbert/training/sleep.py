"""Scored nights -> sleep head: a small BiLSTM over the epochs of each night, all sets of classes at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heartbert.errors import ConfigError
from heartbert.evaluation.leakage import Examples, refuse_leaks
from heartbert.predictions.calibration import fit_temperature
from heartbert.predictions.sleep_labels import STAGE_SETS, UNSCORED, StageSetName
from heartbert.predictions.sleep_night import Night, SleepInput
from heartbert.predictions.sleep_stages import (
    SleepHead,
    SleepSequenceHead,
    build_sleep_network,
    ensemble_probabilities,
    split_sets,
)
from heartbert.progress import Progress, no_progress
from heartbert.training.sleep_config import SleepConfig

# Epochs of a training sequence (80 minutes), sequences of a batch, and how often a pass draws each epoch.
_CROP_EPOCHS, _CROPS_PER_BATCH, _DRAWS = 160, 32, 2
_LARGEST_GRADIENT = 1.0
# Parts that the training persons are cut into to fit the temperatures.
_N_CALIBRATION_PARTS = 4


@dataclass(frozen=True)
class LabelledNight:
    """A night with the stages that were scored.

    Attributes
    ----------
    database, record : str
    subject_id : str
        The person.
    night : Night
    stages : ndarray of int64, shape (n_epochs,)
        `SleepStage`, or -1 for an epoch that is not trained on and not scored.
    """

    database: str
    record: str
    subject_id: str
    night: Night
    stages: npt.NDArray[np.int64]

    @property
    def examples(self) -> Examples:
        """The night as the guard against leaks knows it."""
        return Examples(self.database, self.record, self.subject_id)

    def seen_by(self, inputs: SleepInput) -> "LabelledNight":
        """Return the night as a head of these inputs sees it."""
        return replace(self, night=self.night.seen_by(inputs))

    def only_with_tokens(self) -> "LabelledNight":
        """Return the night with the stages of epochs that have no tokens left out."""
        known = np.isfinite(self.night.embeddings).all(axis=1) & (self.night.embeddings.shape[1] > 0)
        return replace(self, stages=np.where(known, self.stages, UNSCORED))


def people(nights: Sequence[LabelledNight]) -> list[str]:
    """Return the persons, each once, in order."""
    return sorted({night.subject_id for night in nights})


def train_sleep_head(
    nights: Sequence[LabelledNight],
    config: SleepConfig,
    *,
    inputs: SleepInput = "both",
    calibrated: bool = True,
    progress: Progress = no_progress,
) -> SleepHead:
    """Train a head and fit its temperatures.

    The temperatures are those that make the probabilities of held-out training persons most likely: the persons are
    cut into four parts, and each part is predicted by a network that was trained on the others.

    Parameters
    ----------
    nights : sequence of LabelledNight
    config : SleepConfig
    inputs : {"beats", "tokens", "both"}
        What the head reads; the rest is hidden from it.
    calibrated : bool, default True
        False leaves the temperatures at 1 and saves four trainings.

    Raises
    ------
    ConfigError
        If no epoch is scored, or there are fewer than two persons to calibrate on.
    """
    seen = [night.seen_by(inputs) for night in nights]
    if not any((night.stages >= 0).any() for night in seen):
        raise ConfigError(
            f"none of the {len(seen)} nights has a scored epoch; nothing can be learnt. Give other nights."
        )
    n_parts = min(_N_CALIBRATION_PARTS, len(people(seen))) if calibrated else 0
    if n_parts == 1:
        raise ConfigError("the nights show one person; probabilities are calibrated on others. Give more, or none.")
    temperatures = _temperatures(seen, config, n_parts, inputs)
    networks = []
    for number in range(config.n_networks):
        progress(f"training network {number + 1} of {config.n_networks}", number / config.n_networks)
        networks.append(train_network(seen, config, seed=config.seed + number, with_tokens=inputs != "beats"))
    return SleepHead(tuple(networks), temperatures, inputs, config.layer)


def _temperatures(
    nights: Sequence[LabelledNight], config: SleepConfig, n_parts: int, inputs: SleepInput
) -> dict[StageSetName, float]:
    if not n_parts:
        return dict.fromkeys(STAGE_SETS, 1.0)
    raw: dict[StageSetName, list[npt.NDArray[np.float32]]] = {name: [] for name in STAGE_SETS}
    stages = []
    for number in range(n_parts):
        training, held_out = split_persons(nights, people(nights)[number::n_parts])
        network = train_network(training, config, seed=config.seed, with_tokens=inputs != "beats")
        for night in held_out:
            for name, values in ensemble_probabilities([network], night.night).items():
                raw[name].append(values)
            stages.append(night.stages)
    scored = np.concatenate(stages)
    known = scored >= 0
    return {
        name: fit_temperature(np.concatenate(raw[name])[known], stage_set.labels(scored[known]))
        for name, stage_set in STAGE_SETS.items()
    }


def split_persons(
    nights: Sequence[LabelledNight], held_out: Sequence[str]
) -> tuple[list[LabelledNight], list[LabelledNight]]:
    """Return the nights of all other persons, and those of the held-out ones.

    Raises
    ------
    LeakageError
        If a recording or a person is on both sides.
    """
    training = [night for night in nights if night.subject_id not in held_out]
    test = [night for night in nights if night.subject_id in held_out]
    refuse_leaks((night.examples for night in training), (night.examples for night in test))
    return training, test


def train_network(
    nights: Sequence[LabelledNight], config: SleepConfig, *, seed: int, with_tokens: bool
) -> SleepSequenceHead:
    """Train one network; returned in evaluation mode.

    Parameters
    ----------
    nights : sequence of LabelledNight
        Epochs without a stage are read and not learnt from.
    config : SleepConfig
    seed : int
        Seed of the initial weights, the crops, the noise and the dropout.
    with_tokens : bool
        False builds a network that cannot read embeddings.
    """
    rng = np.random.default_rng(seed)
    n_embedding = nights[0].night.embeddings.shape[1] if with_tokens else 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_sleep_network(
            n_embedding,
            n_units=config.n_units,
            n_embedding_units=config.n_embedding_units,
            dropout=config.dropout,
        )
        _standardise(network, nights)
        _fit(network, nights, config, rng)
    return network.eval()


def _fit(
    network: SleepSequenceHead, nights: Sequence[LabelledNight], config: SleepConfig, rng: np.random.Generator
) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    n_epochs = sum(night.night.n_epochs for night in nights)
    n_batches = max(1, round(_DRAWS * n_epochs / (_CROP_EPOCHS * _CROPS_PER_BATCH)))
    n_steps = n_batches * config.n_training_epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=n_steps + 1, pct_start=0.2
    )
    network.train()
    prepared = [_prepare(network, night) for night in nights]
    weights = _class_weights(nights, config.class_balance)
    for _ in range(n_steps):
        features, embeddings, stages = _draw_batch(prepared, rng)
        loss = _loss(network(_with_noise(features, config.noise), embeddings), stages, weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()


Prepared = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _prepare(network: SleepSequenceHead, night: LabelledNight) -> Prepared:
    n_embedding = network.embedding_scale.numel()
    features = network.standardise(torch.from_numpy(night.night.features))
    return features, torch.from_numpy(night.night.embeddings[:, :n_embedding]), torch.from_numpy(night.stages)


def _with_noise(features: torch.Tensor, noise: float) -> torch.Tensor:
    """Add noise of each epoch, and noise that a whole sequence shares, as one person differs from another."""
    shared = torch.randn(features.shape[0], 1, features.shape[2])
    return features + noise * (torch.randn_like(features) + shared)


def _class_weights(nights: Sequence[LabelledNight], balance: float) -> dict[StageSetName, torch.Tensor]:
    """Weigh each class by a power of its rarity in the training nights, so that the mean over epochs is 1."""
    stages = np.concatenate([night.stages for night in nights])
    weights: dict[StageSetName, torch.Tensor] = {}
    for name, stage_set in STAGE_SETS.items():
        counts = np.bincount(stage_set.labels(stages[stages >= 0]), minlength=len(stage_set.classes))
        rarity = (counts.sum() / np.maximum(counts, 1)) ** balance
        mean = (rarity * counts).sum() / max(int(counts.sum()), 1)
        weights[name] = torch.from_numpy((rarity / mean).astype(np.float32))
    return weights


def _loss(logits: torch.Tensor, stages: torch.Tensor, weights: dict[StageSetName, torch.Tensor]) -> torch.Tensor:
    """Return the cross-entropy, summed over the sets of classes; movement time and unscored epochs do not count."""
    losses = []
    for name, of_set in split_sets(logits).items():
        class_of = torch.tensor(STAGE_SETS[name].class_of)
        labels = torch.where(stages >= 0, class_of[stages.clamp(min=0)], UNSCORED).flatten()
        total = nn.functional.cross_entropy(
            of_set.flatten(0, 1), labels, weights[name], ignore_index=UNSCORED, reduction="sum"
        )
        losses.append(total / (labels >= 0).sum().clamp(min=1))
    return torch.stack(losses).sum()


def _draw_batch(nights: Sequence[Prepared], rng: np.random.Generator) -> Prepared:
    lengths = np.array([stages.numel() for _, _, stages in nights])
    chosen = rng.choice(len(nights), size=_CROPS_PER_BATCH, p=lengths / lengths.sum())
    crops = [_draw_crop(nights[number], rng) for number in chosen]
    features, embeddings, stages = (torch.stack(part) for part in zip(*crops, strict=True))
    return features, embeddings, stages


def _draw_crop(night: Prepared, rng: np.random.Generator) -> Prepared:
    """Cut 80 minutes out of a night; a shorter one is filled up with epochs that are not scored."""
    features, embeddings, stages = night
    n_epochs = min(_CROP_EPOCHS, stages.numel())
    start = int(rng.integers(stages.numel() - n_epochs + 1))
    rows, missing = slice(start, start + n_epochs), _CROP_EPOCHS - n_epochs
    pad = nn.functional.pad
    return (
        pad(features[rows], (0, 0, 0, missing)),
        pad(embeddings[rows], (0, 0, 0, missing), value=torch.nan),
        pad(stages[rows], (0, missing), value=UNSCORED),
    )


def _standardise(network: SleepSequenceHead, nights: Sequence[LabelledNight]) -> None:
    """Set the network's input scales from the training nights."""
    features = np.concatenate([night.night.features for night in nights]).astype(np.float64)
    network.mean.copy_(torch.from_numpy(features.mean(axis=0)))
    network.scale.copy_(torch.from_numpy(features.std(axis=0) + 1e-3))
    n_embedding = network.embedding_scale.numel()
    embeddings = np.concatenate([night.night.embeddings[:, :n_embedding] for night in nights])
    known = embeddings[np.isfinite(embeddings).all(axis=1)].astype(np.float64)
    if n_embedding and known.size:
        network.embedding_scale.copy_(torch.from_numpy(known.std(axis=0) + 1e-4))
