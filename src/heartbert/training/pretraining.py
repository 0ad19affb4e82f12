"""Corpus -> encoder: masked-language modelling that can be killed and resumed at any moment, by one process or many.

Needs torch, transformers, tokenizers, numpy and a corpus folder; no reader of recordings is imported.

Many processes are a plain loop around torch's `DistributedDataParallel`: `torchrun` and `accelerate launch` both start
it. The Trainer of transformers and accelerate's own loop were weighed and left out:

- What makes a step fast here cannot be said to the Trainer: the language head on hidden positions only, bfloat16
  with an attention of one's own and no dropout, which make a step on a CPU more than twice as fast; vectorised masks
  over a memory map are 90 times its collator.
- A batch must follow from seed and step alone, so that a killed run repeats it and any number of processes shares it.
  The Trainer resumes by skipping through a data loader, and its batch grows with the processes.
- The loss is a mean over the hidden tokens of all processes, not a mean of their means.
- accelerate would save some thirty lines (`processes.py`) for a dependency that the training machine must then have.
"""

import copy
import inspect
import json
import math
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel

from heartbert.embeddings.attention import attend_fast
from heartbert.embeddings.encoder import build_encoder
from heartbert.errors import ConfigError
from heartbert.files import replacing_file, sha256_of
from heartbert.progress import Progress, no_progress
from heartbert.tokens import N_AROUND, TOKENIZER_FILE, load_tokenizer
from heartbert.training.baselines import Baselines, count_baselines
from heartbert.training.batches import N_VALIDATION_ROWS, Batch, BatchMaker, RowSampler, fitting_rows
from heartbert.training.checkpoints import (
    BEST_PREFIX,
    LOG_FILE,
    Best,
    Row,
    RunState,
    append_row,
    copy_weights,
    cut_log,
    list_checkpoints,
    load_checkpoint,
    load_weights,
    read_log,
    remove_unfinished,
    save_checkpoint,
)
from heartbert.training.config import Config
from heartbert.training.corpus import open_corpus
from heartbert.training.folder_lock import writing_alone
from heartbert.training.loss import RestoredLoss, restored_loss
from heartbert.training.loss_plot import PLOT_FILE, draw_losses
from heartbert.training.masking import masking_of
from heartbert.training.optimizing import build_optimizer, learning_rate_share
from heartbert.training.pace import Pace, duration
from heartbert.training.probe import ProbeData, refuse_seen, score_probe
from heartbert.training.processes import Processes, describe_device

__all__ = ["BASELINES_FILE", "LOG_FILE", "PLOT_FILE", "Pretraining"]

BASELINES_FILE = "baselines.json"
_ALONE = Processes()
_SECONDS_PER_CHECKPOINT = 300.0
_SECONDS_PER_PROGRESS = 0.5
# A probe never takes more than about this share of the time.
_PROBE_SHARE = 0.1


class Pretraining:
    """One run of masked-language modelling in a folder.

    Every batch follows from the seed and the number of its step alone, so a run that was killed continues from
    its last checkpoint with the same batches, with as many processes as there are now.

    Parameters
    ----------
    corpus_folder : Path
    folder : Path
        The run: see `heartbert.training.checkpoints`, and ``baselines.json`` and ``loss.png``. The newest checkpoint
        is continued. All processes must see the same folder.
    config : Config
    processes : Processes
        Who trains together; by default this process alone, on the CPU.
    probe : ProbeData, optional
        Beats that the frozen encoder is probed on every now and then; the score chooses the best checkpoint.
    rows_at_once : int, optional
        Rows of a process's share that go through the encoder together; gradients are added up, so the result does not
        depend on it, and fewer take less memory. By default all, but on a processor only as many as fit its caches, if
        the encoder is small: a pass over few weights costs nothing then.

    Attributes
    ----------
    model : PreTrainedModel
    state : RunState
    n_steps : int
        Steps in all: the settings' limit of steps or of training epochs.
    """

    def __init__(
        self,
        corpus_folder: Path,
        folder: Path,
        config: Config,
        *,
        processes: Processes = _ALONE,
        probe: ProbeData | None = None,
        rows_at_once: int | None = None,
    ) -> None:
        self._corpus = open_corpus(corpus_folder)
        tokenizer = load_tokenizer(corpus_folder)
        settings = config.pretraining
        if settings.rows_per_step < processes.n:
            raise ConfigError(
                f"rows_per_step is {settings.rows_per_step} for {processes.n} processes; each needs a row. Raise "
                "rows_per_step or start fewer processes."
            )
        if probe is not None:
            refuse_seen(probe, self._corpus)
        self.config, self.folder, self.processes = config, folder, processes
        self.tokenizer_sha256 = sha256_of(corpus_folder / TOKENIZER_FILE)
        self.model = build_encoder(config.encoder, tokenizer.n_tokens, seed=settings.seed).to(processes.device)
        attend_fast(self.model.base_model, training=True)
        self.state = RunState()
        fitting = fitting_rows(self.model, config.encoder.max_tokens) or settings.rows_per_step
        self._probe, self._rows_at_once = probe, rows_at_once or fitting
        self._token_lengths = tokenizer.token_lengths
        self._make_batches()
        self._optimizer = build_optimizer(self.model, settings.learning_rate, settings.weight_decay)
        if checkpoints := list_checkpoints(folder):
            self.state = load_checkpoint(checkpoints[-1], self.model, self._optimizer, settings=self._settings)
        self._restored_loss: nn.Module = RestoredLoss(self.model)
        if processes.n > 1:
            # Buffers are constants, the same everywhere; torch 2.13 has renamed the setting.
            known = inspect.signature(DistributedDataParallel).parameters
            buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
            settings_of_buffers: dict[str, Any] = {buffers: False}
            self._restored_loss = DistributedDataParallel(
                self._restored_loss, gradient_as_bucket_view=True, **settings_of_buffers
            )

    @property
    def step(self) -> int:
        """Steps done."""
        return self.state.step

    @property
    def finished(self) -> bool:
        """True after the last step, or when the validation loss has not fallen for too many checks."""
        patience = self.config.pretraining.patience
        return self.step >= self.n_steps or 0 < patience <= self.state.n_checks_without_gain

    @property
    def baselines(self) -> Baselines | None:
        """What counting achieves on the validation rows, once it has been counted."""
        path = self.folder / BASELINES_FILE
        if not path.exists():
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        return Baselines(**content["baselines"]) if content["settings"] == self._task else None

    def best_model(self) -> PreTrainedModel:
        """Return the model with the best weights of the checkpoints: by the probe, else by the validation loss."""
        folder = self.folder / f"{BEST_PREFIX}{self.state.best.step:08d}"
        model = copy.deepcopy(self.model)
        if folder.exists():
            load_weights(model, folder)
        return model

    def best_row(self) -> Row:
        """Return the log's line of the best weights, or the last one."""
        rows = read_log(self.folder)
        return next((row for row in reversed(rows) if row["step"] == self.state.best.step), rows[-1])

    def run(self, *, max_minutes: float | None = None, progress: Progress = no_progress) -> None:
        """Train to the last step, or as long as given; writes a checkpoint at the end and every five minutes.

        Parameters
        ----------
        max_minutes : float, optional
            Stop after this wall time; run again to continue.
        progress : callable
            Told a line with step, loss, tokens a second and time left, and the fraction done.

        Raises
        ------
        ConfigError
            If the loss is no longer a number; the last checkpoint stays. Or if another process writes this run.
        """
        with writing_alone(self.folder) if self.processes.writes else nullcontext():
            if self.processes.writes:
                cut_log(self.folder, self.state.step)
                remove_unfinished(self.folder)
            self._count_baselines(progress)
            self._train(max_minutes, progress)

    def _train(self, max_minutes: float | None, progress: Progress) -> None:
        pace = Pace(max_minutes, self.step, self.step)
        before = self.state.seconds
        losses: list[torch.Tensor] = []
        while not self.finished:
            batch = self._training.make(
                self.config.pretraining.rows_per_step,
                [self.config.pretraining.seed, self.step],
                own=self.processes.own(self.config.pretraining.rows_per_step),
            )
            # The clock of one process decides for all.
            wishes = self._wishes(pace) if self.processes.writes else (False, False, False)
            n_hidden, stop, save, probe = self.processes.sum(batch.n_hidden, *wishes)
            losses.append(self._train_step(batch, n_hidden))
            self.state.seconds = before + time.monotonic() - pace.started
            last = self.step >= self.n_steps
            regular = last or self.step % self.config.pretraining.steps_per_check == 0
            if regular or stop or probe:
                self._check(losses, pace, probing=bool(probe) or (last and self._probes), regular=regular)
            if stop or save or self.finished:
                self._save(losses, pace)
            if time.monotonic() - pace.told > _SECONDS_PER_PROGRESS and self.processes.writes:
                self._tell(losses, pace, progress)
            if stop:
                break

    def validation_loss(self) -> float:
        """Mean cross-entropy in nats a hidden token, on fixed rows and masks of the held-out leads."""
        total, n_hidden = 0.0, 0
        self.model.eval()
        with torch.no_grad():
            for batch in self._validation:
                # Not through DistributedDataParallel: processes may have different numbers of batches.
                loss = restored_loss(self.model, *batch.tensors(self.processes.device))
                total, n_hidden = total + float(loss), n_hidden + batch.n_hidden
        self.model.train()
        total, n_total = self.processes.sum(total, n_hidden)
        return total / n_total if n_total else float("nan")

    @property
    def _settings(self) -> Row:
        return {**asdict(self.config), "tokenizer_sha256": self.tokenizer_sha256}

    @property
    def _task(self) -> Row:
        """What the validation rows follow from."""
        return {
            "tokenizer_sha256": self.tokenizer_sha256,
            "n_corpus_tokens": int(self._corpus.token_ids.size),
            "max_tokens": self.config.encoder.max_tokens,
            "masking": asdict(self.config.masking),
        }

    @property
    def _probes(self) -> bool:
        return self._probe is not None and self.config.pretraining.probe_every_minutes > 0

    def _make_batches(self) -> None:
        """Set up training and validation batches, and how many steps there are."""
        max_tokens, settings = self.config.encoder.max_tokens, self.config.pretraining
        masking = masking_of(self.config.masking)
        leads = self._corpus.leads
        sampler = RowSampler(self._corpus, ~leads.held_out, max_tokens)
        self._training = BatchMaker(sampler, masking, self._token_lengths)
        tokens_per_step = settings.rows_per_step * (max_tokens - N_AROUND)
        steps_per_epoch = int(leads.length[~leads.held_out].sum()) / tokens_per_step
        self.n_steps = min(settings.n_steps, math.ceil(settings.n_training_epochs * steps_per_epoch))
        self._validation: list[Batch] = []
        self._validation_maker: BatchMaker | None = None
        held_out = leads.held_out & (leads.length >= max_tokens)
        if held_out.any():
            sampler = RowSampler(self._corpus, held_out, max_tokens)
            self._validation_maker = BatchMaker(sampler, masking, self._token_lengths)
            self._validation = self._validation_maker.validation(own=self.processes.own(N_VALIDATION_ROWS))

    def _count_baselines(self, progress: Progress) -> None:
        """Write what counting achieves, unless it is known."""
        if not self.processes.writes or self.finished or not self._validation_maker or self.baselines is not None:
            return
        progress("counting", 0.0)
        validation = self._validation_maker.validation(own=range(N_VALIDATION_ROWS))
        counted = count_baselines(self._corpus, validation, self._token_lengths.size)
        content = {"settings": self._task, "baselines": asdict(counted)}
        with replacing_file(self.folder / BASELINES_FILE) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def _wishes(self, pace: Pace) -> tuple[bool, bool, bool]:
        """Say whether to stop after this step, to write a checkpoint, and to probe."""
        now = time.monotonic()
        every = max(self.config.pretraining.probe_every_minutes * 60, pace.probe_took / _PROBE_SHARE)
        return (
            pace.minutes_over(),
            now - pace.saved > _SECONDS_PER_CHECKPOINT,
            self._probes and now - pace.probed > every,
        )

    def _train_step(self, batch: Batch, n_hidden: float) -> torch.Tensor:
        """Change the weights once; returns this process's part of the batch's loss."""
        settings = self.config.pretraining
        self.model.train()
        rate = settings.learning_rate * learning_rate_share(self.step, self.n_steps, settings.schedule)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        parts = batch.parts(self._rows_at_once)
        total = torch.zeros((), device=self.processes.device)
        for number, part in enumerate(parts):
            with self._no_exchange(last=number + 1 == len(parts)):
                loss = self._restored_loss(*part.tensors(self.processes.device)) / max(1.0, n_hidden)
                # Gradients are averaged over the processes, and the loss is a sum over them.
                (loss * self.processes.n).backward()
            total += loss.detach()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self.state.step += 1
        return total

    def _no_exchange(self, *, last: bool) -> "nullcontext[None]":
        """Leave gradients in this process until the last part of a batch."""
        if last or not isinstance(self._restored_loss, DistributedDataParallel):
            return nullcontext()
        return self._restored_loss.no_sync()  # type: ignore[return-value]

    def _check(self, losses: list[torch.Tensor], pace: Pace, *, probing: bool, regular: bool) -> None:
        """Measure, log, and remember the best weights; only regular checks count for the patience."""
        training_loss = self._training_loss(losses)
        losses.clear()
        validation_loss = self.validation_loss()
        score = self._score_probe(pace) if probing and self.processes.writes else None
        if regular:
            self.state.check(validation_loss)
        if not self.processes.writes:
            return
        chooses = regular and not self._probes
        if (chooses or score is not None) and self.state.best.is_beaten_by(validation_loss, score):
            self.state.best = Best(self.step, score, validation_loss, copy_weights(self.model))
        append_row(self.folder, self._row(training_loss, validation_loss, score, pace))
        pace.logged, pace.step_logged = time.monotonic(), self.step

    def _training_loss(self, losses: list[torch.Tensor]) -> float:
        """Return the mean loss of steps over all processes.

        Raises
        ------
        ConfigError
            If it is no number.
        """
        own = float(torch.stack(losses).double().mean()) if losses else 0.0
        (total,) = self.processes.sum(own)
        if not math.isfinite(total):
            raise ConfigError(
                f"the loss is {total} at step {self.step}; the last checkpoint stays as it was. Lower learning_rate "
                "and run again, from an earlier checkpoint if the loss was already rising."
            )
        return total

    def _score_probe(self, pace: Pace) -> float | None:
        if self._probe is None:
            return None
        started = time.monotonic()
        score = score_probe(self._probe, self.model, self._token_lengths, layer=self.config.heartbeats.layer)
        pace.probed = time.monotonic()
        pace.probe_took = pace.probed - started
        return score

    def _row(self, training_loss: float, validation_loss: float, score: float | None, pace: Pace) -> Row:
        tokens_per_step = self.config.pretraining.rows_per_step * self.config.encoder.max_tokens
        seconds = max(time.monotonic() - pace.logged, 1e-9)
        row: Row = {
            "step": self.step,
            "training_loss": round(training_loss, 4),
            "validation_loss": round(validation_loss, 4),
            "tokens": self.step * tokens_per_step,
            "seconds": round(self.state.seconds, 1),
            "tokens_per_second": round((self.step - pace.step_logged) * tokens_per_step / seconds),
            "learning_rate": self._optimizer.param_groups[0]["lr"],
            "n_processes": self.processes.n,
            "device": describe_device(self.processes.device),
        }
        return row if score is None else {**row, "probe_average_precision": round(score, 4)}

    def _save(self, losses: list[torch.Tensor], pace: Pace) -> None:
        """Write checkpoint and plot, after every process has agreed that the loss is a number."""
        self._training_loss(losses)
        pace.saved = time.monotonic()
        if self.processes.writes:
            save_checkpoint(self.folder, self.model, self._optimizer, self.state, settings=self._settings)
            draw_losses(read_log(self.folder), self.baselines, self.folder / PLOT_FILE)

    def _tell(self, losses: list[torch.Tensor], pace: Pace, progress: Progress) -> None:
        pace.told = time.monotonic()
        tokens = (self.step - pace.first_step) * self.config.pretraining.rows_per_step * self.config.encoder.max_tokens
        loss = f", loss {float(losses[-1]) * self.processes.n:.2f}" if losses else ""
        speed = tokens / max(pace.told - pace.started, 1e-9)
        left = duration(pace.seconds_left(self.step, self.n_steps))
        line = f"step {self.step:,} of {self.n_steps:,}{loss}, {speed:,.0f} tokens/s, {left} left"
        progress(line, self.step / self.n_steps)
