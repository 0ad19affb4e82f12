"""The commands that make weights, run one after the other on a tiny database, and the weights used."""

import sys
from pathlib import Path

import pytest

from heartbert.cli import main
from tests.synthetic import write_annotated


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

    limits = ("--min-confidence", "0.9", "--beats-from", "atr", "--lead", "all")
    careful = tmp_path / "careful"
    assert run(monkeypatch, "analyze", tiny_database / "c.hea", "-o", careful, "--bundle", bundle, *limits) == 0
    printed = capsys.readouterr().out
    assert "of Q, below 0.9\t" in printed
    assert ", given" in printed

    found = {path.name for path in results.iterdir()}
    assert found >= {"report.html", "ecg.png", "beats.atr", "beats.hea", "beats.dat", "embeddings.parquet"}
    assert "Research software, not a medical device" in (results / "report.html").read_text()


def test_published_head_can_be_trained_and_used_from_the_command_line(
    tiny_pretrained: Path, tiny_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head of the paper, with as many frozen layers as one likes."""
    (tmp_path / "held-out.txt").write_text("c\n")
    bundle = tmp_path / "bundle"
    train = ("train-heartbeats", tiny_pretrained, tiny_database, "-o", bundle, "--config", "tiny")
    held_out = ("--held-out", tmp_path / "held-out.txt")
    window = ("--head", "window", "--frozen-layers", "2", "--training-epochs", "1", "--beats", "reference")

    assert run(monkeypatch, *train, *held_out, *window) == 0
    assert run(monkeypatch, "analyze", tiny_database / "c.hea", "-o", tmp_path / "results", "--bundle", bundle) == 0

    assert "What the probabilities are worth" in (tmp_path / "results" / "report.html").read_text()


def test_corpus_build_says_which_folder_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong path is the most common mistake."""
    assert run(monkeypatch, "corpus", "build", tmp_path, "-o", tmp_path / "corpus") == 1

    assert "holds no recording" in capsys.readouterr().err


def test_corpus_build_reports_what_it_left_out_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who trains on a corpus must know what is not in it, and an interruption must not cost the work."""
    from heartbert.training import corpus_building

    data = tmp_path / "icentia11k"
    data.mkdir()
    for seed, name in enumerate(("p00000_s00", "p00001_s00", "p00001_s01", "p00002_s00")):
        write_annotated(data, name, seed=seed, duration_s=20.0)
    header = (data / "p00000_s00.hea").read_text()
    (data / "p00000_s01.hea").write_text(header.replace("p00000_s00", "p00000_s01"))  # without samples
    (tmp_path / "excluded.txt").write_text("p00001_s00\n")
    (tmp_path / "held-out.txt").write_text("p00002_s00\np00009\n")
    build = ("corpus", "build", data, "-o", tmp_path / "corpus", "--config", "tiny")
    lists = ("--exclude", tmp_path / "excluded.txt", "--held-out", tmp_path / "held-out.txt")

    with monkeypatch.context() as patched:
        patched.setattr(corpus_building, "train_on_levels", _interrupt)
        assert run(patched, *build, *lists) == 130
    assert "finished shards are kept; run the same command again" in capsys.readouterr().err

    assert run(monkeypatch, *build, *lists) == 0
    printed = capsys.readouterr()
    assert "continuing the build in" in printed.err
    assert "1 of 1 shards are read, 0 encoded" in printed.err
    rows = dict(line.split("\t", 1) for line in printed.out.splitlines())
    slug = "icentia11k-continuous-ecg"
    assert rows[slug] == "2 recordings"
    assert rows["persons"] == "2"
    assert rows["held out"] == f"1: {slug}/p00002_s00"
    assert rows["excluded"] == f"2: {slug}/p00001_s00, {slug}/p00001_s01"
    assert rows["of these not named, but the same person"] == f"1: {slug}/p00001_s01"
    assert rows["names that mean no recording here"] == "1: p00009"
    assert rows["cannot be read"].startswith(f"1: {slug}/p00000_s01 (")
    assert rows["weights may not be shipped"] == f"{slug} (CC BY-NC-SA 4.0)"


def test_strict_corpus_build_refuses_a_name_without_a_recording(
    tiny_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped test record would be trained on."""
    (tmp_path / "excluded.txt").write_text("z\n")
    build = ("corpus", "build", tiny_database, "-o", tmp_path / "corpus", "--config", "tiny", "--strict")

    assert run(monkeypatch, *build, "--exclude", tmp_path / "excluded.txt") == 1

    assert "'z', to be excluded or held out, is no recording" in capsys.readouterr().err


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_pretrain_says_how_to_build_a_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error must say what to do next."""
    assert run(monkeypatch, "pretrain", tmp_path, "-o", tmp_path / "bundle", "--run", tmp_path / "run") == 1

    assert "build it with 'heartbert corpus build'" in capsys.readouterr().err
