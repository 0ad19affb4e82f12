"""Pre-training started by torchrun, as a lab with several processors or accelerators starts it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

from heartbert.training.config import read_config
from heartbert.training.pretraining import Pretraining

N_STEPS = 4
pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this torch was built without torch.distributed or gloo",
)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Return the tiny preset with few steps and a line of the log for each, as a file."""
    preset = resources.files("heartbert.training").joinpath("presets", "tiny.toml").read_text(encoding="utf-8")
    text = preset.replace("n_steps = 20", f"n_steps = {N_STEPS}").replace(
        "steps_per_check = 100", "steps_per_check = 1"
    )
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def losses_in(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log."""
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_two_processes_of_torchrun_train_as_one_does(tiny_corpus: Path, settings: Path, tmp_path: Path) -> None:
    """The command in the help must start, share the work, come to the same losses, write once, and end.

    A machine may be gone tomorrow: the run is continued by one process.
    """
    Pretraining(tiny_corpus, tmp_path / "one", read_config(settings)).run()
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    program = ["heartbert.cli.main", "pretrain", str(tiny_corpus), "--config", str(settings)]
    folders = ["--run", str(tmp_path / "two"), "-o", str(tmp_path / "bundle")]

    ended = subprocess.run(
        [sys.executable, *launcher, *program, *folders],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [f"written\t{tmp_path / 'bundle'}"]
    one, two = losses_in(tmp_path / "one"), losses_in(tmp_path / "two")
    assert [(row["step"], row["n_processes"]) for row in two] == [(step, 2) for step in range(1, N_STEPS + 1)]
    for loss in ("training_loss", "validation_loss"):
        assert [row[loss] for row in two] == pytest.approx([row[loss] for row in one], abs=1e-2)  # bfloat16

    longer = read_config(settings)
    longer = replace(longer, pretraining=replace(longer.pretraining, n_steps=N_STEPS + 1))
    Pretraining(tiny_corpus, tmp_path / "two", longer).run()

    assert [row["n_processes"] for row in losses_in(tmp_path / "two")] == [2] * N_STEPS + [1]
