"""What a run keeps on disk: the newest state, the best weights so far, and its log.

::

    run/
      checkpoint-<step>/   all that a killed run needs to go on as if nothing had happened
      best-<step>/         the weights that scored best up to that checkpoint
      log.jsonl            one line a check

A folder is complete or absent, and the one that replaces another is complete before the other goes.
"""

import json
import math
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from heartbert.embeddings.encoder import quiet_transformers
from heartbert.errors import BundleError
from heartbert.files import replacing_file, replacing_folder
from heartbert.training.optimizing import flat_state, restore_state

CHECKPOINT_PREFIX, BEST_PREFIX, LOG_FILE, STATE_FILE = "checkpoint-", "best-", "log.jsonl", "state.json"
WEIGHTS_FILE, OPTIMIZER_FILE = "model.safetensors", "optimizer.safetensors"

Row = dict[str, Any]
Weights = dict[str, torch.Tensor]


@dataclass
class Best:
    """The best weights so far.

    Attributes
    ----------
    step : int
        After which they were measured; 0 before any were.
    probe : float or None
        Score of the probe, where they were chosen by it.
    validation_loss : float
        Nats a hidden token on held-out leads; NaN without any.
    weights : dict of str to Tensor, or None
        A copy that no checkpoint holds yet.
    """

    step: int = 0
    probe: float | None = None
    validation_loss: float = float("nan")
    weights: Weights | None = None

    def is_beaten_by(self, validation_loss: float, probe: float | None) -> bool:
        """Compare by the probe from its first score on, else by the loss."""
        if probe is not None:
            return self.probe is None or probe > self.probe
        return self.probe is None and not validation_loss >= self.validation_loss


@dataclass
class RunState:
    """Everything about a run except weights and optimiser.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float
        Wall time of training so far.
    lowest_loss : float
        Lowest validation loss of a check.
    n_checks_without_gain : int
        Checks since then.
    best : Best
    """

    step: int = 0
    seconds: float = 0.0
    lowest_loss: float = float("inf")
    n_checks_without_gain: int = 0
    best: Best = field(default_factory=Best)

    def check(self, validation_loss: float) -> None:
        """Count a check; one without a loss, where no lead is held out, says nothing."""
        if math.isnan(validation_loss):
            return
        if validation_loss < self.lowest_loss:
            self.lowest_loss, self.n_checks_without_gain = validation_loss, 0
        else:
            self.n_checks_without_gain += 1


def list_checkpoints(folder: Path) -> list[Path]:
    """List the complete checkpoints of a run, oldest first."""
    return sorted(folder.glob(f"{CHECKPOINT_PREFIX}*"))


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed run was writing: weights of a large encoder would fill the disk kill by kill."""
    for prefix in (CHECKPOINT_PREFIX, BEST_PREFIX):
        for path in folder.glob(f".{prefix}*"):
            shutil.rmtree(path)


def copy_weights(model: PreTrainedModel) -> Weights:
    """Copy weights to the machine's own memory, each tied one once."""
    tied = set(model.all_tied_weights_keys)
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items() if name not in tied}


def load_weights(model: PreTrainedModel, folder: Path) -> None:
    """Load a checkpoint's or the best weights into a model.

    Raises
    ------
    BundleError
        If one is missing.
    """
    missing, _ = model.load_state_dict(load_file(folder / WEIGHTS_FILE), strict=False)
    if set(missing) - set(model.all_tied_weights_keys):
        raise BundleError(f"'{folder.parent.name}/{folder.name}' lacks weights: {missing[0]}. Start the run again.")


def save_checkpoint(
    folder: Path, model: PreTrainedModel, optimizer: torch.optim.AdamW, state: RunState, *, settings: Row
) -> None:
    """Write a checkpoint, and the best weights if they are new, before older ones go: at no moment is there none.

    Parameters
    ----------
    folder : Path
        The run.
    model : PreTrainedModel
    optimizer : AdamW
    state : RunState
        Its copy of the best weights is dropped.
    settings : dict
        Stored in the state file.
    """
    target = folder / f"{CHECKPOINT_PREFIX}{state.step:08d}"
    best = folder / f"{BEST_PREFIX}{state.best.step:08d}"
    outdated = {*list_checkpoints(folder), *folder.glob(f"{BEST_PREFIX}*")} - {target, best}
    if state.best.weights is not None:
        with replacing_folder(best) as building, quiet_transformers():
            model.save_pretrained(building, state_dict=state.best.weights)
        state.best.weights = None
    with replacing_folder(target) as building:
        with quiet_transformers():
            model.save_pretrained(building)
        save_file(flat_state(optimizer), building / OPTIMIZER_FILE)
        content = json.dumps({**asdict(state), "config": settings}, indent=1)
        (building / STATE_FILE).write_text(content, encoding="utf-8")
    for path in sorted(outdated):
        shutil.rmtree(path)


def load_checkpoint(folder: Path, model: PreTrainedModel, optimizer: torch.optim.AdamW, *, settings: Row) -> RunState:
    """Continue from a checkpoint: weights and optimiser in place, the rest returned.

    Raises
    ------
    BundleError
        If it belongs to an encoder of other settings or to another tokenizer, or lacks weights.
    """
    content = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    if content["config"]["encoder"] != settings["encoder"]:
        raise BundleError(
            f"the checkpoint in '{folder.parent.name}' has an encoder of other settings. Give those, or another folder."
        )
    if content["config"].get("tokenizer_sha256", settings["tokenizer_sha256"]) != settings["tokenizer_sha256"]:
        raise BundleError(
            f"the checkpoint in '{folder.parent.name}' was trained on a corpus with another tokenizer. Give that "
            "corpus, or another folder."
        )
    load_weights(model, folder)
    restore_state(optimizer, load_file(folder / OPTIMIZER_FILE))
    state = RunState(step=content["step"], seconds=content["seconds"])
    if "best" in content:
        state.lowest_loss = content["lowest_loss"]
        state.n_checks_without_gain = content["n_checks_without_gain"]
        state.best = Best(**content["best"])
    return state


def append_row(folder: Path, row: Row) -> None:
    """Append a line to the run's log."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def read_log(folder: Path) -> list[Row]:
    """Read the run's log; a last line that a kill has cut is left out."""
    path = folder / LOG_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = []
    for number, line in enumerate(lines):
        try:
            rows.append(json.loads(line))
        except ValueError:
            if number + 1 < len(lines):
                raise BundleError(f"'{path}': line {number + 1} is damaged; remove it.") from None
    return rows


def cut_log(folder: Path, step: int) -> None:
    """Drop log lines after the checkpoint that is being continued."""
    path = folder / LOG_FILE
    if path.exists():
        kept = [row for row in read_log(folder) if row["step"] <= step]
        with replacing_file(path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
