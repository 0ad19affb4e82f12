"""Annotated recordings -> the published heartbeat head: 3 s around each beat, encoder and BiLSTM trained together."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import PreTrainedModel

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError
from heartbert.predictions.beat_windows import (
    LeadLevels,
    TokenReader,
    WindowHead,
    build_window_network,
    classify_windows,
    cut_windows,
    tokenize_windows,
)
from heartbert.predictions.bilstm import TokenSequenceHead
from heartbert.predictions.calibration import Calibration, calibrate
from heartbert.progress import Progress, no_progress
from heartbert.training.heartbeat_encoder import (
    check_layers,
    keep_best,
    layer_output,
    learning_copy,
    round_weights,
    shuffled,
    take_steps,
    train_layers,
    trainable,
)
from heartbert.training.heartbeat_leads import LabelledLead
from heartbert.training.heartbeats import UNLABELLED, class_weights, score_classes


@dataclass(frozen=True)
class WindowHeadConfig:
    """The published head and its training (arXiv 2411.11896).

    Not in the paper: the class balance, and that the best training epoch is kept.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    frozen_layers: int = 3
    """Encoder layers, counted from the tokens, that do not learn, and the embeddings below them; with 0 all learns."""
    window_samples: int = 1080
    """Samples at 360 Hz around each beat: 3 s."""
    n_units: int = 128
    """LSTM units in each direction."""
    learning_rate: float = 3e-5
    """Of Adam."""
    windows_per_step: int = 8
    """Windows of a batch."""
    n_training_epochs: int = 20
    """Passes over the training beats; the best on the validation recordings is kept."""
    dropout: float = 0.0
    """Share of the LSTM's states set to zero while training."""
    class_balance: float = 0.0
    """Exponent of the class weights: 0 natural frequencies, 1 all classes equal."""
    device: str = "cpu"
    """``cpu`` or ``cuda``."""
    seed: int = 1
    """Of the initial weights of the head, the order of beats and the dropout."""

    def __post_init__(self) -> None:
        for name in ("window_samples", "n_units", "windows_per_step", "n_training_epochs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1. Raise it.")


@dataclass(frozen=True)
class TrainedWindowHead:
    """A window head, the model that was trained with it, and what they score on the validation recordings."""

    head: WindowHead
    model: PreTrainedModel
    scores: dict[str, float]
    curve: tuple[float, ...]
    calibration: Calibration
    n_parameters: int


def train_window_head(
    bundle: Bundle,
    leads: tuple[Sequence[LabelledLead], Sequence[LabelledLead]],
    config: WindowHeadConfig,
    *,
    progress: Progress = no_progress,
) -> TrainedWindowHead:
    """Train a window head and the encoder layers that are not frozen.

    Parameters
    ----------
    bundle : Bundle
        It stays as it is.
    leads : (training, validation), sequences of LabelledLead
        Of different persons.
    config : WindowHeadConfig
    progress : callable

    Returns
    -------
    trained : TrainedWindowHead
        The model is rounded as it will be stored; the head is scored and calibrated on that.

    Raises
    ------
    ConfigError
        If there is no beat to train or no recording to validate on, or the encoder has not so many layers.
    """
    training, validation = leads
    check_layers(config.frozen_layers, bundle.model, what="the number of frozen layers")
    examples = _examples(training)
    if not examples.size or not validation:
        raise ConfigError(
            f"{len(examples)} training beats and {len(validation)} validation recordings; at least one of each is "
            "needed."
        )
    n_layers = int(bundle.model.config.num_hidden_layers)
    model = learning_copy(bundle.model, config.device)
    train_layers(model, range(config.frozen_layers, n_layers), embeddings=config.frozen_layers == 0)
    reader = TokenReader(bundle.tokenizer, model.base_model, bundle.max_tokens)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = build_window_network(int(model.config.hidden_size), n_units=config.n_units, dropout=config.dropout)
        network = network.to(config.device)
        n_parameters = sum(parameter.numel() for parameter in trainable([model, network]))
        curve = keep_best([model, network], _epochs((reader, network), examples, leads, config, progress))
    model.requires_grad_(requires_grad=False)
    round_weights(model)
    head = _head_of(network, config, reader)
    probabilities = [classify_windows(head, reader, one.lead, one.beats.r_peaks) for one in validation]
    calibration = calibrate(
        [
            (rows[one.beats.labels != UNLABELLED], one.beats.labels[one.beats.labels != UNLABELLED])
            for rows, one in zip(probabilities, validation, strict=True)
        ]
    )
    return TrainedWindowHead(
        head=replace(head, temperature=calibration.temperature),
        model=model.cpu().eval(),
        scores=_score(probabilities, validation),
        curve=curve,
        calibration=calibration,
        n_parameters=n_parameters,
    )


def _examples(leads: Sequence[LabelledLead]) -> npt.NDArray[np.int64]:
    """Return lead and beat number of every beat with a label, shape (n_examples, 2)."""
    pairs = [
        np.stack([np.full(known.size, number), known], axis=1)
        for number, known in enumerate(np.flatnonzero(one.beats.labels != UNLABELLED) for one in leads)
    ]
    return np.concatenate([np.empty((0, 2), dtype=np.int64), *pairs])


def _epochs(
    parts: tuple[TokenReader, TokenSequenceHead],
    examples: npt.NDArray[np.int64],
    leads: tuple[Sequence[LabelledLead], Sequence[LabelledLead]],
    config: WindowHeadConfig,
    progress: Progress,
) -> Iterator[float]:
    """Train in place; yields macro-F1 on the validation recordings after each pass over the examples."""
    (reader, network), (training, validation) = parts, leads
    optimizer = torch.optim.Adam(trainable([reader.encoder, network]), lr=config.learning_rate)
    weights = class_weights([one.beats for one in training], config.class_balance).to(config.device)
    loss_of = nn.CrossEntropyLoss(weight=weights)
    rng = np.random.default_rng(config.seed)
    for epoch in range(config.n_training_epochs):
        progress(f"window head, pass {epoch + 1}", epoch / config.n_training_epochs)
        network.train()
        batches = (examples[rows] for rows in shuffled(len(examples), config.windows_per_step, rng))
        take_steps(optimizer, (_loss(parts, training, batch, config, loss_of) for batch in batches))
        head = _head_of(network, config, reader)
        yield _score([classify_windows(head, reader, one.lead, one.beats.r_peaks) for one in validation], validation)[
            "macro_f1"
        ]


def _loss(
    parts: tuple[TokenReader, TokenSequenceHead],
    leads: Sequence[LabelledLead],
    batch: npt.NDArray[np.int64],
    config: WindowHeadConfig,
    loss_of: nn.CrossEntropyLoss,
) -> torch.Tensor:
    """Return the loss of a batch of beats, given by lead and beat number."""
    reader, network = parts
    cut = [
        cut_windows(leads[number].lead, leads[number].beats.r_peaks[[beat]], config.window_samples)
        for number, beat in batch.tolist()
    ]
    together = LeadLevels(
        np.concatenate([window.levels for window, _ in cut]), np.concatenate([window.unscorable for window, _ in cut])
    )
    windows = tokenize_windows(together, np.concatenate([lengths for _, lengths in cut]), reader)
    device = reader.encoder.device
    hidden = layer_output(reader.encoder, windows.tokens, int(reader.encoder.config.num_hidden_layers))
    logits = network(hidden[torch.from_numpy(windows.usable).to(device)], torch.from_numpy(windows.counts))
    labels = [leads[number].beats.labels[beat] for number, beat in batch.tolist()]
    loss: torch.Tensor = loss_of(logits, torch.tensor(labels, device=device))
    return loss


def _head_of(network: TokenSequenceHead, config: WindowHeadConfig, reader: TokenReader) -> WindowHead:
    """Return a copy of the network as a head."""
    copied = copy.deepcopy(network).cpu().eval()
    return WindowHead(copied, config.window_samples, int(reader.encoder.config.num_hidden_layers))


def _score(probabilities: Sequence[npt.NDArray[np.float32]], leads: Sequence[LabelledLead]) -> dict[str, float]:
    return score_classes([(one.beats, np.argmax(rows, axis=1)) for rows, one in zip(probabilities, leads, strict=True)])
