"""A run can be killed, resumed, shared and stopped early, and comes to the same weights."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from heartbert.errors import BundleError, ConfigError
from heartbert.training.checkpoints import Best, list_checkpoints
from heartbert.training.config import Config, read_config
from heartbert.training.pretraining import BASELINES_FILE, PLOT_FILE, Pretraining
from heartbert.training.processes import Processes, joined_processes


def config_of(n_steps: int, **settings: Any) -> Config:
    """Return the tiny preset with other settings of the pre-training."""
    tiny = read_config("tiny")
    return replace(tiny, pretraining=replace(tiny.pretraining, n_steps=n_steps, **settings))


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def losses_in(folder: Path) -> dict[int, float]:
    return {row["step"]: row["validation_loss"] for row in rows_in(folder)}


def test_pretraining_learns_to_restore_hidden_tokens(tiny_corpus: Path, tmp_path: Path) -> None:
    """The loss on a held-out lead must fall, or nothing is being learnt."""
    run = Pretraining(tiny_corpus, tmp_path, config_of(60))
    before = run.validation_loss()

    run.run()

    assert run.validation_loss() < before - 0.1
    assert run.finished
    assert "CPU" in json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["device"]


def test_pretraining_resumed_after_a_stop_equals_an_unbroken_run(tiny_corpus: Path, tmp_path: Path) -> None:
    """A lab must be able to kill a run at any moment and lose nothing but time."""
    unbroken = Pretraining(tiny_corpus, tmp_path / "unbroken", config_of(12))
    unbroken.run()
    for _ in range(20):
        part = Pretraining(tiny_corpus, tmp_path / "broken", config_of(12))
        if part.finished:
            break
        part.run(max_minutes=0.0)  # one step, as if killed after its checkpoint

    assert losses_in(tmp_path / "broken")[12] == pytest.approx(losses_in(tmp_path / "unbroken")[12], abs=2e-3)
    assert sorted(losses_in(tmp_path / "broken")) == list(range(1, 13))


def test_pretraining_continues_the_newest_complete_checkpoint_after_sigkill(tiny_corpus: Path, tmp_path: Path) -> None:
    """A run killed while it writes a checkpoint, or before it removes the older one, must find a whole one."""
    script = (
        "import os, signal, shutil, sys; from pathlib import Path\n"
        "from heartbert.training import checkpoints, pretraining; from heartbert.training.config import read_config\n"
        "run = pretraining.Pretraining(Path(sys.argv[1]), Path(sys.argv[2]), read_config('tiny'))\n"
        "run.run(max_minutes=0.0)\n"
        "moment = {'writing': (checkpoints, 'save_file'), 'removing': (shutil, 'rmtree')}[sys.argv[3]]\n"
        "setattr(*moment, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))\n"
        "run.run(max_minutes=0.0)\n"
    )
    steps = {}
    for moment in ("writing", "removing"):
        folder = tmp_path / moment
        command = [sys.executable, "-c", script, str(tiny_corpus), str(folder), moment]
        killed = subprocess.run(command, capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr

        steps[moment] = Pretraining(tiny_corpus, folder, read_config("tiny")).step

    assert steps == {"writing": 1, "removing": 2}


def test_pretraining_drops_log_lines_after_the_checkpoint_it_continues(tiny_corpus: Path, tmp_path: Path) -> None:
    """Steps that are done again must not stand in the log twice."""
    Pretraining(tiny_corpus, tmp_path, config_of(3)).run()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 99, "validation_loss": 0.0}\n')

    Pretraining(tiny_corpus, tmp_path, config_of(5)).run()

    assert sorted(losses_in(tmp_path)) == [3, 5]


def test_pretraining_refuses_a_checkpoint_of_another_encoder(tiny_corpus: Path, tmp_path: Path) -> None:
    """Weights of other shapes cannot be continued; overwriting them would cost a run."""
    Pretraining(tiny_corpus, tmp_path, config_of(1)).run()
    config = config_of(2)

    with pytest.raises(BundleError, match="encoder of other settings"):
        Pretraining(tiny_corpus, tmp_path, replace(config, encoder=replace(config.encoder, n_layers=1)))


def test_pretraining_refuses_a_checkpoint_of_another_tokenizer(tiny_corpus: Path, tmp_path: Path) -> None:
    """The same number would be another piece of signal."""
    Pretraining(tiny_corpus, tmp_path, config_of(1)).run()
    state = list_checkpoints(tmp_path)[0] / "state.json"
    content = json.loads(state.read_text())
    content["config"]["tokenizer_sha256"] = "0" * 64
    state.write_text(json.dumps(content))

    with pytest.raises(BundleError, match="corpus with another tokenizer"):
        Pretraining(tiny_corpus, tmp_path, config_of(2))


def test_pretraining_continues_a_checkpoint_of_the_first_version(tiny_corpus: Path, tmp_path: Path) -> None:
    """Runs that are under way must survive an update."""
    Pretraining(tiny_corpus, tmp_path, config_of(2)).run()
    state = list_checkpoints(tmp_path)[0] / "state.json"
    content = json.loads(state.read_text())
    first = {"step": 2, "seconds": 1.0, "config": {"encoder": content["config"]["encoder"]}}
    state.write_text(json.dumps(first))

    run = Pretraining(tiny_corpus, tmp_path, config_of(4))
    run.run()

    assert sorted(losses_in(tmp_path)) == [2, 4]
    assert run.finished


def test_pretraining_by_two_processes_gives_the_losses_of_one(tiny_corpus: Path, tmp_path: Path) -> None:
    """A lab that adds an accelerator must get the same run, faster."""
    config = tmp_path / "own.toml"
    preset = Path(__file__).parents[2] / "src/heartbert/training/presets/tiny.toml"
    config.write_text(preset.read_text().replace("steps_per_check = 100", "steps_per_check = 4"))
    Pretraining(tiny_corpus, tmp_path / "one", read_config(config)).run()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "heartbert.cli.main", "pretrain", str(tiny_corpus), "--config", str(config)]
    command += ["--run", str(tmp_path / "two"), "-o", str(tmp_path / "bundle")]

    started = [
        subprocess.Popen(
            command,
            env={
                **os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1",
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            },
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]  # fmt: skip
    errors = [process.communicate(timeout=300)[1] for process in started]

    assert [process.returncode for process in started] == [0, 0], errors
    one, two = rows_in(tmp_path / "one"), rows_in(tmp_path / "two")
    assert [row["step"] for row in two] == [row["step"] for row in one] == [4, 8, 12, 16, 20]
    for key in ("training_loss", "validation_loss"):
        assert [row[key] for row in two] == pytest.approx([row[key] for row in one], abs=1e-2)  # bfloat16
    assert {row["n_processes"] for row in two} == {2}
    assert (tmp_path / "bundle" / "manifest.json").is_file()


def test_gradients_added_up_over_parts_of_a_batch_give_the_same_run(tiny_corpus: Path, tmp_path: Path) -> None:
    """A machine with little memory must be able to train the same encoder."""
    whole = Pretraining(tiny_corpus, tmp_path / "whole", config_of(4), rows_at_once=4)
    parts = Pretraining(tiny_corpus, tmp_path / "parts", config_of(4), rows_at_once=1)

    whole.run()
    parts.run()

    assert losses_in(tmp_path / "parts")[4] == pytest.approx(losses_in(tmp_path / "whole")[4], abs=5e-3)


def test_pretraining_refuses_more_processes_than_rows(tiny_corpus: Path, tmp_path: Path) -> None:
    """A process without a row would wait for ever, or count for nothing."""
    with pytest.raises(ConfigError, match="rows_per_step is 4 for 5 processes"):
        Pretraining(tiny_corpus, tmp_path, config_of(1), processes=Processes(0, 5))


def test_joined_processes_refuses_a_device_that_is_not_there() -> None:
    """The message must say what to do, before anything is loaded."""
    with pytest.raises(ConfigError, match=r"device is 'tpu'; choose one of cpu, cuda"), joined_processes("tpu"):
        pass
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="wants accelerator 0, and torch finds 0"), joined_processes("cuda"):
            pass


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_processes_share_all_rows_and_none_twice(n: int) -> None:
    """A row left out or read twice would make the batch depend on the number of processes."""
    shares = [Processes(rank, n).own(12) for rank in range(n)]

    assert [row for share in shares for row in share] == list(range(12))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_pretraining_stops_when_the_loss_no_longer_falls(tiny_corpus: Path, tmp_path: Path) -> None:
    """Published: patience of 50 checks. A learning rate of next to nothing improves nothing that counts."""
    settings = config_of(30, steps_per_check=1, patience=3, learning_rate=1e-30)
    run = Pretraining(tiny_corpus, tmp_path, settings)

    run.run()

    assert run.finished
    assert run.step == 4  # the first check is the lowest, three more bring nothing
    assert Pretraining(tiny_corpus, tmp_path, settings).finished


def test_training_epochs_limit_the_steps(tiny_corpus: Path, tmp_path: Path) -> None:
    """The published limit is in passes over the corpus, whatever its size."""
    one = Pretraining(tiny_corpus, tmp_path, config_of(10**6, n_training_epochs=1.0))
    three = Pretraining(tiny_corpus, tmp_path, config_of(10**6, n_training_epochs=3.0))

    assert 1 < one.n_steps < 1000
    assert three.n_steps == pytest.approx(3 * one.n_steps, abs=3)


def test_best_weights_are_kept_beside_the_newest(tiny_corpus: Path, tmp_path: Path) -> None:
    """The last step is not always the best one, and the best must survive a kill."""
    run = Pretraining(tiny_corpus, tmp_path, config_of(6, steps_per_check=2))
    run.run()
    losses = losses_in(tmp_path)
    best = min(losses, key=losses.__getitem__)

    kept = Pretraining(tiny_corpus, tmp_path, config_of(6, steps_per_check=2))

    assert [path.name for path in tmp_path.glob("best-*")] == [f"best-{best:08d}"]
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-00000006"]
    assert kept.best_row()["step"] == kept.state.best.step == best
    kept.model = kept.best_model()
    assert kept.validation_loss() == pytest.approx(losses[best], abs=2e-3)


def test_best_is_chosen_by_the_probe_from_its_first_score_on() -> None:
    """The loss does not say what an encoder is worth."""
    by_loss = Best(step=1, validation_loss=3.0)

    assert by_loss.is_beaten_by(2.9, None)
    assert not by_loss.is_beaten_by(3.1, None)
    assert by_loss.is_beaten_by(9.9, 0.1)
    assert not Best(step=1, probe=0.4, validation_loss=3.0).is_beaten_by(1.0, None)
    assert not Best(step=1, probe=0.4, validation_loss=3.0).is_beaten_by(1.0, 0.3)
    assert Best().is_beaten_by(float("nan"), None)


def test_run_folder_tells_how_good_counting_is(tiny_corpus: Path, tmp_path: Path) -> None:
    """A loss without its baselines says nothing; they are drawn and stored beside it."""
    run = Pretraining(tiny_corpus, tmp_path, config_of(2))
    run.run()

    content = json.loads((tmp_path / BASELINES_FILE).read_text())
    assert run.baselines is not None
    assert content["baselines"] == asdict(run.baselines)
    assert content["baselines"]["unigram"] > 0
    assert (tmp_path / PLOT_FILE).read_bytes().startswith(b"\x89PNG")


def test_baselines_of_other_masks_are_counted_again(tiny_corpus: Path, tmp_path: Path) -> None:
    """Old numbers beside a new loss would be a lie."""
    Pretraining(tiny_corpus, tmp_path, config_of(1)).run()
    tiny = config_of(2)

    tokens = Pretraining(tiny_corpus, tmp_path, replace(tiny, masking=replace(tiny.masking, mask="token")))

    assert tokens.baselines is None


def test_log_tells_the_speed(tiny_corpus: Path, tmp_path: Path) -> None:
    """Whoever pays for the machine looks at this number first."""
    told: list[tuple[str, float]] = []

    Pretraining(tiny_corpus, tmp_path, config_of(2)).run(progress=lambda line, done: told.append((line, done)))

    (row,) = rows_in(tmp_path)
    assert row["tokens_per_second"] > 0
    assert row["learning_rate"] > 0
    assert any("tokens/s" in line and "left" in line and "step 1 of 2" in line for line, _ in told)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(tiny_corpus: Path, tmp_path: Path) -> None:
    """A week of training must not end in a checkpoint of NaN."""
    Pretraining(tiny_corpus, tmp_path, config_of(1)).run()
    run = Pretraining(tiny_corpus, tmp_path, config_of(3))
    with torch.no_grad():
        next(run.model.parameters()).fill_(float("nan"))

    with pytest.raises(ConfigError, match=r"the loss is nan at step 3; .* Lower learning_rate"):
        run.run()
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-00000001"]


def test_a_step_of_the_published_settings_runs_on_a_smaller_encoder(tiny_corpus: Path, tmp_path: Path) -> None:
    """Every choice of the preset but its size: RoBERTa, single tokens, no schedule to speak of."""
    paper = read_config("paper")
    small = replace(paper.encoder, n_layers=1, hidden_size=48, n_heads=12, intermediate_size=96, max_tokens=128)
    pretraining = replace(paper.pretraining, n_steps=1, rows_per_step=2)

    run = Pretraining(tiny_corpus, tmp_path, replace(paper, encoder=small, pretraining=pretraining))
    run.run()

    assert run.finished


@pytest.mark.parametrize("mask", ["token", "beat"])
def test_other_masks_train(tiny_corpus: Path, tmp_path: Path, mask: str) -> None:
    """Each kind of mask goes the whole way from the corpus to a loss."""
    tiny = config_of(1)

    run = Pretraining(tiny_corpus, tmp_path, replace(tiny, masking=replace(tiny.masking, mask=mask)))  # type: ignore[arg-type]
    run.run()

    assert rows_in(tmp_path)[0]["training_loss"] > 0
