"""Stage 7 of 7: embeddings -> predictions. Heads of tasks as files of a bundle."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from heartbert.errors import BundleError, ConfigError
from heartbert.predictions.lead_attention import LeadAttention, TaskKind
from heartbert.predictions.task_units import UnitInput, UnitKind
from heartbert.predictions.tasks import TaskHead

# A task's name is part of a file's name.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PREFIX = "task-"


def check_task_name(name: str) -> str:
    """Return a name if it can be one of a task.

    Raises
    ------
    ConfigError
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"'{name}' is no name for a task; 1 to 40 lower-case letters, digits, '-' and '_' are allowed, a letter or "
            "digit first. Choose another."
        )
    return name


def encoder_digest(model: PreTrainedModel) -> str:
    """Return a digest of an encoder's weights, as a bundle stores them: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.base_model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()


def save_task_heads(heads: Mapping[str, TaskHead], folder: Path) -> None:
    """Write ``task-NAME.safetensors`` and ``task-NAME.json`` for each head into a folder."""
    for name, head in heads.items():
        weights = {key: tensor.contiguous() for key, tensor in head.network.state_dict().items()}
        save_file(weights, folder / f"{_PREFIX}{name}.safetensors")
        settings = {
            "kind": head.kind,
            "classes": list(head.classes),
            "reads": asdict(head.reads),
            "n_embedding": head.network.mean.numel(),
            "n_units": head.network.project.out_features,
            "n_leads": head.network.n_leads,
            "temperature": head.temperature,
            "encoder": head.encoder,
        }
        text = json.dumps(settings, indent=1, ensure_ascii=False)
        (folder / f"{_PREFIX}{name}.json").write_text(text + "\n", encoding="utf-8")


def load_task_heads(folder: Path, files: Iterable[str]) -> dict[str, TaskHead]:
    """Read the heads of all tasks in a bundle's folder, by name.

    Parameters
    ----------
    folder : Path
    files : iterable of str
        Names of the files that belong to the bundle.

    Raises
    ------
    BundleError
        If a file is damaged; the message names it.
    """
    heads = {}
    names = sorted(name for name in files if name.startswith(_PREFIX) and name.endswith(".json"))
    for path in (folder / name for name in names):
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            heads[path.stem.removeprefix(_PREFIX)] = _head_of(settings, load_file(path.with_suffix(".safetensors")))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise BundleError(
                f"bundle '{folder.name}': the task in {path.name} cannot be used: {error}; get the bundle again"
            ) from error
    return heads


def _head_of(settings: dict[str, Any], weights: dict[str, torch.Tensor]) -> TaskHead:
    classes, temperature, reads = tuple(settings["classes"]), float(settings["temperature"]), settings["reads"]
    kind = settings["kind"]
    if kind not in get_args(TaskKind) or reads["unit"] not in get_args(UnitKind) or not 0 < temperature < float("inf"):
        raise ValueError(f"kind '{kind}', unit '{reads['unit']}' or temperature {temperature} is not possible")
    network = LeadAttention(
        settings["n_embedding"], len(classes), settings["n_units"], 0.0, n_leads=settings["n_leads"]
    )
    network.load_state_dict(weights)
    reads_of = UnitInput(**{**reads, "leads": tuple(reads["leads"])})
    return TaskHead(network.eval(), kind, classes, reads_of, temperature, settings["encoder"])
