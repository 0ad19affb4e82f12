"""Networks that read the raw signal, the baselines that an encoder has to beat, and how they are trained."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from heartbert.evaluation.heartbeats import macro_f1
from heartbert.predictions.labels import AamiClass

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_BATCH = 128
_SCORED_AT_A_TIME = 4096
# A class of a handful of examples would get a weight that only teaches noise: counted as at least 100.
_FEWEST = 100


class RawCnn(nn.Module):
    """Convolutions over a stretch of signal, about 40,000 parameters.

    Five layers, each followed by batch normalisation and halving the rate; the mean and the maximum over time of what
    is left are classified.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = (1, 16, 32, 48, 64, 64)
        layers: list[nn.Module] = []
        for n_in, n_out, width in zip(channels[:-1], channels[1:], (7, 5, 5, 5, 3), strict=True):
            convolution = nn.Conv1d(n_in, n_out, width, stride=2, padding=width // 2, bias=False)
            layers += [convolution, nn.BatchNorm1d(n_out), nn.ReLU()]
        self.convolve = nn.Sequential(*layers)
        self.classify = nn.Sequential(nn.Dropout(0.3), nn.Linear(2 * channels[-1], len(AamiClass)))

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """Score stretches of signal, shape (n_examples, n_samples); returns logits, shape (n_examples, 5)."""
        hidden = self.convolve(signal[:, None])  # (n_examples, n_channels, n_steps)
        logits: torch.Tensor = self.classify(torch.cat([hidden.mean(dim=-1), hidden.amax(dim=-1)], dim=-1))
        return logits


class SequenceBiLstm(nn.Module):
    """A BiLSTM over the steps of an example; the last states of both directions and the maximum are classified.

    Parameters
    ----------
    n_steps : int
        Steps into which the numbers of an example are cut; the raw signal of 3 s has 60 of 50 ms.
    n_numbers : int
        Numbers of a step.
    n_units : int
        LSTM units in each direction.
    """

    def __init__(self, n_steps: int, n_numbers: int, *, n_units: int) -> None:
        super().__init__()
        self.shape = (n_steps, n_numbers)
        self.lstm = nn.LSTM(n_numbers, n_units, batch_first=True, bidirectional=True)
        self.classify = nn.Sequential(nn.Dropout(0.3), nn.Linear(4 * n_units, len(AamiClass)))

    def forward(self, examples: torch.Tensor) -> torch.Tensor:
        """Score examples, shape (n_examples, n_steps * n_numbers); returns logits, shape (n_examples, 5)."""
        hidden, (last, _) = self.lstm(examples.reshape(-1, *self.shape))
        logits: torch.Tensor = self.classify(torch.cat([last[0], last[1], hidden.amax(dim=1)], dim=-1))
        return logits


def raw_bilstm(n_samples: int) -> SequenceBiLstm:
    """Return a BiLSTM that reads the raw signal six samples at a time, about 40,000 parameters."""
    return SequenceBiLstm(n_samples // 6, 6, n_units=64)


@dataclass(frozen=True)
class NetworkTraining:
    """How a network is trained.

    Attributes
    ----------
    n_training_epochs : int
        Passes over the training examples at most; the best on the validation examples is kept.
    class_balance : float
        Exponent of the class weights.
    learning_rate : float
        Peak learning rate of AdamW.
    """

    n_training_epochs: int
    class_balance: float
    learning_rate: float = 2e-3


def train_network(
    build: Callable[[], nn.Module],
    training: tuple[npt.NDArray[np.float16], Labels],
    validation: tuple[npt.NDArray[np.float16], Labels],
    settings: NetworkTraining,
    *,
    seed: int,
) -> Callable[[npt.NDArray[np.float16]], Floats]:
    """Train a network and return what it makes of examples: their probabilities, shape (n_examples, 5).

    Parameters
    ----------
    build : callable
        Gives the untrained network.
    training, validation : (examples, labels)
        Of shape (n_examples, n_numbers) and (n_examples,); labels below 0 are left out. The training epoch with the
        best macro-F1 over N, S, V and F of the validation examples is kept.
    settings : NetworkTraining
    seed : int
        Of initial weights, order and dropout.
    """
    examples, labels = _labelled(*training)
    scored, reference = _labelled(*validation)
    mean, scale = float(examples.mean(dtype=np.float64)), float(examples.std(dtype=np.float64)) + 1e-6
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
        best, kept = -1.0, {name: value.clone() for name, value in network.state_dict().items()}
        steps = _Steps(network, labels, settings)
        for _ in range(settings.n_training_epochs):
            for batch in np.array_split(rng.permutation(labels.size), steps.n_batches):
                steps.take(_tensor(examples[batch], mean, scale), torch.from_numpy(labels[batch]))
            found = np.argmax(_probabilities(network, scored, mean, scale), axis=1)
            if (score := macro_f1(reference, found)) > best:
                best, kept = score, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return lambda given: _probabilities(network, given, mean, scale)


def _labelled(examples: npt.NDArray[np.float16], labels: Labels) -> tuple[npt.NDArray[np.float16], Labels]:
    return examples[labels >= 0], labels[labels >= 0]


class _Steps:
    """Takes the steps of the optimiser."""

    def __init__(self, network: nn.Module, labels: Labels, settings: NetworkTraining) -> None:
        self.n_batches = -(-labels.size // _BATCH)
        n_steps = self.n_batches * settings.n_training_epochs
        counts = np.bincount(labels, minlength=len(AamiClass))
        weights = (counts.max() / np.maximum(counts, _FEWEST)) ** settings.class_balance
        self._network = network
        self._loss = nn.CrossEntropyLoss(weight=torch.from_numpy(weights.astype(np.float32)))
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=0.01)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, settings.learning_rate, total_steps=n_steps
        )

    def take(self, examples: torch.Tensor, labels: torch.Tensor) -> None:
        """Take one step."""
        self._network.train()
        self._optimizer.zero_grad(set_to_none=True)
        self._loss(self._network(examples), labels).backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()


def _tensor(examples: npt.NDArray[np.float16], mean: float, scale: float) -> torch.Tensor:
    return torch.from_numpy((examples.astype(np.float32) - np.float32(mean)) / np.float32(scale))


@torch.inference_mode()
def _probabilities(network: nn.Module, examples: npt.NDArray[np.float16], mean: float, scale: float) -> Floats:
    network.eval()
    parts = [
        torch.softmax(network(_tensor(examples[start : start + _SCORED_AT_A_TIME], mean, scale)), dim=-1).numpy()
        for start in range(0, examples.shape[0], _SCORED_AT_A_TIME)
    ]
    return np.concatenate([np.empty((0, len(AamiClass)), dtype=np.float32), *parts])
