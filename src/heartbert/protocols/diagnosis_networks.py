"""A small network on the raw signals of twelve leads, several labels a recording: what an encoder has to beat."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Signals = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]

_SCORED_AT_A_TIME = 256


class LeadsCnn(nn.Module):
    """Convolutions over all leads together, about 40,000 parameters for 12 leads.

    Four layers, each followed by batch normalisation and halving the rate; the mean and the maximum over time of what
    is left are classified.

    Parameters
    ----------
    n_leads, n_outputs : int
    """

    def __init__(self, n_leads: int, n_outputs: int) -> None:
        super().__init__()
        channels = (n_leads, 32, 48, 64, 64)
        layers: list[nn.Module] = []
        for n_in, n_out, width in zip(channels[:-1], channels[1:], (7, 5, 5, 3), strict=True):
            convolution = nn.Conv1d(n_in, n_out, width, stride=2, padding=width // 2, bias=False)
            layers += [convolution, nn.BatchNorm1d(n_out), nn.ReLU()]
        self.convolve = nn.Sequential(*layers)
        self.classify = nn.Sequential(nn.Dropout(0.3), nn.Linear(2 * channels[-1], n_outputs))

    def forward(self, signals: torch.Tensor) -> torch.Tensor:
        """Score recordings, shape (n_records, n_leads, n_samples); returns logits, shape (n_records, n_outputs)."""
        hidden = self.convolve(signals)  # (n_records, n_channels, n_steps)
        logits: torch.Tensor = self.classify(torch.cat([hidden.mean(dim=-1), hidden.amax(dim=-1)], dim=-1))
        return logits


@dataclass(frozen=True)
class CnnTraining:
    """How the network is trained.

    Attributes
    ----------
    n_training_epochs : int
        Passes over the training recordings at most.
    patience : int
        Passes without a lower loss of the held-out recordings after which training ends.
    learning_rate : float
        Of AdamW.
    batch_size : int
    """

    n_training_epochs: int = 100
    patience: int = 12
    learning_rate: float = 2e-3
    batch_size: int = 64


def train_cnn(
    training: tuple[Signals, Floats], held_out: tuple[Signals, Floats], settings: CnnTraining, *, seed: int
) -> Callable[[Signals], Floats]:
    """Train until the loss of the held-out recordings stays above its lowest value.

    Parameters
    ----------
    training, held_out : (signals, targets)
        Shapes (n_records, n_leads, n_samples) and (n_records, n_outputs); targets are 0 or 1.
    settings : CnnTraining
    seed : int
        Of initial weights, order and dropout.

    Returns
    -------
    score : callable
        Gives the probabilities of recordings, shape (n_records, n_outputs).
    """
    signals, targets = training
    scale = np.maximum(signals.std(axis=(0, 2), dtype=np.float64), 1e-3).astype(np.float32)[:, None]
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LeadsCnn(signals.shape[1], targets.shape[1])
        best, lowest, n_waited = copy.deepcopy(network), float("inf"), 0
        optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=0.01)
        for _ in range(settings.n_training_epochs):
            network.train()
            for rows in np.array_split(rng.permutation(len(targets)), -(-len(targets) // settings.batch_size)):
                loss = _loss(network(_tensor(signals[rows], scale)), targets[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
            value = float(_loss(_logits(network, held_out[0], scale), held_out[1]))
            n_waited += 1
            if value < lowest:
                best, lowest, n_waited = copy.deepcopy(network), value, 0
            if n_waited >= settings.patience:
                break
    return lambda given: torch.sigmoid(_logits(best, given, scale)).numpy()


def _loss(logits: torch.Tensor, targets: Floats) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(targets))


def _tensor(signals: Signals, scale: Floats) -> torch.Tensor:
    return torch.from_numpy(signals.astype(np.float32) / scale)


@torch.inference_mode()
def _logits(network: LeadsCnn, signals: Signals, scale: Floats) -> torch.Tensor:
    network.eval()
    starts = range(0, len(signals), _SCORED_AT_A_TIME)
    return torch.cat([network(_tensor(signals[start : start + _SCORED_AT_A_TIME], scale)) for start in starts])
