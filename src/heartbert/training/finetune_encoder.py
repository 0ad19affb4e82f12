"""A trained head of a task and its encoder -> both trained on together, with few weights of the encoder."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError
from heartbert.predictions.beat_windows import TokenReader
from heartbert.predictions.dropout import Dropout
from heartbert.predictions.intervals import window_rows
from heartbert.predictions.lead_attention import LeadAttention
from heartbert.predictions.task_units import UnitInput, cut_parts
from heartbert.progress import Progress, no_progress
from heartbert.tokens import Tokens
from heartbert.tokens.leads import LeadTokens, tokenize_lead
from heartbert.training.finetune_sides import Sides
from heartbert.training.finetune_units import LabelledRecord, Reading
from heartbert.training.heartbeat_encoder import (
    EncoderTuning,
    add_lora,
    check_layers,
    keep_best,
    layer_output,
    learning_copy,
    round_weights,
    shares_of_tokens,
    shuffled,
    take_steps,
    train_layers,
    trainable,
)
from heartbert.training.label_tables import LabelTable
from heartbert.training.lead_attention import LeadAttentionConfig, TaskLoss


@dataclass(frozen=True)
class _UnitTokens:
    """One unit in one lead, ready for the encoder.

    Attributes
    ----------
    place : int
        Of the lead.
    tokens : Tokens
        Of the windows that the unit touches.
    usable : ndarray of bool, shape (n_rows, n_tokens)
    shares : ndarray of float32, shape (n_parts, n_usable)
        Share of each part's scorable samples that lies in each usable token; 0 where a part is not there.
    """

    place: int
    tokens: Tokens
    usable: npt.NDArray[np.bool_]
    shares: npt.NDArray[np.float32]


def tune_task(
    bundle: Bundle,
    network: LeadAttention,
    data: tuple[LabelTable, Sequence[LabelledRecord], Sides],
    settings: tuple[UnitInput, Reading, LeadAttentionConfig, EncoderTuning, int],
    *,
    progress: Progress = no_progress,
) -> tuple[PreTrainedModel, LeadAttention]:
    """Train a network and a part of the encoder together.

    Parameters
    ----------
    bundle : Bundle
        With the encoder that `network` was trained on; it stays as it is.
    network : LeadAttention
        It stays as it is.
    data : (LabelTable, sequence of LabelledRecord, sides)
        Without units of which nothing can be scored.
    settings : (UnitInput, Reading, LeadAttentionConfig, EncoderTuning, seed)
    progress : callable

    Returns
    -------
    model : PreTrainedModel
        Without additions, rounded as it will be stored, on the CPU.
    network : LeadAttention

    Raises
    ------
    ConfigError
        If `peft` is needed and missing.
    """
    (table, placed, sides), (read, reading, config, tuning, seed) = data, settings
    units = _tokenize(bundle, placed, (read, reading), len(table), progress)
    model = learning_copy(bundle.model, tuning.device)
    additions = add_lora(model, n_layers=read.layer, rank=tuning.lora_rank) if tuning.lora_rank else None
    if additions is None:
        train_layers(model, range(read.layer - tuning.n_layers, read.layer), embeddings=False)
    learner = copy.deepcopy(network).to(tuning.device)
    learner.dropout = Dropout(config.dropout)
    reader = TokenReader(bundle.tokenizer, model.base_model, bundle.max_tokens)
    embedder = _Embedder(reader, units, read, tuning.device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        loss_of = TaskLoss(table.targets[sides["train"]], table.kind, config.class_balance, learner)
        keep_best([model, learner], _epochs(embedder, learner, (table, sides), (tuning, loss_of, seed), progress))
    if additions is not None:
        additions.merge_and_unload()
    model.requires_grad_(requires_grad=False)
    round_weights(model)
    return model.cpu().eval(), learner.cpu().eval()


def check_tuning(bundle: Bundle, read: UnitInput, tuning: EncoderTuning) -> None:
    """Refuse what cannot be trained together.

    Raises
    ------
    ConfigError
        If the unit is the beat, or the encoder has not so many layers below the head.
    """
    if read.unit == "beat":
        raise ConfigError(
            "the encoder does not learn with the unit 'beat'; leave out --unfreeze and --lora, or label windows. AAMI "
            "classes of beats are learnt with 'heartbert train-heartbeats'."
        )
    check_layers(tuning.n_layers, bundle.model, what="the number of layers to unfreeze")
    if tuning.n_layers > read.layer or read.layer == 0:
        raise ConfigError(
            f"{tuning.n_layers} layers are to learn, and the head reads layer {read.layer}; only those up to it have "
            f"an effect. Give at most {read.layer}, or another --layer."
        )


def _tokenize(
    bundle: Bundle,
    placed: Sequence[LabelledRecord],
    how: tuple[UnitInput, Reading],
    n_units: int,
    progress: Progress,
) -> list[list[_UnitTokens]]:
    """Return the tokens of each unit of the table in each of its leads."""
    read, reading = how
    found: list[list[_UnitTokens]] = [[] for _ in range(n_units)]
    for number, one in enumerate(placed):
        progress("reading tokens", number / len(placed))
        starts, stops, there = cut_parts(one.units)
        for place, channel in read.channels(reading.open(one.path), one.lead):
            lead = tokenize_lead(channel, bundle.preprocessing, bundle.tokenizer)
            for index, row in enumerate(one.rows.tolist()):
                parts = starts[index][there[index]], stops[index][there[index]]
                found[row].append(_unit_tokens(bundle, lead, place, parts))
    return found


def _unit_tokens(
    bundle: Bundle, lead: LeadTokens, place: int, parts: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> _UnitTokens:
    starts, stops = parts
    size = bundle.preprocessing.window_samples
    windows = np.arange(starts[0] // size, (stops[-1] - 1) // size + 1)
    tokens, flat = window_rows(lead, bundle.token_reader, windows, window_samples=size)
    usable = tokens.offsets[..., 1] > tokens.offsets[..., 0]
    usable[usable] = flat
    covered = (tokens.offsets + (windows[tokens.rows_of] * size)[:, None, None])[usable]  # (n_usable, 2)
    return _UnitTokens(place, tokens, usable, shares_of_tokens(starts, stops, covered))


@dataclass(frozen=True)
class _Embedder:
    """Embeds units as `embed_units` does, with gradients."""

    reader: TokenReader
    units: list[list[_UnitTokens]]
    read: UnitInput
    device: str

    def embed(self, rows: npt.NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return vectors, shape (n_units, n_leads, n_parts, hidden_size), and what of them is there."""
        chosen = [self.units[row] for row in rows.tolist()]
        n_parts = max(len(one.shares) for leads in chosen for one in leads)
        hidden_size = int(self.reader.encoder.config.hidden_size)
        mask = torch.zeros(len(chosen), self.read.n_leads, n_parts, dtype=torch.bool, device=self.device)
        vectors = torch.zeros(*mask.shape, hidden_size, device=self.device)
        for index, leads in enumerate(chosen):
            for one in leads:
                known = torch.from_numpy(one.shares.any(axis=1))
                vectors[index, one.place, : len(known)] = self._pool(one)
                mask[index, one.place, : len(known)] = known.to(self.device)
        return vectors, mask

    def _pool(self, one: _UnitTokens) -> torch.Tensor:
        states = layer_output(self.reader.encoder, one.tokens, self.read.layer)
        hidden = states[torch.from_numpy(one.usable).to(self.device)]
        pooled: torch.Tensor = torch.from_numpy(one.shares).to(self.device) @ hidden
        return pooled


def _epochs(
    embedder: _Embedder,
    network: LeadAttention,
    data: tuple[LabelTable, Sides],
    settings: tuple[EncoderTuning, TaskLoss, int],
    progress: Progress,
) -> Iterator[float]:
    """Train in place; yields minus the loss of the validation units after each pass over the training units."""
    (table, sides), (tuning, loss_of, seed) = data, settings
    optimizer = torch.optim.AdamW(
        [
            {"params": trainable([embedder.reader.encoder]), "lr": tuning.learning_rate},
            {"params": trainable([network]), "lr": tuning.head_learning_rate},
        ],
        weight_decay=0.01,
    )
    rng = np.random.default_rng(seed)

    def loss(rows: npt.NDArray[np.int64]) -> torch.Tensor:
        targets = torch.from_numpy(table.targets[rows]).to(tuning.device)
        return loss_of(network(*embedder.embed(rows)), targets)

    for epoch in range(tuning.n_training_epochs):
        progress(f"tuning, pass {epoch + 1}", epoch / tuning.n_training_epochs)
        network.train()
        batches = shuffled(sides["train"].size, tuning.examples_per_step, rng)
        take_steps(optimizer, (loss(sides["train"][batch]) for batch in batches))
        network.eval()
        with torch.no_grad():
            size, validation = tuning.examples_per_step, sides["validation"]
            parts = [validation[start : start + size] for start in range(0, validation.size, size)]
            yield -sum(float(loss(rows)) * rows.size for rows in parts) / validation.size
