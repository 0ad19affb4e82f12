"""`heartbert evaluate sleep`, by the functions that the command line calls."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from heartbert.cli.sleep import evaluate_sleep
from heartbert.errors import ConfigError
from tests.sleeping import cycle_of_stages, notes_of, write_slpdb_record

RUNNER = CliRunner()
QUICK = ["--folds", "2", "--seeds", "1", "--training-epochs", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slpdb")
    for number, name in enumerate(("slp03", "slp04", "slp14", "slp16")):
        write_slpdb_record(path, name, notes_of(cycle_of_stages(20, seed=number)), seed=number, with_signal=False)
    return path


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(evaluate_sleep)
    return app


def test_beats_alone_are_scored_and_written(folder: Path, tmp_path: Path) -> None:
    """Without an encoder the table has the rows of beats."""
    result = RUNNER.invoke(_app(), [str(folder), "-o", str(tmp_path), "--beats-only", *QUICK])

    assert result.exit_code == 0, result.output
    assert "majority class\tstages3\t" in result.output
    assert "beats\tstages5\t" in result.output
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["protocol"] == "slpdb"


def test_protocol_paper_needs_tokens(folder: Path, tmp_path: Path) -> None:
    """The two options contradict each other."""
    options = [str(folder), "-o", str(tmp_path), "--beats-only", "--protocol", "paper"]

    result = RUNNER.invoke(_app(), options)

    assert isinstance(result.exception, ConfigError)
    assert "about tokens" in str(result.exception)


def test_protocol_paper_prints_both_splits(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the leak is worth is read from two neighbouring rows."""
    score = {"mean": 0.5, "low": 0.4, "high": 0.6}
    split = {of: dict.fromkeys(("accuracy", "kappa", "macro_f1"), score) for of in ("stages3", "stages5")}
    found = {"paper_split": split, "person_split": split}
    monkeypatch.setattr("heartbert.protocols.sleep_data.read_sleep_database", lambda *_, **__: None)
    monkeypatch.setattr("heartbert.protocols.sleep_paper.evaluate_paper", lambda *_, **__: found)

    result = RUNNER.invoke(_app(), [str(folder), "-o", str(tmp_path), "--protocol", "paper"])

    assert result.exit_code == 0, result.output
    assert "paper_split\tstages3\t0.500 [0.400, 0.600]" in result.output
    assert "person_split\tstages5" in result.output
