"""The commands that test claims, on generated recordings, and the tables written from their results."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from heartbert.cli.efficiency import label_efficiency, numbers, parameter_efficiency, rivals
from heartbert.cli.main import app as whole_app
from heartbert.errors import ConfigError
from heartbert.protocols import beat_rows, ds1_ds2, sleep_rows
from heartbert.protocols import parameter_efficiency as protocol
from heartbert.protocols.footprint import measure_footprint
from tests.claiming import write_nights
from tests.synthetic import write_annotated

DS1, VALIDATION = ("101", "106", "114"), ("114",)
QUICK = ("--seeds", 1, "--training-epochs", 1)
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def mitdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small mitdb without any record of DS2, which the protocol then takes for all of DS1."""
    monkeypatch.setattr(beat_rows, "_BOOSTING_ROUNDS", 2)
    monkeypatch.setattr(ds1_ds2, "MITDB_DS1", DS1)
    monkeypatch.setattr(ds1_ds2, "MITDB_DS1_VALIDATION", VALIDATION)
    (tmp_path / "mitdb").mkdir()
    for seed, name in enumerate(DS1):
        write_annotated(tmp_path / "mitdb", name, seed=seed, duration_s=20.0)
    return tmp_path / "mitdb"


@pytest.fixture
def slpdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sleep_rows, "_BOOSTING_STEPS", 2)
    (tmp_path / "slpdb").mkdir()
    return write_nights(tmp_path / "slpdb", ("slp03", "slp04"))


@pytest.fixture
def run(tmp_path: Path, tiny_pretrained: Path) -> Callable[..., str]:
    """Return a function that runs a command with the tiny bundle and returns what it prints."""

    def call(command: Callable[..., None], *arguments: object) -> str:
        app = typer.Typer()
        app.command()(command)
        options = ("--bundle", tiny_pretrained, "--work", tmp_path / "work", "-o", tmp_path / "out.json", *QUICK)
        ran = CliRunner().invoke(app, [str(one) for one in (*arguments, *options)], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        return ran.output

    return call


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Return the module that writes the tables."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("claims_tables")
    sys.modules.pop("claims_tables", None)


def test_curve_of_heartbeats_is_printed_stored_and_drawn(
    run: Callable[..., str], mitdb: Path, tmp_path: Path, tables: ModuleType
) -> None:
    """One command gives the curve, what follows, the plot, and a result that the tables can show."""
    axis = ("--fractions", "0.5,1", "--axes", "subjects")
    output = run(label_efficiency, "heartbeats", mitdb, *axis, "--without", "BiLSTM on the raw signal")

    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (result["task"], result["side"]) == ("heartbeats", "validation")
    assert result["claims"]["subjects"]["sentence"] in output
    assert "50%: class F is missing in 1 of 1 draws" in output
    assert "share of subjects\t50%\t100%" in output
    assert "CNN on the raw signal" in output
    assert "BiLSTM on the raw signal" not in output
    assert (tmp_path / "out.svg").read_text(encoding="utf-8").startswith("<?xml")
    table = tables.label_efficiency_table(result, "Commit x.")
    assert "| macro-F1, share of the training subjects | 50% (1) | 100% (2) |" in table
    assert table.endswith("Commit x.")


def test_curve_of_sleep_is_printed(run: Callable[..., str], slpdb: Path, tmp_path: Path) -> None:
    """Sleep is one word away."""
    output = run(label_efficiency, "sleep", slpdb, "--fractions", "1", "--axes", "labels", "--folds", 2)

    assert "share of labels\t100%" in output
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["score"] == "kappa of 3 stages"


def test_costs_are_printed_stored_and_drawn(
    run: Callable[..., str], mitdb: Path, tmp_path: Path, tables: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs and scores stand in one table."""
    monkeypatch.setitem(protocol.measure_parameter_efficiency.__kwdefaults__, "measure", measure_footprint)

    output = run(parameter_efficiency, "heartbeats", mitdb, "--heads", "4", "--footprint-seconds", 10)

    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [row["kind"] for row in result["rows"]] == ["no encoder", "frozen encoder"]
    assert "frozen encoder\t4 units\ttiny 0.0.1" in output
    assert (tmp_path / "out.svg").is_file()
    table = tables.parameter_efficiency_table(result, "Commit x.")
    assert "| frozen encoder, 4 units | tiny 0.0.1 |" in table
    assert "Cost of one lead of 10 s" in table


def test_costs_of_sleep_are_printed(run: Callable[..., str], slpdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head of nights has sizes, too."""
    monkeypatch.setitem(protocol.measure_parameter_efficiency.__kwdefaults__, "measure", measure_footprint)

    output = run(parameter_efficiency, "sleep", slpdb, "--heads", "2", "--folds", 2)

    assert "no encoder\t2 units" in output


def test_encoders_are_compared_on_one_page(
    run: Callable[..., str], mitdb: Path, tmp_path: Path, tables: ModuleType, tiny_pretrained: Path
) -> None:
    """Two bundles of one name are told apart; page and numbers lie side by side."""
    output = run(rivals, "heartbeats", mitdb, "--bundle", tiny_pretrained, "--beats", "detected")

    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {"tiny 0.0.1, 1", "tiny 0.0.1, 2", "CNN on the raw signal"} <= {row["name"] for row in result["rows"]}
    assert result["sentence"] in output
    assert "</html>" in (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "| tiny 0.0.1, 1 |" in tables.rivals_table(result, "Commit x.")


def test_nights_are_compared_on_one_page(run: Callable[..., str], slpdb: Path, tmp_path: Path) -> None:
    """The same for sleep."""
    run(rivals, "sleep", slpdb, "--folds", 2)

    assert "kappa of 3 stages" in (tmp_path / "out.html").read_text(encoding="utf-8")


def test_a_missing_encoder_is_one_line(tmp_path: Path) -> None:
    """The commands are registered, and say what to run."""
    ran = CliRunner().invoke(
        whole_app,
        ["rivals", "heartbeats", str(tmp_path), "--work", str(tmp_path), "-o", str(tmp_path / "a.json"),
         "--encoder", f"moment={tmp_path}"],
    )  # fmt: skip

    assert ran.exit_code == 1
    assert "config.json is missing. Fetch it with: hf download AutonLab/MOMENT-1-small" in ran.output


@pytest.mark.parametrize("command", ["label-efficiency", "parameter-efficiency", "rivals"])
def test_commands_are_registered(command: str) -> None:
    """A command that nobody can call does not exist."""
    assert CliRunner().invoke(whole_app, [command, "--help"]).exit_code == 0


def test_lists_of_numbers_are_read() -> None:
    """Nothing is an empty list, and no number an error that shows what was given."""
    assert numbers("0.1, 1", float) == (0.1, 1.0)
    assert numbers("", int) == ()
    with pytest.raises(ConfigError, match=r"'1,x' is no list of numbers .*; write them as 1,2,3"):
        numbers("1,x", int)
