"""The command that compares a bundle with every baseline, on generated recordings."""

import csv
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from heartbert.cli.evaluate import evaluate_heartbeats
from heartbert.protocols import beat_rows, ds1_ds2, heartbeats
from tests.synthetic import write_annotated

DS1, VALIDATION = ("101", "106", "108", "109", "112", "114", "118"), ("114", "118")

app = typer.Typer()
app.command()(evaluate_heartbeats)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small mitdb without any record of DS2, which the protocols then take for all of DS1."""
    monkeypatch.setattr(beat_rows, "_BOOSTING_ROUNDS", 2)
    for module in (ds1_ds2, heartbeats):
        monkeypatch.setattr(module, "MITDB_DS1", DS1)
    monkeypatch.setattr(ds1_ds2, "MITDB_DS1_VALIDATION", VALIDATION)
    (tmp_path / "mitdb").mkdir()
    for seed, name in enumerate(DS1):
        write_annotated(tmp_path / "mitdb", name, seed=seed, duration_s=20.0)
    return tmp_path / "mitdb"


def run(*arguments: object) -> str:
    """Run the command and return what it prints."""
    ran = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_validation_side_is_scored_in_one_command(folder: Path, tiny_pretrained: Path, tmp_path: Path) -> None:
    """One command gives scores, rows, files and what leaked, and needs no record of DS2."""
    quick = ("--seeds", 1, "--training-epochs", 1, "--beats", "detected")
    bundles = ("--bundle", tiny_pretrained, "--compare", tiny_pretrained)

    output = run(folder, "-o", tmp_path / "out", *bundles, "--sides", "validation", *quick)

    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["protocol"], result["side"]) == ("ds1-ds2", "validation")
    assert "CNN on the raw signal" in output
    assert "RR + tiny 0.0.1, same head" in output
    assert "than the best baseline" in output
    assert "allowed leak: the training epoch was chosen on 2 test persons" in output
    rows = list(csv.DictReader((tmp_path / "out" / "records.csv").read_text().splitlines()))
    assert {row["record"] for row in rows} == set(VALIDATION)
    assert (tmp_path / "out" / "scores.png").stat().st_size > 0


def test_paper_protocol_prints_what_its_leak_was_worth(folder: Path, tiny_pretrained: Path, tmp_path: Path) -> None:
    """The published number is shown with what it is worth."""
    quick = ("--seeds", 1, "--training-epochs", 1)

    output = run(folder, "-o", tmp_path / "out", "--bundle", tiny_pretrained, "--protocol", "paper", *quick)

    assert "the leakage guard refuses this split:" in output
    assert "the random split adds to the macro-F1 of heartbert:" in output
