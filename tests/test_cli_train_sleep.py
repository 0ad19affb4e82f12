"""`heartbert train-sleep`, and the hypnogram that `heartbert analyze` writes with its bundle."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from heartbert.bundle import load_bundle
from heartbert.cli import main
from heartbert.predictions.sleep_origin import SCORES
from heartbert.training.sleep_config import SleepConfig
from tests.sleeping import cycle_of_stages, night_ecg, notes_of, write_slpdb_record

QUICK = "[sleep]\nlayer = 1\nn_units = 4\nn_embedding_units = 2\nn_training_epochs = 1\nn_networks = 1\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return three nights without waveforms, with the published text of four epochs each."""
    path, names = tmp_path_factory.mktemp("slpdb"), ("slp03", "slp04", "slp14")
    for seed, name in enumerate(names):
        write_slpdb_record(path, name, notes_of(cycle_of_stages(20, seed=seed)), seed=seed, with_signal=False)
    n_texts = 4 * len(names)
    np.savez(
        path / "slp_epochs_33hz_q100.npz",
        levels=np.random.default_rng(0).integers(0, 100, (n_texts, 1000)).astype(np.uint8),
        record=np.repeat(names, 4),
        epoch_index=np.tile([0, 3, 7, 11], len(names)),
        csv_class_set=np.full(n_texts, "5"),
        split=np.full(n_texts, "train"),
        confidence=np.full(n_texts, "sure"),
    )
    return path


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """Return settings of a head that is trained in a moment."""
    (tmp_path / "sleep.toml").write_text(QUICK)
    return tmp_path / "sleep.toml"


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["heartbert", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main.run()
    return int(stopped.value.code or 0)


def test_a_head_is_trained_and_stages_a_recording(
    tiny_bundle: Path,
    folder: Path,
    quick: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From scored nights to a hypnogram of a recording of one's own, by two commands."""
    bundle, work, results = tmp_path / "bundle", tmp_path / "work", tmp_path / "results"

    assert _run(monkeypatch, "train-sleep", tiny_bundle, folder, "-o", bundle, "--config", quick, "--work", work) == 0
    printed = capsys.readouterr().out
    assert "persons\t3\nscored epochs\t60, 12 with tokens\n" in printed
    assert "agreement\tnot measured\n" in printed
    assert load_bundle(bundle).sleep_head.inputs == "both"
    (cache,) = work.iterdir()
    assert cache.name.endswith("-layer1")

    np.save(tmp_path / "nap.npy", night_ecg(cycle_of_stages(21), 100.0))
    analyze = ("analyze", tmp_path / "nap.npy", "--fs", "100", "--unit", "mV", "-o", results, "--bundle", bundle)
    assert _run(monkeypatch, *analyze, "--sleep", "yes", "--sleep-min-confidence", "0.5") == 0

    printed = capsys.readouterr().out
    assert "recorded\t0 h 10 min (21 epochs of 30 s)" in printed
    assert printed.splitlines()[-2].endswith("was not measured.")
    assert {path.name for path in results.iterdir()} >= {"hypnogram.png", "hypnogram.edf", "hypnogram.csv", "beats.st"}
    stored = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    assert stored["sleep"]["n_epochs"] == 21
    assert "sleep" in stored["seconds_by_stage"]

    assert _run(monkeypatch, *analyze) == 0
    assert not (results / "hypnogram.png").exists()


def test_a_result_tells_how_far_a_head_of_beats_can_be_trusted(
    tiny_bundle: Path,
    folder: Path,
    quick: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Measured with the same settings, by `heartbert evaluate sleep`."""
    settings = SleepConfig(layer=1, n_units=4, n_embedding_units=2, n_training_epochs=1, n_networks=1)
    score = {"mean": 0.25, "low": 0.2, "high": 0.3}
    row = {of: dict.fromkeys(SCORES, score) for of in ("stages3", "stages4", "stages5")}
    result = {"beats": {"n_epochs": 9, "n_persons": 3, **row}, "settings": [asdict(settings)], "protocol": "slpdb"}
    (tmp_path / "result.json").write_text(json.dumps(result), encoding="utf-8")
    options = ("--inputs", "beats", "--config", quick, "--result", tmp_path / "result.json")

    assert _run(monkeypatch, "train-sleep", tiny_bundle, folder, "-o", tmp_path / "bundle", *options) == 0

    assert "kappa, stages5\t0.250\n" in capsys.readouterr().out
    agreement = load_bundle(tmp_path / "bundle").sleep_origin.agreement
    assert agreement is not None
    assert agreement.n_persons == 3


def test_embeddings_of_the_usual_layer_are_shared_with_evaluate_sleep(tiny_bundle: Path) -> None:
    """They take an hour; those of another layer must not be mistaken for them."""
    from heartbert.cli.train_sleep import _cache_name

    manifest = load_bundle(tiny_bundle).manifest

    assert _cache_name(manifest, SleepConfig().layer) == f"embeddings-{manifest['sha256']['model.safetensors'][:8]}"
    assert _cache_name(manifest, 1).endswith("-layer1")


def test_asking_for_sleep_without_a_head_is_an_error_in_one_line(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the analysis, with the command that makes one."""
    np.save(tmp_path / "nap.npy", night_ecg(cycle_of_stages(2), 100.0))
    analyze = ("analyze", tmp_path / "nap.npy", "--fs", "100", "--unit", "mV", "-o", tmp_path / "out")

    assert _run(monkeypatch, *analyze, "--bundle", tiny_bundle, "--sleep", "yes") == 1

    assert "has no sleep head; train one with 'heartbert train-sleep'" in capsys.readouterr().err
