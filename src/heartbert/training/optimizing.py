"""How weights are changed: AdamW, the learning rate of each step, and the optimiser's state as flat tensors."""

import math
from collections.abc import Mapping

import torch
from torch import nn

from heartbert.training.config import Schedule

_WARMUP_STEPS = 200
# With the schedule "constant" the learning rate falls over this last part of the steps, so a run may be prolonged
# until that part begins.
_DECAY_SHARE = 0.2


def learning_rate_share(step: int, n_steps: int, schedule: Schedule = "constant") -> float:
    """Return the share of the peak learning rate at a step.

    Parameters
    ----------
    step : int
        Counted from 0.
    n_steps : int
    schedule : {"constant", "cosine"}
        After the warm-up: constant, then linear decay to 0; or half a cosine from 1 to 0.
    """
    warmup_steps = min(_WARMUP_STEPS, max(1, n_steps // 10))
    warmup = (step + 1) / warmup_steps
    if schedule == "cosine":
        done = max(0, step + 1 - warmup_steps) / max(1, n_steps - warmup_steps)
        return min(warmup, (1 + math.cos(math.pi * min(1.0, done))) / 2)
    return min(1.0, warmup, (n_steps - step) / max(1.0, _DECAY_SHARE * n_steps))


def build_optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW over a model's parameters; only matrices decay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def flat_state(optimizer: torch.optim.AdamW) -> dict[str, torch.Tensor]:
    """Return the optimiser's state as named tensors."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def restore_state(optimizer: torch.optim.AdamW, flat: Mapping[str, torch.Tensor]) -> None:
    """Undo `flat_state`."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in flat.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
