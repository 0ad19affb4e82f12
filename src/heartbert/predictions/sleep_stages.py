"""Stage 7 of 7: embeddings -> predictions. Epochs of a night -> hypnogram with probabilities."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from heartbert.errors import BundleError
from heartbert.predictions.calibration import apply_temperature
from heartbert.predictions.dropout import Dropout
from heartbert.predictions.sleep_labels import STAGE_SETS, SleepPredictions, StageSetName
from heartbert.predictions.sleep_night import NIGHT_FEATURES, Night, SleepInput

SLEEP_FILE, SLEEP_SETTINGS_FILE = "sleep.safetensors", "sleep.json"
# Columns of the network's output that belong to each set of classes.
_COLUMNS: dict[StageSetName, slice] = {
    "stages3": slice(0, 3),
    "stages4": slice(3, 7),
    "stages5": slice(7, 12),
}
_N_OUTPUTS = 12


class SleepSequenceHead(nn.Module):
    """Classifies each epoch of a night from its features, its embedding and all other epochs, for all sets of classes.

    Parameters
    ----------
    n_features : int
        Numbers that describe an epoch; see `NIGHT_FEATURES`.
    n_embedding : int
        Numbers of an epoch's embedding; 0 for a head of beats alone.
    n_units : int
        Units of the input layer, and LSTM units in each direction.
    n_embedding_units : int
        Numbers that an embedding is brought down to.
    dropout : float
        Share of inputs and outputs of the LSTM set to zero while training.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    embedding_scale: torch.Tensor

    def __init__(
        self, n_features: int, n_embedding: int, *, n_units: int, n_embedding_units: int, dropout: float
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.register_buffer("embedding_scale", torch.ones(n_embedding))
        self.sizes = {"n_units": n_units, "n_embedding_units": n_embedding_units}
        self.describe = nn.Linear(n_features, n_units)
        self.reduce = nn.Linear(n_embedding, n_embedding_units) if n_embedding else None
        n_inputs = n_units + (n_embedding_units + 1 if n_embedding else 0)
        self.dropout = Dropout(dropout)
        self.lstm = nn.LSTM(n_inputs, n_units, batch_first=True, bidirectional=True)
        self.classify = nn.Linear(2 * n_units, _N_OUTPUTS)

    def standardise(self, features: torch.Tensor) -> torch.Tensor:
        """Scale features as the training nights say, cut off at 4 standard deviations."""
        return ((features - self.mean) / self.scale).clamp(-4.0, 4.0)

    def forward(self, standardised: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """Score every epoch of every night.

        Parameters
        ----------
        standardised : Tensor, shape (n_nights, n_epochs, n_features)
            As `standardise` returns them.
        embeddings : Tensor, shape (n_nights, n_epochs, n_embedding)
            NaN for epochs without tokens.

        Returns
        -------
        logits : Tensor, shape (n_nights, n_epochs, 12)
            Of the sets of 3, 4 and 5 classes, one after the other; see `split_sets`.
        """
        inputs = [nn.functional.gelu(self.describe(standardised))]
        if self.reduce is not None:
            known = torch.isfinite(embeddings).all(dim=-1, keepdim=True)
            scaled = torch.where(known, embeddings, 0.0) / self.embedding_scale
            reduced = torch.tanh(self.reduce(self.dropout(scaled)))
            inputs += [torch.where(known, reduced, 0.0), known.to(reduced.dtype)]
        hidden, _ = self.lstm(self.dropout(torch.cat(inputs, dim=-1)))
        logits: torch.Tensor = self.classify(self.dropout(hidden))
        return logits


def split_sets(logits: torch.Tensor) -> dict[StageSetName, torch.Tensor]:
    """Split the outputs of a network by set of classes, shape (..., n_classes) each."""
    return {name: logits[..., columns] for name, columns in _COLUMNS.items()}


@dataclass(frozen=True)
class SleepHead:
    """A trained head.

    Attributes
    ----------
    networks : tuple of SleepSequenceHead
        In evaluation mode; the logarithms of their probabilities are averaged.
    temperatures : dict of str to float
        By set of classes: what logarithms of probabilities are divided by, fitted on held-out training persons.
    inputs : {"beats", "tokens", "both"}
    layer : int
        Encoder layer that it reads.
    """

    networks: tuple[SleepSequenceHead, ...]
    temperatures: dict[StageSetName, float]
    inputs: SleepInput
    layer: int


def stage_sleep(head: SleepHead, night: Night, *, start: datetime | None = None) -> SleepPredictions:
    """Give each epoch of a night the probability of each stage.

    Parameters
    ----------
    head : SleepHead
    night : Night
        As `describe_night` makes it.
    start : datetime, optional
        Wall-clock time of the first epoch.

    Returns
    -------
    predictions : SleepPredictions
    """
    raw = ensemble_probabilities(head.networks, night)
    return SleepPredictions(start, {name: apply_temperature(raw[name], head.temperatures[name]) for name in STAGE_SETS})


@torch.inference_mode()
def ensemble_probabilities(
    networks: Sequence[SleepSequenceHead], night: Night
) -> dict[StageSetName, npt.NDArray[np.float32]]:
    """Return the normalised geometric mean of the networks' probabilities, by set of classes: (n_epochs, n_classes)."""
    features, embeddings = torch.from_numpy(night.features)[None], torch.from_numpy(night.embeddings)[None]
    outputs = [split_sets(network(network.standardise(features), embeddings)[0]) for network in networks]
    return {
        name: torch.stack([torch.log_softmax(one[name], dim=-1) for one in outputs]).mean(dim=0).softmax(dim=-1).numpy()
        for name in STAGE_SETS
    }


def build_sleep_network(
    n_embedding: int, *, n_units: int, n_embedding_units: int = 16, dropout: float = 0.0
) -> SleepSequenceHead:
    """Build an untrained network for embeddings of `n_embedding` numbers; 0 for beats alone."""
    return SleepSequenceHead(
        len(NIGHT_FEATURES), n_embedding, n_units=n_units, n_embedding_units=n_embedding_units, dropout=dropout
    )


def save_sleep_head(head: SleepHead, folder: Path) -> None:
    """Write ``sleep.safetensors`` and ``sleep.json`` into a folder that exists."""
    tensors = {
        f"{number}.{name}": tensor.contiguous()
        for number, network in enumerate(head.networks)
        for name, tensor in network.state_dict().items()
    }
    save_file(tensors, folder / SLEEP_FILE)
    first = head.networks[0]
    settings = {
        "n_networks": len(head.networks),
        "n_embedding": first.embedding_scale.numel(),
        **first.sizes,
        "temperatures": head.temperatures,
        "inputs": head.inputs,
        "layer": head.layer,
    }
    (folder / SLEEP_SETTINGS_FILE).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def load_sleep_head(folder: Path) -> SleepHead:
    """Read a head that `save_sleep_head` wrote.

    Raises
    ------
    BundleError
        If a file is missing, or the two do not fit.
    """
    try:
        settings = json.loads((folder / SLEEP_SETTINGS_FILE).read_text(encoding="utf-8"))
        tensors = load_file(folder / SLEEP_FILE)
        networks = tuple(_network(settings, tensors, number) for number in range(int(settings["n_networks"])))
        temperatures = {name: float(settings["temperatures"][name]) for name in STAGE_SETS}
        return SleepHead(networks, temperatures, settings["inputs"], int(settings["layer"]))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BundleError(
            f"the sleep head in '{folder.name}' cannot be used: {error}. Get the folder again."
        ) from error


def _network(settings: dict[str, int], tensors: dict[str, torch.Tensor], number: int) -> SleepSequenceHead:
    network = build_sleep_network(
        settings["n_embedding"], n_units=settings["n_units"], n_embedding_units=settings["n_embedding_units"]
    )
    own = {name.partition(".")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{number}.")}
    network.load_state_dict(own)
    return network.eval()
