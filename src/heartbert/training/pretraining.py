"""Corpus -> encoder: masked-language modelling that can be killed and resumed at any moment.

Needs torch, transformers, tokenizers, numpy and a corpus folder; no reader of recordings is imported.
"""

import json
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from heartbert.embeddings.embed import autocast
from heartbert.embeddings.encoder import build_encoder, masked_logits, quiet_transformers
from heartbert.errors import BundleError, ConfigError
from heartbert.files import replacing_folder
from heartbert.progress import Progress, no_progress
from heartbert.tokens import END_ID, N_AROUND, START_ID, load_tokenizer
from heartbert.training.config import Config
from heartbert.training.corpus import Corpus, Lead, open_corpus
from heartbert.training.masking import Masking

CHECKPOINT_PREFIX, LOG_FILE, STATE_FILE = "checkpoint-", "log.jsonl", "state.json"
WEIGHTS_FILE, OPTIMIZER_FILE = "model.safetensors", "optimizer.safetensors"
_SAMPLES_PER_MS = 0.36
_WARMUP_STEPS = 200
# The learning rate is constant after the warm-up and falls linearly to 0 over the last part of the steps, so a run
# may be prolonged until that part begins.
_DECAY_SHARE = 0.2
_VALIDATION_ROWS = 96
_STEPS_PER_LOG = 100
_SECONDS_PER_CHECKPOINT = 300.0


class RowSampler:
    """Draws rows of tokens from the training leads of a corpus, each with ``<s>`` and ``</s>`` around it.

    Parameters
    ----------
    corpus : Corpus
    leads : sequence of Lead
        Leads to draw from; those shorter than a row are left out.
    max_tokens : int
        Tokens of a row, ``<s>`` and ``</s>`` included.

    Raises
    ------
    ConfigError
        If no lead is as long as a row.
    """

    def __init__(self, corpus: Corpus, leads: list[Lead], max_tokens: int) -> None:
        self._token_ids = corpus.token_ids
        self._width = max_tokens - N_AROUND
        long_enough = [lead for lead in leads if lead.length >= self._width]
        if not long_enough:
            raise ConfigError(
                f"no lead of corpus '{corpus.folder.name}' has {self._width} tokens, one row. Lower max_tokens or give "
                "longer recordings."
            )
        self._firsts = np.array([lead.first for lead in long_enough])
        self._ends = np.cumsum([lead.length - self._width + 1 for lead in long_enough])

    def draw(self, n_rows: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return rows at uniformly drawn positions: int64, shape (n_rows, max_tokens)."""
        drawn = rng.integers(0, self._ends[-1], size=n_rows)
        lead = np.searchsorted(self._ends, drawn, side="right")
        starts = self._firsts[lead] + drawn - np.concatenate(([0], self._ends))[lead]
        rows = np.empty((n_rows, self._width + N_AROUND), dtype=np.int64)
        rows[:, 0], rows[:, -1] = START_ID, END_ID
        for row, start in zip(rows, starts, strict=True):
            row[1:-1] = self._token_ids[start : start + self._width]
        return rows


@dataclass(frozen=True)
class Batch:
    """What the model sees and what it has to restore."""

    shown: torch.Tensor  # int64, (n_rows, n_tokens)
    hidden: torch.Tensor  # bool, same shape
    targets: torch.Tensor  # int64, (n_hidden,)


class Pretraining:
    """One run of masked-language modelling in a folder.

    Every batch follows from the seed and the number of its step alone, so a run that was killed continues from
    its last checkpoint with the same batches.

    Parameters
    ----------
    corpus_folder : Path
    folder : Path
        The run: ``checkpoint-<step>/`` and ``log.jsonl``. The newest checkpoint is continued.
    config : Config
    device : str
        ``"cpu"`` or ``"cuda"``.
    """

    def __init__(self, corpus_folder: Path, folder: Path, config: Config, *, device: str = "cpu") -> None:
        corpus = open_corpus(corpus_folder)
        tokenizer = load_tokenizer(corpus_folder)
        settings = config.pretraining
        self.config, self.folder, self.device = config, folder, torch.device(device)
        self.model = build_encoder(config.encoder, tokenizer.n_tokens, seed=settings.seed).to(self.device)
        # In bfloat16 on a CPU, explicit attention is 7-17 % faster than torch's fused kernel.
        self.model.set_attn_implementation("eager" if self.device.type == "cpu" else "sdpa")
        self.step, self.seconds = 0, 0.0
        self._lengths = tokenizer.token_lengths
        self._masking = Masking(
            settings.span_share,
            settings.random_share,
            round(settings.shortest_span_ms * _SAMPLES_PER_MS),
            round(settings.longest_span_ms * _SAMPLES_PER_MS),
        )
        max_tokens = config.encoder.max_tokens
        self._training_rows = RowSampler(corpus, [lead for lead in corpus.leads if not lead.held_out], max_tokens)
        held_out = [lead for lead in corpus.leads if lead.held_out and lead.length >= max_tokens]
        self._validation_rows = RowSampler(corpus, held_out, max_tokens) if held_out else None
        self._optimizer = _build_optimizer(self.model, settings.learning_rate, settings.weight_decay)
        if checkpoints := self._checkpoints():
            self._load_checkpoint(checkpoints[-1])

    def run(self, *, max_minutes: float | None = None, progress: Progress = no_progress) -> None:
        """Train to the last step, or as long as given; writes a checkpoint at the end and every five minutes.

        Parameters
        ----------
        max_minutes : float, optional
            Stop after this wall time; run again to continue.
        progress : callable
            Told a line with step, loss and tokens a second, and the fraction done.
        """
        settings = self.config.pretraining
        started = saved = time.monotonic()
        losses: list[float] = []
        before = self.seconds
        while self.step < settings.n_steps:
            losses.append(self._train_step())
            now = time.monotonic()
            self.seconds = before + now - started
            finished = self.step == settings.n_steps or (max_minutes is not None and now - started > max_minutes * 60)
            if self.step % _STEPS_PER_LOG == 0 or finished:
                self._log(losses, progress)
                losses.clear()
            if finished or now - saved > _SECONDS_PER_CHECKPOINT:
                self._save_checkpoint()
                saved = now
            if finished:
                break

    @property
    def finished(self) -> bool:
        """True after the last step."""
        return self.step >= self.config.pretraining.n_steps

    def validation_loss(self) -> float:
        """Mean cross-entropy in nats a hidden token, on fixed rows and masks of the held-out leads."""
        if self._validation_rows is None:
            return float("nan")
        rng = np.random.default_rng(0)
        total, n_hidden = 0.0, 0
        self.model.eval()
        with torch.no_grad():
            for _ in range(0, _VALIDATION_ROWS, self.config.pretraining.rows_per_step):
                batch = self._batch(self._validation_rows, rng)
                total += float(self._loss(batch)) * batch.targets.numel()
                n_hidden += batch.targets.numel()
        self.model.train()
        return total / n_hidden

    def _train_step(self) -> float:
        settings = self.config.pretraining
        self.model.train()
        rate = settings.learning_rate * learning_rate_share(self.step, settings.n_steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        batch = self._batch(self._training_rows, np.random.default_rng([settings.seed, self.step]))
        loss = self._loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        return float(loss.detach())

    def _batch(self, rows: RowSampler, rng: np.random.Generator) -> Batch:
        token_ids = rows.draw(self.config.pretraining.rows_per_step, rng)
        shown, hidden = self._masking.hide(token_ids, self._lengths, rng)
        shown_ids, hidden_mask, targets = (
            torch.from_numpy(array).to(self.device, non_blocking=True) for array in (shown, hidden, token_ids[hidden])
        )
        return Batch(shown_ids, hidden_mask, targets)

    def _loss(self, batch: Batch) -> torch.Tensor:
        """Cross-entropy in nats, averaged over hidden tokens; the head sees hidden positions only."""
        with autocast(self.device):
            hidden = self.model.base_model(input_ids=batch.shown).last_hidden_state  # (n_rows, n_tokens, hidden_size)
            logits = masked_logits(self.model, hidden[batch.hidden])  # (n_hidden, n_vocabulary)
        return nn.functional.cross_entropy(logits.float(), batch.targets)

    def _log(self, losses: list[float], progress: Progress) -> None:
        tokens = self.step * self.config.pretraining.rows_per_step * self.config.encoder.max_tokens
        row = {
            "step": self.step,
            "training_loss": round(float(np.mean(losses)), 4),
            "validation_loss": round(self.validation_loss(), 4),
            "tokens": tokens,
            "seconds": round(self.seconds, 1),
            "device": _describe(self.device),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        line = f"step {self.step}, loss {row['training_loss']}, {tokens / max(self.seconds, 1e-9):,.0f} tokens/s"
        progress(line, self.step / self.config.pretraining.n_steps)

    def _checkpoints(self) -> list[Path]:
        """List the complete checkpoints, oldest first."""
        return sorted(self.folder.glob(f"{CHECKPOINT_PREFIX}*"))

    def _save_checkpoint(self) -> None:
        """Write a checkpoint under a name of its own before the older ones go: at no moment is there none."""
        older = self._checkpoints()
        target = self.folder / f"{CHECKPOINT_PREFIX}{self.step:08d}"
        with replacing_folder(target) as building:
            with quiet_transformers():
                self.model.save_pretrained(building)
            save_file(_flat_state(self._optimizer), building / OPTIMIZER_FILE)
            state = {"step": self.step, "seconds": self.seconds, "config": asdict(self.config)}
            (building / STATE_FILE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        for folder in older:
            if folder != target:
                shutil.rmtree(folder)

    def _load_checkpoint(self, folder: Path) -> None:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
        if state["config"]["encoder"] != asdict(self.config.encoder):
            raise BundleError(
                f"the checkpoint in '{self.folder.name}' has an encoder of other settings. Give those, or "
                "another folder."
            )
        missing, _ = self.model.load_state_dict(load_file(folder / WEIGHTS_FILE), strict=False)
        if set(missing) - set(self.model.all_tied_weights_keys):
            raise BundleError(
                f"the checkpoint in '{self.folder.name}' lacks weights: {missing[0]}. Start the run again."
            )
        _restore_state(self._optimizer, load_file(folder / OPTIMIZER_FILE))
        self.step, self.seconds = state["step"], state["seconds"]
        _cut_log(self.folder / LOG_FILE, self.step)


def learning_rate_share(step: int, n_steps: int) -> float:
    """Return the share of the peak learning rate at a step: warm-up, constant, linear decay."""
    warmup_steps = min(_WARMUP_STEPS, max(1, n_steps // 10))
    decay_steps = max(1.0, _DECAY_SHARE * n_steps)
    return min(1.0, (step + 1) / warmup_steps, (n_steps - step) / decay_steps)


def _build_optimizer(model: PreTrainedModel, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {
            "params": [parameter for parameter in parameters if parameter.ndim >= 2],
            "weight_decay": weight_decay,
        },
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-6)


def _flat_state(optimizer: torch.optim.AdamW) -> dict[str, torch.Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def _restore_state(optimizer: torch.optim.AdamW, flat: Mapping[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in flat.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads of a CPU ({platform.machine()})"


def _cut_log(path: Path, step: int) -> None:
    """Drop log lines after the checkpoint that is being continued."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
