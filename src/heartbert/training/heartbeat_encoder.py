"""Which weights of an encoder learn with a head: upper layers, or low-rank additions to all of them."""

import copy
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import PreTrainedModel

from heartbert.embeddings.attention import attend_fast
from heartbert.embeddings.encoder import encoder_layers, in_bfloat16, lower_layers
from heartbert.errors import ConfigError
from heartbert.tokens import Tokens

# Low-rank additions count with alpha / rank (Hu et al., ICLR 2022).
_LORA_ALPHA_PER_RANK = 2


@dataclass(frozen=True)
class EncoderTuning:
    """How an encoder learns together with a head that was trained on it before; not in the paper.

    Attributes
    ----------
    n_layers : int
        Layers that learn: those next below the head.
    lora_rank : int
        Rank of low-rank matrices added to the attention of all layers that the head reads through, instead.
    learning_rate, head_learning_rate : float
        Of AdamW.
    n_training_epochs : int
        Passes over the training examples; the best on the validation persons is kept.
    examples_per_step : int
        Units with a label, or consecutive beats of one recording.
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        If it names both ways of learning or none, or a number is out of range.
    """

    n_layers: int = 0
    lora_rank: int = 0
    learning_rate: float = 5e-5
    head_learning_rate: float = 5e-4
    n_training_epochs: int = 3
    examples_per_step: int = 8
    device: str = "cpu"

    def __post_init__(self) -> None:
        if (self.n_layers > 0) == (self.lora_rank > 0) or min(self.n_layers, self.lora_rank) < 0:
            raise ConfigError(
                f"{self.n_layers} layers are to learn, and low-rank additions of rank {self.lora_rank}; exactly one of "
                "the two must be above 0. Choose one."
            )
        if self.n_training_epochs < 1 or self.examples_per_step < 1:
            raise ConfigError(
                f"the encoder learns for {self.n_training_epochs} training epochs with {self.examples_per_step} "
                "examples a step; both must be at least 1. Raise them."
            )


def shares_of_tokens(
    starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64], covered: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the share of each interval's covered samples that lies in each token, shape (n_intervals, n_tokens).

    Parameters
    ----------
    starts, stops : ndarray of int64, shape (n_intervals,)
    covered : ndarray of int64, shape (n_tokens, 2)
        First sample of each token, and the one after its last.
    """
    first = np.maximum(starts[:, None], covered[:, 0])
    last = np.minimum(stops[:, None], covered[:, 1])
    inside = np.maximum(last - first, 0).astype(np.float32)
    return np.asarray(inside / np.maximum(inside.sum(axis=1, keepdims=True), 1), dtype=np.float32)


def check_layers(n_layers: int, model: PreTrainedModel, *, what: str) -> None:
    """Refuse a number of layers that the encoder has not.

    Raises
    ------
    ConfigError
        If it is not within 0 and the encoder's layers.
    """
    n_there = int(model.config.num_hidden_layers)
    if not 0 <= n_layers <= n_there:
        raise ConfigError(f"{what} is {n_layers}; the encoder has {n_there} layers. Give 0 to {n_there}.")


def learning_copy(model: PreTrainedModel, device: str) -> PreTrainedModel:
    """Return a copy of a masked-language model on the device on which it is to learn, with fast attention."""
    copied = copy.deepcopy(model).to(device)
    attend_fast(copied.base_model, training=True)
    return copied


def layer_output(encoder: PreTrainedModel, tokens: Tokens, layer: int) -> torch.Tensor:
    """Apply a base model up to a layer, with gradients.

    Returns
    -------
    states : Tensor of float32, shape (n_rows, n_tokens, hidden_size)
        On the encoder's device; multiplied in bfloat16 where that is native, as `embed` does.
    """
    with in_bfloat16(encoder.device):
        output = lower_layers(encoder, layer)(
            input_ids=torch.from_numpy(tokens.token_ids).to(encoder.device),
            attention_mask=torch.from_numpy(tokens.attention_mask).to(encoder.device),
        )
    states: torch.Tensor = output.last_hidden_state.float()
    return states


def train_layers(model: PreTrainedModel, layers: range, *, embeddings: bool) -> None:
    """Let some layers of an encoder learn, and nothing else of the model.

    Parameters
    ----------
    model : PreTrainedModel
        Masked-language model; its head never learns.
    layers : range
        Numbers of the layers, the one next to the tokens is 0.
    embeddings : bool
        Whether everything below the first layer learns too.
    """
    model.requires_grad_(requires_grad=False)
    if embeddings:
        model.base_model.embeddings.requires_grad_(requires_grad=True)
    for number in layers:
        encoder_layers(model.base_model)[number].requires_grad_(requires_grad=True)


def add_lora(model: PreTrainedModel, *, n_layers: int, rank: int) -> Any:
    """Add trainable low-rank matrices to the attention of the lower layers; nothing else of the model learns.

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place; ``merge_and_unload()`` of what is returned turns it back into a plain one.
    n_layers : int
        Layers that the head reads through, counted from the tokens; what lies above them has no effect on it.
    rank : int

    Raises
    ------
    ConfigError
        If the library `peft` is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ConfigError(
            "LoRA needs the library 'peft', which is not installed. Install it: pip install 'heartbert[lora]'"
        ) from error
    model.requires_grad_(requires_grad=False)
    read = {
        id(part)
        for layer in encoder_layers(model.base_model)[:n_layers]
        for part in layer.modules()
        if isinstance(part, nn.Linear)
    }
    targets = [name for name, part in model.base_model.named_modules() if id(part) in read and ".att" in name]
    settings = LoraConfig(r=rank, lora_alpha=_LORA_ALPHA_PER_RANK * rank, target_modules=targets)
    with warnings.catch_warnings():
        # peft 0.21 asks transformers for a property by a name that transformers 6 will drop.
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(model.base_model, settings)


def trainable(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """Return the parameters that learn."""
    return [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]


def take_steps(optimizer: torch.optim.Optimizer, losses: Iterable[torch.Tensor]) -> None:
    """Take one step down each loss; the next loss is computed after it."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for loss in losses:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()


def keep_best(modules: Sequence[nn.Module], epochs: Iterator[float]) -> tuple[float, ...]:
    """Train to the end and put back the weights of the epoch with the highest score.

    Parameters
    ----------
    modules : sequence of Module
    epochs : iterator of float
        Trains in place and yields the score after each training epoch.

    Returns
    -------
    curve : tuple of float
    """
    learning = trainable(modules)
    curve: list[float] = []
    best: list[torch.Tensor] = []
    for score in epochs:
        if not curve or score > max(curve):
            best = [parameter.detach().clone() for parameter in learning]
        curve.append(score)
    with torch.no_grad():
        for parameter, value in zip(learning, best, strict=True):
            parameter.copy_(value)
    return tuple(curve)


@torch.no_grad()
def round_weights(model: PreTrainedModel) -> None:
    """Round weights to bfloat16, in which a bundle stores them, so that what is scored is what is stored."""
    for parameter in model.parameters():
        parameter.copy_(parameter.bfloat16())


def shuffled(n: int, size: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the numbers 0 to n - 1 in random order, `size` at a time."""
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]
