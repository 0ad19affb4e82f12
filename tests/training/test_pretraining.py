import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heartbert.errors import BundleError, ConfigError
from heartbert.tokens import END_ID, START_ID
from heartbert.training.config import Config, read_config
from heartbert.training.corpus import Corpus, Lead, open_corpus
from heartbert.training.pretraining import Pretraining, RowSampler, learning_rate_share


def config_of(n_steps: int) -> Config:
    tiny = read_config("tiny")
    return replace(tiny, pretraining=replace(tiny.pretraining, n_steps=n_steps))


def losses_in(folder: Path) -> dict[int, float]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {row["step"]: row["validation_loss"] for row in rows}


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
        "from heartbert.training import pretraining; from heartbert.training.config import read_config\n"
        "run = pretraining.Pretraining(Path(sys.argv[1]), Path(sys.argv[2]), read_config('tiny'))\n"
        "run.run(max_minutes=0.0)\n"
        "moment = {'writing': (pretraining, 'save_file'), 'removing': (shutil, 'rmtree')}[sys.argv[3]]\n"
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


def test_row_sampler_draws_whole_rows_of_one_lead(tiny_corpus: Path) -> None:
    """A row that ran over the end of a lead would join two people's hearts."""
    corpus = open_corpus(tiny_corpus)
    first = corpus.leads[0]
    tokens = corpus.token_ids[first.first : first.first + first.length]

    rows = RowSampler(corpus, [first], 32).draw(50, np.random.default_rng(0))

    assert rows.shape == (50, 32)
    assert (rows[:, 0] == START_ID).all()
    assert (rows[:, -1] == END_ID).all()
    text = tokens.astype("<u2").tobytes()
    assert all(row[1:-1].astype("<u2").tobytes() in text for row in rows)


def test_row_sampler_reaches_both_ends_of_every_lead() -> None:
    """Each position of each lead must be drawn with the same probability."""
    leads = [Lead("a", "a", "I", False, 0, 4, 4), Lead("b", "b", "I", False, 4, 3, 3)]
    corpus = Corpus(Path("corpus"), np.arange(10, 17, dtype=np.uint16), tuple(leads))

    rows = RowSampler(corpus, leads, 5).draw(3000, np.random.default_rng(0))

    starts, counts = np.unique(rows[:, 1], return_counts=True)
    np.testing.assert_array_equal(starts, [10, 11, 14])
    assert counts.min() > 900


def test_row_sampler_refuses_leads_shorter_than_a_row(tiny_corpus: Path) -> None:
    """The message must say how long a row is."""
    corpus = open_corpus(tiny_corpus)

    with pytest.raises(ConfigError, match="has 99998 tokens, one row"):
        RowSampler(corpus, list(corpus.leads), 100_000)


def test_learning_rate_warms_up_holds_and_falls_to_zero() -> None:
    """A run may be prolonged until the fall begins, so the plateau must not depend on its length."""
    shares = [learning_rate_share(step, 10_000) for step in (0, 199, 5000, 7999, 9000, 10_000)]

    assert shares == pytest.approx([1 / 200, 1.0, 1.0, 1.0, 0.5, 0.0])
