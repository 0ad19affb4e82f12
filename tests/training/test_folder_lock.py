"""Two writers of one corpus or run would remove each other's work: the second is refused, a killed one not minded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from heartbert.errors import ConfigError
from heartbert.training.config import read_config
from heartbert.training.corpus_building import build_corpus
from heartbert.training.corpus_planning import plan_corpus
from heartbert.training.folder_lock import writing_alone
from heartbert.training.pretraining import Pretraining

HOLDER = """
import sys; from pathlib import Path; from heartbert.training.folder_lock import writing_alone
with writing_alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Start a process that holds the lock on a corpus until its input is closed."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "corpus")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_build_is_refused_and_told_who_builds(holder, tiny_database: Path, tmp_path: Path) -> None:
    """The one that ends first would remove the working folder of the other."""
    with pytest.raises(ConfigError, match=rf"being written by process {holder.pid} on .*; one process at a time"):
        build_corpus(plan_corpus([tiny_database]), tmp_path / "corpus", read_config("tiny"))

    assert not (tmp_path / "corpus").exists()


def test_a_second_training_in_one_folder_is_refused(holder, tiny_corpus: Path, tmp_path: Path) -> None:
    """Each would remove the other's checkpoints and cut its log."""
    run = Pretraining(tiny_corpus, tmp_path / "corpus", read_config("tiny"))

    with pytest.raises(ConfigError, match=rf"is being written by process {holder.pid}"):
        run.run()

    assert not (tmp_path / "corpus").exists()


def test_another_corpus_in_the_same_folder_can_be_built(holder, tmp_path: Path) -> None:
    """The lock is on one corpus, not on the folder around it."""
    with writing_alone(tmp_path / "other"):
        assert (tmp_path / ".other.lock").is_file()


def test_a_killed_build_leaves_no_lock(holder, tmp_path: Path) -> None:
    """A file that has to be removed by hand after every kill is soon removed while a build runs."""
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".corpus.lock").is_file()

    with writing_alone(tmp_path / "corpus"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_lock_ends_with_an_error_too(tmp_path: Path) -> None:
    """Whoever corrects a mistake and starts again must not be refused."""
    for _ in range(2):
        with pytest.raises(KeyError), writing_alone(tmp_path / "new" / "corpus"):
            raise KeyError

    assert list((tmp_path / "new").iterdir()) == []


def test_lock_on_a_file_that_its_holder_has_just_removed_is_taken_anew(tmp_path: Path, monkeypatch) -> None:
    """Between opening the file and locking it the holder may leave: the lock would be on nothing."""
    path, opened = tmp_path / ".corpus.lock", []
    real_open = os.open

    def open_and_remove(*arguments: object) -> int:
        descriptor = real_open(*arguments)
        opened.append(descriptor)
        if len(opened) == 1:
            path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", open_and_remove)
    with writing_alone(tmp_path / "corpus"):
        held = path.read_text()

    assert len(opened) == 2
    assert held.startswith(f"process {os.getpid()} on ")
