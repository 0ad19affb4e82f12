"""Many processes that train one encoder: who they are, and what they agree on."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import distributed

from heartbert.errors import ConfigError

DEVICES = ("cpu", "cuda")
_SECONDS_TO_SETTLE = 0.5


@dataclass(frozen=True)
class Processes:
    """One process among those that train together.

    Attributes
    ----------
    rank : int
        Number of this process; 0 writes, the others only compute.
    n : int
        How many there are, over all machines.
    device : torch.device
        What this one computes on.
    control : torch.distributed.ProcessGroup or None
        Group over gloo for numbers in the machines' own memory, so that agreeing on them does not wait for an
        accelerator.
    """

    rank: int = 0
    n: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    control: "distributed.ProcessGroup | None" = None

    @property
    def writes(self) -> bool:
        """True for the one process that writes files and tells progress."""
        return self.rank == 0

    def own(self, n_rows: int) -> range:
        """Return which rows of a batch are this process's: the processes' shares are equal up to one row."""
        return range(self.rank * n_rows // self.n, (self.rank + 1) * n_rows // self.n)

    def sum(self, *values: float) -> list[float]:
        """Add up numbers over all processes; every process must call it with as many."""
        if self.n == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(total, group=self.control)
        return [float(value) for value in total]


@contextmanager
def joined_processes(device: str = "cpu") -> Iterator[Processes]:
    """Join the processes that `torchrun` or `accelerate launch` has started, or stay alone.

    Both say through the environment (``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``MASTER_ADDR``, ``MASTER_PORT``) who
    is who. Gradients go over nccl between accelerators and over gloo between processors.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        With ``cuda`` each process takes the accelerator of its number on its machine.

    Yields
    ------
    processes : Processes

    Raises
    ------
    ConfigError
        If the device is unknown or not there.
    """
    if device not in DEVICES:
        raise ConfigError(f"device is '{device}'; choose one of {', '.join(DEVICES)}.")
    n = int(os.environ.get("WORLD_SIZE", "1"))
    own = torch.device("cpu")
    if device == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"process {local} of this machine wants accelerator {local}, and torch finds "
                f"{torch.cuda.device_count()}. Start fewer processes, or use --device cpu."
            )
        own = torch.device("cuda", local)
        torch.cuda.set_device(own)
    if n == 1:
        yield Processes(device=own)
        return
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        control = distributed.new_group(backend="gloo") if device == "cuda" else None
        yield Processes(distributed.get_rank(), n, own, control)
        # All leave together, after a pause: without it one process of two once waited for ever here, in one of two runs
        # on a busy machine. The cause is not known, and 18 later runs without it ended; the guess is gloo's thread
        # still holding the last numbers.
        distributed.barrier(group=control)
        time.sleep(_SECONDS_TO_SETTLE)
    finally:
        distributed.destroy_process_group()


def describe_device(device: torch.device) -> str:
    """Name what trains, for the log."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    n_threads = torch.get_num_threads()
    return f"{n_threads} thread{'s' if n_threads > 1 else ''} of a CPU ({platform.machine()})"
