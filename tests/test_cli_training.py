"""The commands that make weights, run one after the other on a tiny database, and the weights used."""

import sys
from pathlib import Path

import pytest

from heartbert.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the program with arguments and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["heartbert", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main.run()
    return int(stopped.value.code or 0)


def test_weights_can_be_made_and_used_from_the_command_line(
    tiny_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anyone must be able to make weights of their own: corpus, encoder in two parts, head, and an analysis."""
    (tmp_path / "held-out.txt").write_text("# validation\nc\n")
    (tmp_path / "excluded.txt").write_text("b\n")
    corpus, bundle = tmp_path / "corpus", tmp_path / "bundle"
    held_out = ("--held-out", tmp_path / "held-out.txt", "--config", "tiny")

    assert run(monkeypatch, "corpus", "build", tiny_database, "-o", corpus, *held_out) == 0
    started = ("pretrain", corpus, "-o", bundle, "--run", tmp_path / "run", "--config", "tiny", "--name", "tiny")
    assert run(monkeypatch, *started, "--max-minutes", "0") == 0
    assert "stopped at step 1; run the same command again to continue" in capsys.readouterr().out
    assert not bundle.exists()
    assert run(monkeypatch, *started) == 0
    excluded = ("--exclude", tmp_path / "excluded.txt")
    assert run(monkeypatch, "train-heartbeats", bundle, tiny_database, "-o", bundle, *held_out, *excluded) == 0
    assert "macro_f1\t" in capsys.readouterr().out
    results = tmp_path / "results"
    assert run(monkeypatch, "analyze", tiny_database / "c.hea", "-o", results, "--bundle", bundle) == 0

    found = {path.name for path in results.iterdir()}
    assert found >= {"report.html", "ecg.png", "beats.atr", "beats.hea", "beats.dat", "embeddings.parquet"}
    assert "Research software, not a medical device" in (results / "report.html").read_text()


def test_corpus_build_says_which_folder_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong path is the most common mistake."""
    assert run(monkeypatch, "corpus", "build", tmp_path, "-o", tmp_path / "corpus") == 1

    assert "holds no recording" in capsys.readouterr().err


def test_pretrain_says_how_to_build_a_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error must say what to do next."""
    assert run(monkeypatch, "pretrain", tmp_path, "-o", tmp_path / "bundle", "--run", tmp_path / "run") == 1

    assert "build it with 'heartbert corpus build'" in capsys.readouterr().err
