"""Embeddings of leads and targets -> `LeadAttention`, trained until held-out examples gain nothing more."""

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heartbert.errors import ConfigError
from heartbert.predictions.lead_attention import LeadAttention, TaskKind
from heartbert.training.heartbeat_encoder import shuffled

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Targets = npt.NDArray[np.int64] | npt.NDArray[np.float32]
# Examples in three arrays: embeddings, mask, targets.
LeadExamples = tuple[Floats, Mask, Targets]

_LARGEST_GRADIENT = 1.0
# Examples given to the network together when it is scored.
_SCORED_AT_A_TIME = 1024
# Training examples that the scale of the inputs is measured on, evenly spread.
_MEASURED = 20_000


@dataclass(frozen=True)
class LeadAttentionConfig:
    """How the network is trained.

    Attributes
    ----------
    n_units : int
        Units of the hidden layer.
    dropout : float
        Share of the inputs and of the pooled units set to zero while training.
    learning_rate : float
        Of AdamW.
    weight_decay : float
    batch_size : int
        Examples of a step.
    n_training_epochs : int
        Passes over the training examples at most.
    patience : int
        Passes without a lower validation loss after which training ends.
    class_balance : float
        Exponent of the weights of classes and of present labels: 0 natural frequencies, 1 all classes count alike.
    names_leads : bool
        Whether each place of the lead axis is one lead by name, so that the network tells them apart.
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    n_units: int = 64
    dropout: float = 0.3
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    batch_size: int = 64
    n_training_epochs: int = 100
    patience: int = 12
    class_balance: float = 0.5
    names_leads: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("n_units", "batch_size", "n_training_epochs", "patience"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1. Raise it.")
        for name in ("weight_decay", "class_balance"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must not be negative. Raise it.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; it must lie in [0, 1). Change it.")
        if not 0 < self.learning_rate < float("inf"):
            raise ConfigError(f"learning_rate is {self.learning_rate}; it must be positive and finite. Change it.")


def train_lead_attention(  # noqa: PLR0913, three arrays are one training set
    embeddings: Floats,
    mask: Mask,
    targets: Targets,
    *,
    validation: LeadExamples,
    kind: TaskKind,
    config: LeadAttentionConfig,
    seed: int,
) -> LeadAttention:
    """Train until the loss of the validation examples stays above its lowest value; that network is returned.

    Parameters
    ----------
    embeddings : ndarray of float32, shape (n_records, n_leads, n_embedding)
        Or (n_records, n_leads, n_windows, n_embedding). Finite where `mask` is True.
    mask : ndarray of bool, shape (n_records, n_leads) or (n_records, n_leads, n_windows)
        What is there.
    targets : ndarray
        ``single``: int64, shape (n_records,), the class. ``multi``: float32, shape (n_records, n_labels), 0 or 1.
        ``number``: float32, shape (n_records,).
    validation : (embeddings, mask, targets)
        Of other persons.
    kind : {"single", "multi", "number"}
    config : LeadAttentionConfig
    seed : int
        Of the initial weights, the order of the examples and the dropout.

    Returns
    -------
    network : LeadAttention
        In evaluation mode, on the CPU.

    Raises
    ------
    ConfigError
        If a side is empty, the arrays do not fit each other, or validation has a class that training has not.
    """
    _check(embeddings, mask, targets, "training")
    _check(*validation, "validation")
    n_outputs = _n_outputs(targets, validation[2], kind)
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        n_leads = embeddings.shape[1] if config.names_leads else None
        network = LeadAttention(embeddings.shape[-1], n_outputs, config.n_units, config.dropout, n_leads=n_leads)
        _standardise(network, embeddings, mask)
        if kind == "number":
            network.offset.fill_(float(targets.mean()))
            network.spread.fill_(float(targets.std()) or 1.0)
        network = network.to(config.device)
        loss_of = TaskLoss(targets, kind, config.class_balance, network)
        return _fit(network, (embeddings, mask, targets), validation, loss_of, (config, rng))


def score_leads(network: LeadAttention, embeddings: Floats, mask: Mask) -> Floats:
    """Apply a network in evaluation mode.

    Parameters
    ----------
    network : LeadAttention
    embeddings : ndarray of float32, shape (n_records, n_leads, [n_windows,] n_embedding)
    mask : ndarray of bool, shape (n_records, n_leads[, n_windows])

    Returns
    -------
    logits : ndarray of float32, shape (n_records, n_outputs)
    """
    device = network.mean.device
    parts = [np.empty((0, network.offset.numel()), dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, len(embeddings), _SCORED_AT_A_TIME):
            rows = slice(start, start + _SCORED_AT_A_TIME)
            logits = network(*_tensors(embeddings[rows], mask[rows], device))
            parts.append(logits.float().cpu().numpy())
    return np.concatenate(parts)


class TaskLoss:
    """The loss of a kind of task, with rare classes weighed up by their frequency in training."""

    def __init__(self, targets: Targets, kind: TaskKind, balance: float, network: LeadAttention) -> None:
        self.kind = kind
        self._spread = network.spread
        if kind == "single":
            counts = np.bincount(targets.astype(np.int64), minlength=network.offset.numel())
            weights = (counts.max() / np.maximum(counts, 1)) ** balance
        elif kind == "multi":
            present = targets.sum(axis=0)
            weights = ((len(targets) - present) / np.maximum(present, 1)) ** balance
        else:
            weights = np.ones(1)
        self._weights = torch.from_numpy(np.maximum(weights, 1e-3).astype(np.float32)).to(network.mean.device)

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss."""
        if self.kind == "single":
            return nn.functional.cross_entropy(logits, targets, self._weights)
        if self.kind == "multi":
            return nn.functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=self._weights)
        return nn.functional.smooth_l1_loss(logits[:, 0] / self._spread, targets / self._spread)


def _fit(
    network: LeadAttention,
    training: LeadExamples,
    validation: LeadExamples,
    loss_of: TaskLoss,
    settings: tuple[LeadAttentionConfig, np.random.Generator],
) -> LeadAttention:
    config, rng = settings
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    best, lowest, n_waited = copy.deepcopy(network), float("inf"), 0
    for _ in range(config.n_training_epochs):
        network.train()
        for rows in shuffled(len(training[0]), config.batch_size, rng):
            embeddings, mask, targets = training
            logits = network(*_tensors(embeddings[rows], mask[rows], network.mean.device))
            loss = loss_of(logits, _targets(targets[rows], network))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
        network.eval()
        scores = torch.from_numpy(score_leads(network, *validation[:2])).to(network.mean.device)
        value = float(loss_of(scores, _targets(validation[2], network)))
        n_waited += 1
        if value < lowest:
            best, lowest, n_waited = copy.deepcopy(network), value, 0
        if n_waited >= config.patience:
            break
    return best.cpu().eval()


def _tensors(embeddings: Floats, mask: Mask, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch on the device; what is not there is 0."""
    known = np.where(mask[..., None], embeddings, np.float32(0)).astype(np.float32, copy=False)
    return torch.from_numpy(known).to(device), torch.from_numpy(mask).to(device)


def _targets(targets: Targets, network: LeadAttention) -> torch.Tensor:
    return torch.from_numpy(targets).to(network.mean.device)


def _standardise(network: LeadAttention, embeddings: Floats, mask: Mask) -> None:
    """Set the network's input scale from the training embeddings."""
    rows = np.unique(np.linspace(0, len(mask) - 1, _MEASURED).astype(np.int64))
    known = embeddings[rows][mask[rows]].astype(np.float64)
    known = known if known.size else embeddings[mask].astype(np.float64)
    network.mean.copy_(torch.from_numpy(known.mean(axis=0)))
    network.scale.copy_(torch.from_numpy(known.std(axis=0) + 1e-4))


def _check(embeddings: Floats, mask: Mask, targets: Targets, side: str) -> None:
    if embeddings.shape[:-1] != mask.shape or len(embeddings) != len(targets) or mask.ndim not in (2, 3):
        raise ConfigError(
            f"{side}: embeddings have shape {embeddings.shape}, the mask {mask.shape} and targets {targets.shape}; "
            "(n_records, n_leads[, n_windows], n_embedding), (n_records, n_leads[, n_windows]) and n_records targets "
            "are needed. Give one target and one mask a record."
        )
    if not mask.any():
        raise ConfigError(
            f"{side} has {len(mask)} recordings with no embedding at all; at least one is needed. Give others."
        )
    if not np.isfinite(embeddings[mask]).all():
        raise ConfigError(f"{side}: embeddings hold NaN where the mask says that they are there. Mask them out.")


def _n_outputs(targets: Targets, validated: Targets, kind: TaskKind) -> int:
    if kind == "multi":
        return int(targets.shape[1])
    if kind == "number":
        return 1
    missing = np.setdiff1d(validated, targets)
    if missing.size:
        raise ConfigError(
            f"class {missing[0]} is in validation and not in training; it cannot be learnt. Split the "
            "persons otherwise."
        )
    return int(targets.max()) + 1
