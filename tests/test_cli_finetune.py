"""`heartbert finetune` and `heartbert predict`, as they are typed."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from typer.testing import CliRunner

from heartbert.cli.main import app
from tests.labelled import FS, ecg, write_record, write_table

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings")
    rows = []
    for person in range(6):
        write_record(path, f"r{person}", [0.5 if person % 2 else 0.05] * 8, seed=person)
        rows.append((f"r{person}.npz", "high" if person % 2 else "low"))
    write_table(path / "labels.csv", ("record", "label"), rows)
    return path


def test_trained_task_predicts(folder: Path, tiny_pretrained: Path, tmp_path: Path) -> None:
    """Two commands, from a table of labels to a table of predictions; what the scores hide is said."""
    out, table = tmp_path / "bundle", tmp_path / "out.csv"
    options = ["--labels", str(folder / "labels.csv"), "--unit", "record", "--task", "mine", "-o", str(out)]

    trained = RUNNER.invoke(
        app, ["finetune", *options, "--no-subjects", "--bundle", str(tiny_pretrained), "--training-epochs", "3"]
    )
    predicted = RUNNER.invoke(
        app,
        [
            "predict",
            *(str(folder / f"r{n}.npz") for n in (0, 1)),
            "--task",
            "mine",
            "--bundle",
            str(out),
            "-o",
            str(table),
        ],
    )

    assert trained.exit_code == 0, trained.output
    assert "train\t2\t2" in trained.output
    assert "macro_f1\t" in trained.output
    assert "note: each record was taken for another person" in trained.output
    assert len(list((tmp_path / "bundle-embeddings").iterdir())) == 6
    assert predicted.exit_code == 0, predicted.output
    assert "rows\t2" in predicted.output
    assert pd.read_csv(table)["record"].tolist() == [str(folder / "r0.npz"), str(folder / "r1.npz")]


def test_beats_of_an_annotation_file_are_predicted(tiny_pretrained: Path, tmp_path: Path) -> None:
    """As many rows as the file has beats; a validation without a test, and signal that is none, are said."""
    rows = []
    for person in range(4):
        signal, samples = ecg(np.tile([0.05, 0.5], 4), seed=person)
        if person == 0:
            signal[: round(2 * FS)] = 0
        wfdb.wrsamp(
            f"r{person}", fs=FS, units=["mV"], sig_name=["II"], p_signal=signal[:, None].astype(float), fmt=["16"],
            adc_gain=[1000.0], baseline=[0], write_dir=str(tmp_path),
        )  # fmt: skip
        wfdb.wrann(f"r{person}", "atr", samples, ["N"] * samples.size, fs=round(FS), write_dir=str(tmp_path))
        side = "train" if person < 2 else "validation"
        rows += [(f"r{person}", person, number % 2, sample, side) for number, sample in enumerate(samples)]
    labels = write_table(tmp_path / "labels.tsv", ("record", "subject", "label", "sample", "split"), rows)
    out, table = tmp_path / "bundle", tmp_path / "out.parquet"
    options = ["--bundle", str(tiny_pretrained), "--training-epochs", "2", "-o", str(out)]

    trained = RUNNER.invoke(app, ["finetune", "--labels", str(labels), "--unit", "beat", "--task", "t", *options])
    predicted = RUNNER.invoke(
        app,
        ["predict", str(tmp_path / "r1"), "--task", "t", "--bundle", str(out), "--beats-from", "atr", "-o", str(table)],
    )

    assert trained.exit_code == 0, trained.output
    assert "note: no row is on the side 'test'" in trained.output
    assert "units have no signal that can be scored" in trained.output
    assert predicted.exit_code == 0, predicted.output
    assert pd.read_parquet(table)["sample"].tolist() == [row[3] for row in rows if row[1] == 1]


def test_encoder_that_learnt_is_said(folder: Path, tiny_pretrained: Path, tmp_path: Path) -> None:
    """Who had other heads in the bundle must know where they went."""
    options = [
        "--labels",
        str(folder / "labels.csv"),
        "--unit",
        "record",
        "--task",
        "mine",
        "-o",
        str(tmp_path / "out"),
    ]
    tuning = ["--no-subjects", "--bundle", str(tiny_pretrained), "--training-epochs", "1", "--unfreeze", "1"]

    result = RUNNER.invoke(app, ["finetune", *options, *tuning])

    assert result.exit_code == 0, result.output
    assert "note: the encoder has changed" in result.output


def test_unknown_task_is_one_line(folder: Path, tiny_pretrained: Path, tmp_path: Path) -> None:
    """The message names the tasks there are."""
    options = ["--task", "none", "--bundle", str(tiny_pretrained), "-o", str(tmp_path / "out.csv")]

    result = RUNNER.invoke(app, ["predict", str(folder / "r0.npz"), *options])

    assert result.exit_code == 1
    assert "heartbert: error: bundle 'tiny' has no task 'none'; it has none." in result.output


def test_output_of_another_format_is_refused_first(folder: Path, tmp_path: Path) -> None:
    """Not after an hour of predicting."""
    result = RUNNER.invoke(app, ["predict", str(folder / "r0.npz"), "--task", "t", "-o", str(tmp_path / "out.txt")])

    assert result.exit_code == 1
    assert "predictions are written as .csv" in result.output


def test_missing_subjects_are_not_guessed(folder: Path, tmp_path: Path) -> None:
    """The way out is in the message."""
    options = ["--labels", str(folder / "labels.csv"), "--unit", "record", "--task", "t", "-o", str(tmp_path / "out")]

    result = RUNNER.invoke(app, ["finetune", *options])

    assert result.exit_code == 1
    assert "no column 'subject'" in result.output
    assert "--no-subjects" in result.output


def test_example_of_the_page_runs(tiny_pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its recordings, commands and columns are copied by people; only the scores depend on the bundle."""
    page = (Path(__file__).parent.parent / "docs" / "finetune.md").read_text(encoding="utf-8")
    (code,), (console,) = (re.findall(rf"```{kind}\n(.*?)```", page, flags=re.DOTALL) for kind in ("python", "console"))
    finetune, predict = (shlex.split(line)[2:] for line in console.splitlines() if line.startswith("$ heartbert"))
    monkeypatch.chdir(tmp_path)
    exec(code, {})

    trained = RUNNER.invoke(app, [*finetune, "--bundle", str(tiny_pretrained), "--training-epochs", "2"])
    predicted = RUNNER.invoke(app, predict)

    assert trained.exit_code == predicted.exit_code == 0, trained.output + predicted.output
    assert trained.output.splitlines()[:4] == console.splitlines()[1:5]
    assert Path("out.csv").read_text(encoding="utf-8").splitlines()[0] == console.splitlines()[-3]
