"""`heartbert evaluate diagnosis`, by the function that the command line calls."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from heartbert.cli.diagnosis import _folds, evaluate_diagnosis
from tests.diagnosing import write_ptb_xl

app = typer.Typer()
app.command()(evaluate_diagnosis)


def test_diagnosis_is_scored_in_one_command(tiny_pretrained: Path, tmp_path: Path) -> None:
    """One command prints the rows, the best other, how much data there was, and writes the file."""
    folder = write_ptb_xl(tmp_path / "ptb-xl", folds=(1, 3, 8, 9), n_in_fold=2)
    given = [folder, "-o", tmp_path / "result.json", "--work", tmp_path / "work", "--bundle", tiny_pretrained]

    ran = CliRunner().invoke(app, [*map(str, given), "--seeds", "1", "--training-epochs", "1", "--folds", "1-3"])

    assert ran.exit_code == 0, ran.output
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["data"]["sides"]["training"]["folds"] == [1, 3]
    assert f"macro-AUROC\tmacro-F1\tAUROC {result['labels_scored'][0]}" in ran.output
    assert "CNN on the raw signals\t" in ran.output
    assert "than the best other row, " in ran.output
    assert "8 of 21799 published recordings, amplitudes in mV" in ran.output


def test_leaks_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """What the encoder saw belongs beside the score."""
    from heartbert.cli.diagnosis import _print_result

    estimate = {"mean": 0.5, "low": 0.4, "high": 0.6}
    row = {"macro_auroc": estimate, "macro_f1": estimate, "auroc": {"MI": estimate}}
    data = {"n_records": 1, "n_published": 2, "amplitude": "mV"}
    _print_result(
        {
            "rows": {"ours": row}, "labels_scored": ["MI"], "best_other": "other", "data": data,
            "differences": {"other": {"mean": 0.1, "low": 0.05, "high": 0.2}}, "leaks": ["seen"],
        }
    )  # fmt: skip

    printed = capsys.readouterr().out
    assert "allowed leak: seen" in printed
    assert "\nbetter than the best other row, other: macro-AUROC 0.100 [0.050, 0.200]" in printed


def test_folds_are_read_as_people_write_them() -> None:
    """Ranges and lists, in any order."""
    assert _folds("1-3") == (1, 2, 3)
    assert _folds("7,1-2") == (1, 2, 7)
    assert _folds(None) is None


@pytest.mark.parametrize("text", ["", "a", "1-", "1;2"])
def test_folds_that_are_none_are_refused(text: str) -> None:
    """A typing error must not train on something else."""
    with pytest.raises(typer.BadParameter, match="names no folds; write them as 1-3 or 1,4"):
        _folds(text)
