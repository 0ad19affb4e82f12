"""Compare a training step of `heartbert pretrain` with one of the Trainer of transformers: tokens a second and memory.

    pip install accelerate
    heartbert corpus build MITDB_FOLDER -o CORPUS --config paper
    python benchmarks/training_speed.py small=OTHER_CORPUS -o benchmarks/results/training-speed.json
    python benchmarks/training_speed.py paper=CORPUS --rows 8 -o benchmarks/results/training-speed.json

Both train the same architecture with the same vocabulary from random weights, with as many rows of as many positions,
in turns, each time in a process of its own. The Trainer has the published settings: 64 rows a step (fewer by
``--rows`` where its memory would not fit), one window of 4000 samples a row, cut at the last position and padded to it,
15 % of the tokens hidden by its own collator, 32-bit floats, dropout as `RobertaConfig` has it. Its rows are ready
token ids, so it has nothing to tokenize. `trainer_bf16` is the same with bfloat16 switched on. Ours is what
`heartbert pretrain` does with the preset, and `ours_one_row` what it does with ``--rows-at-once 1``: the same step,
computed row by row in less memory.

Tokens are those of the signal that the encoder reads: padding and special tokens do not count. A step reaches from the
end of one optimiser step to the end of the next one, so batches, masks and gradients are in it, and checks and
checkpoints are not. Its time is processor time divided by the number of threads, because that does not depend on what
else the machine does as long as there is one thread; wall time is stored too. Peak memory is that of the whole process
during these steps, with the libraries that the way imports; what it held before training is stored too. An
architecture that is not named, or was measured with another number of rows, keeps what the result says of it, with its
own commit.
"""

import argparse
import copy
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from heartbert.embeddings.encoder import build_encoder
from heartbert.files import replacing_file
from heartbert.tokens import END_ID, N_AROUND, PAD_ID, SPECIAL_TOKENS, START_ID, TOKENIZER_FILE, load_tokenizer
from heartbert.training.config import Config, read_config
from heartbert.training.corpus import Corpus, open_corpus
from heartbert.training.pretraining import Pretraining

sys.path.insert(0, str(Path(__file__).parent))
from fresh_process import forget_peak, in_fresh_process, peak_mb
from provenance import provenance

# The first step allocates the optimiser's state and fills caches.
N_WARMUP = 1
PUBLISHED_ROWS, PUBLISHED_MASKED_SHARE, PUBLISHED_DROPOUT = 64, 0.15, 0.1
WINDOW_SAMPLES = 4000
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """What every way has to do.

    Attributes
    ----------
    preset : str
    corpus : Path
        Built with the preset.
    n_rows : int
        Rows of a step.
    n_steps : int
        Steps that are timed.
    n_threads : int
    """

    preset: str
    corpus: Path
    n_rows: int
    n_steps: int
    n_threads: int

    @property
    def config(self) -> Config:
        """Settings of the preset, for as many steps of as many rows, without a check in between."""
        config = read_config(self.preset)
        n_steps = N_WARMUP + self.n_steps
        steps = {"n_steps": n_steps, "steps_per_check": n_steps, "n_training_epochs": 1e6}
        return replace(config, pretraining=replace(config.pretraining, rows_per_step=self.n_rows, **steps))


@dataclass
class StepClock:
    """Notes the time when each optimiser step ends, whoever takes it, and the most memory held since the first one."""

    n_threads: int
    loaded_mb: float = field(default_factory=peak_mb)
    ends: list[tuple[float, float]] = field(default_factory=list)
    peak_mb: float = 0.0

    def __call__(self, *_: object) -> None:
        """Note the end of a step."""
        self.ends.append((time.process_time() / self.n_threads, time.perf_counter()))
        self.peak_mb = peak_mb()
        if len(self.ends) == N_WARMUP:
            forget_peak()

    def figures(self, n_tokens: int, model: PreTrainedModel) -> dict[str, float]:
        """Return what was measured over the steps after the warm-up, which read `n_tokens`."""
        seconds, wall = (last - first for first, last in zip(self.ends[N_WARMUP - 1], self.ends[-1], strict=True))
        return {
            "tokens_per_s": n_tokens / seconds,
            "wall_tokens_per_s": n_tokens / wall,
            "seconds_per_step": seconds / (len(self.ends) - N_WARMUP),
            "peak_mb": self.peak_mb,
            "loaded_mb": self.loaded_mb,
            "n_parameters": sum(parameter.numel() for parameter in model.parameters()),
        }


def measured(way: Callable[[Task, Path], tuple[int, PreTrainedModel]], task: Task) -> dict[str, float]:
    """Train in one way, timed; returns tokens a second, seconds a step and peak memory in MB."""
    torch.set_num_threads(task.n_threads)
    clock = StepClock(task.n_threads)
    watching = register_optimizer_step_post_hook(clock)
    with tempfile.TemporaryDirectory() as folder:
        n_tokens, model = way(task, Path(folder))
    watching.remove()
    return clock.figures(n_tokens, model)


def train_here(task: Task, folder: Path, *, rows_at_once: int | None = None) -> tuple[int, PreTrainedModel]:
    """Train as `heartbert pretrain` does; returns the tokens read in the timed steps, and the encoder."""
    config = task.config
    run = Pretraining(task.corpus, folder / "run", config, rows_at_once=rows_at_once)
    run.run()
    return task.n_steps * task.n_rows * (config.encoder.max_tokens - N_AROUND), run.model


def train_with_trainer(task: Task, folder: Path, *, bf16: bool = False) -> tuple[int, PreTrainedModel]:
    """Train with the Trainer; returns the tokens read in the timed steps, and the encoder."""
    from transformers import Trainer, TrainingArguments

    config = task.config
    model = published_model(config, load_tokenizer(task.corpus).n_tokens)
    collator = CountingCollator(fast_tokenizer(task.corpus))
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=task.n_rows,
            max_steps=config.pretraining.n_steps,
            learning_rate=config.pretraining.learning_rate,
            use_cpu=True,
            bf16=bf16,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=published_rows(task.corpus, config.encoder.max_tokens),
        data_collator=collator,
    )
    trainer.train()
    return sum(collator.n_tokens[N_WARMUP : N_WARMUP + task.n_steps]), model


class CountingCollator:
    """The published collator, and how many tokens of the signal each of its batches has."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        from transformers import DataCollatorForLanguageModeling

        self._collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=PUBLISHED_MASKED_SHARE)
        self.n_tokens: list[int] = []

    def __call__(self, rows: list[dict[str, Ids]]) -> Any:
        """Make a batch."""
        self.n_tokens.append(sum(int(row["attention_mask"].sum()) - N_AROUND for row in rows))
        return self._collate(rows)


def published_model(config: Config, n_tokens: int) -> PreTrainedModel:
    """Build the same architecture as it was published: with dropout, and the attention that transformers chooses."""
    from transformers import AutoModelForMaskedLM

    settings = copy.deepcopy(build_encoder(config.encoder, n_tokens, seed=config.pretraining.seed).config)
    if config.encoder.family == "roberta":
        settings.hidden_dropout_prob = settings.attention_probs_dropout_prob = PUBLISHED_DROPOUT
    model: PreTrainedModel = AutoModelForMaskedLM.from_config(settings)
    return model


def fast_tokenizer(corpus: Path) -> PreTrainedTokenizerFast:
    """Load a corpus' tokenizer as transformers wants it."""
    names = ("bos_token", "pad_token", "eos_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_file=str(corpus / TOKENIZER_FILE), **dict(zip(names, SPECIAL_TOKENS, strict=True))
    )


def published_rows(corpus_folder: Path, max_tokens: int) -> list[dict[str, Ids]]:
    """Return one row a window of the training leads, cut at the last position and padded to it."""
    corpus, lengths = open_corpus(corpus_folder), load_tokenizer(corpus_folder).token_lengths
    rows = []
    for window in windows_of(corpus, lengths):
        row = np.full(max_tokens, PAD_ID, dtype=np.int64)
        inner = window[: max_tokens - N_AROUND]
        row[: inner.size + N_AROUND] = START_ID, *inner, END_ID
        rows.append({"input_ids": row, "attention_mask": (row != PAD_ID).astype(np.int64)})
    return rows


def windows_of(corpus: Corpus, lengths: Ids) -> list[Ids]:
    """Cut the tokens of the training leads where windows begin: no token reaches over such a place."""
    windows = []
    for lead in corpus.leads:
        if not lead.held_out:
            tokens = lead.of(corpus.token_ids)
            stops = np.cumsum(lengths[tokens])
            windows += np.split(tokens, np.flatnonzero(stops[:-1] % WINDOW_SAMPLES == 0) + 1)
    return windows


WAYS: dict[str, Callable[[Task, Path], tuple[int, PreTrainedModel]]] = {
    "ours": train_here,
    "ours_one_row": partial(train_here, rows_at_once=1),
    "trainer": train_with_trainer,
    "trainer_bf16": partial(train_with_trainer, bf16=True),
}
THEIRS = ("trainer", "trainer_bf16")


def compare(task: Task, n_rounds: int) -> dict[str, Any]:
    """Run all ways in turns; returns medians, and what ours is to the others in the same round."""
    rounds: list[dict[str, dict[str, float]]] = []
    for number in range(n_rounds):
        rounds.append({name: in_fresh_process(measured, way, task) for name, way in WAYS.items()})
        for name, figures in rounds[-1].items():
            print(
                f"{task.preset}, round {number + 1} of {n_rounds}, {name}: {figures['tokens_per_s']:,.0f} tokens/s, "
                f"{figures['peak_mb']:,.0f} MB",
                flush=True,
            )
    config = task.config
    width = config.encoder.max_tokens
    n_tokens = [min(window.size, width - N_AROUND) for window in _windows(task.corpus)]
    rows = {name: [one[name] for one in rounds] for name in WAYS}
    return {
        **{
            key: _medians(rows, key)
            for key in ("tokens_per_s", "wall_tokens_per_s", "seconds_per_step", "peak_mb", "loaded_mb")
        },
        "ratios": {
            ours: {
                key: {name: statistics.median(one[ours][key] / one[name][key] for one in rounds) for name in THEIRS}
                for key in ("tokens_per_s", "peak_mb")
            }
            for ours in WAYS
            if ours not in THEIRS
        },
        "rows_per_step": task.n_rows,
        "preset_rows_per_step": read_config(task.preset).pretraining.rows_per_step,
        "max_tokens": width,
        "n_vocabulary": load_tokenizer(task.corpus).n_tokens,
        "n_parameters": {name: int(each[0]["n_parameters"]) for name, each in rows.items()},
        "masked_share": {"ours": _masked_share(config), "trainer": PUBLISHED_MASKED_SHARE},
        "trainer_padding_share": 1 - sum(n_tokens) / (len(n_tokens) * (width - N_AROUND)),
        "rounds": rounds,
    }


def _windows(corpus_folder: Path) -> list[Ids]:
    return windows_of(open_corpus(corpus_folder), load_tokenizer(corpus_folder).token_lengths)


def _medians(rows: dict[str, list[dict[str, float]]], key: str) -> dict[str, float]:
    return {name: statistics.median(one[key] for one in each) for name, each in rows.items()}


def _masked_share(config: Config) -> float:
    return config.masking.masked_share + config.masking.random_share


def with_headline(result: dict[str, Any]) -> dict[str, Any]:
    """Put the figures of the first architecture at the top."""
    first = next(iter(result["architectures"].values()))
    return {**result, "tokens_per_s": first["tokens_per_s"], "peak_mb": first["peak_mb"]}


def kept(output: Path) -> dict[str, Any]:
    """Return the architectures of an earlier result, each with the commit it was measured at."""
    if not output.exists():
        return {}
    earlier = json.loads(output.read_text(encoding="utf-8"))
    return {name: {"commit": earlier["commit"], **row} for name, row in earlier["architectures"].items()}


def main() -> None:
    """Parse the command line, measure, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", metavar="PRESET=CORPUS", help="Preset, and a corpus built with it.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=PUBLISHED_ROWS, help="Rows of a step; as published by default.")
    parser.add_argument("--steps", type=int, default=5, help="Steps timed of each run.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if importlib.util.find_spec("accelerate") is None:
        parser.error("the Trainer of transformers needs accelerate; install it: pip install accelerate")
    corpora = {preset: Path(folder) for preset, _, folder in (one.partition("=") for one in arguments.corpora)}
    origin = provenance([])
    origin["command"] = " ".join([
        "python benchmarks/training_speed.py", *(f"{preset}={folder.name}" for preset, folder in corpora.items()),
        f"--rows {arguments.rows} --steps {arguments.steps} --rounds {arguments.rounds} --threads {arguments.threads}",
    ])  # fmt: skip
    result = {**origin, "n_threads": arguments.threads, "n_steps": arguments.steps, "n_rounds": arguments.rounds}
    result["architectures"] = kept(arguments.output)
    for preset, corpus in corpora.items():
        task = Task(preset, corpus, arguments.rows, arguments.steps, arguments.threads)
        result["architectures"][f"{preset}, {task.n_rows} rows"] = {
            "commit": origin["commit"],
            **compare(task, arguments.rounds),
        }
        with replacing_file(arguments.output) as temporary:
            temporary.write_text(json.dumps(with_headline(result), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
