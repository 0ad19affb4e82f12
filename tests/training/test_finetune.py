"""A task of one's own is learnt on held-out persons, saved, and predicted as it was scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModel

from heartbert.bundle import load_bundle, save_bundle
from heartbert.embeddings.encoder import quiet_transformers
from heartbert.errors import BundleError, ConfigError, LeakageError, RecordFormatError
from heartbert.predictions.tasks import TaskPredictions, predict_task
from heartbert.records import read_record
from heartbert.training.finetune import TaskSettings, TrainedTask, bundle_with_task, train_task
from heartbert.training.label_tables import LabelTable, read_label_table
from heartbert.training.lead_attention import LeadAttentionConfig
from tests.labelled import FS, write_record, write_table

N_PERSONS, DURATION_S = 10, 12
QUICK = LeadAttentionConfig(n_units=8, n_training_epochs=30, learning_rate=1e-2, dropout=0.1, batch_size=16)
SETTINGS = TaskSettings("mine", network=QUICK)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two recordings each of ten persons; every second person has high T waves, and beats alternate."""
    path = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for person in range(N_PERSONS):
        base = 0.5 if person % 2 else 0.05
        for number in range(2):
            heights = base + rng.normal(0, 0.02, DURATION_S)
            write_record(path, f"p{person}_{number}", heights, seed=2 * person + number, n_leads=2)
        halves = np.repeat([0.05, 0.5], DURATION_S)
        write_record(path, f"h{person}", halves, seed=100 + person)
        beats = write_record(path, f"b{person}", np.tile([0.05, 0.5], DURATION_S), seed=200 + person)
        np.save(path / f"b{person}-beats.npy", beats)
        write_record(path, f"n{person}", np.repeat([0.05, 0.5], 30), seed=300 + person)
    return path


def _records(value: Any) -> list[tuple[str, str, Any]]:
    return [(f"p{p}_{n}.npz", f"p{p}", value(p)) for p in range(N_PERSONS) for n in range(2)]


def _table(folder: Path, rows: Any, *columns: str, **options: Any) -> LabelTable:
    path = write_table(folder / "labels.csv", ("record", "subject", "label", *columns), rows)
    return read_label_table(path, **({"unit": "record"} | options))


def _predict(folder: Path, bundle_folder: Path, name: str, **options: Any) -> TaskPredictions:
    bundle = load_bundle(bundle_folder)
    parts = bundle.preprocessing, bundle.token_reader
    return predict_task(bundle.task("mine"), parts, read_record(folder / name), **options)


@pytest.fixture(scope="module")
def told_apart(
    folder: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LabelTable, TrainedTask, Path]:
    """Return a table of recordings, what was trained on it, and the bundle that was written."""
    table = _table(folder, _records(lambda person: "high" if person % 2 else "low"))
    out = tmp_path_factory.mktemp("bundles") / "out"
    return table, bundle_with_task(tiny_bundle, table, out, SETTINGS), out


def test_recordings_are_told_apart_and_predicted_as_scored(
    folder: Path, told_apart: tuple[LabelTable, TrainedTask, Path]
) -> None:
    """The saved bundle gives the numbers that the scores were made of, and keeps what it had."""
    table, trained, out = told_apart

    assert trained.scored_on == "test"
    assert trained.scores["accuracy"].mean > 0.9 > trained.baseline["accuracy"].mean
    assert trained.head.reads.leads == ("ii", "i")
    assert trained.head.temperature >= 1.0
    row = int(trained.sides["test"][0])
    predictions = _predict(folder, out, table.paths[row].name)
    assert predictions.values[0] == pytest.approx(trained.values[row], abs=1e-3)
    assert predictions.labels[0] == table.classes[int(table.targets[row])]
    assert predictions.stop_s[0] == pytest.approx(DURATION_S)
    bundle = load_bundle(out)
    assert bundle.heartbeats is not None
    assert bundle.manifest["tasks"]["mine"]["n_persons"] == {"train": 6, "validation": 2, "test": 2}
    assert "task-mine.safetensors" in bundle.manifest["sha256"]
    with quiet_transformers():
        assert AutoModel.from_pretrained(out).config.hidden_size == 32


def test_numbers_are_predicted(folder: Path, tiny_pretrained: Path) -> None:
    """Better than the mean of the training persons."""
    table = _table(folder, _records(lambda person: 60 if person % 2 else 20), kind="number")

    trained = train_task(load_bundle(tiny_pretrained), table, SETTINGS)

    assert trained.scores["mae"].mean < 0.5 * trained.baseline["mae"].mean
    assert trained.head.temperature == 1.0


def test_labels_side_by_side_are_predicted(folder: Path, tiny_pretrained: Path) -> None:
    """One label follows the signal, the other every person's number."""
    rows = _records(lambda person: ";".join(["high"] * (person % 2) + ["other"] * (person % 3 == 0)))
    table = _table(folder, rows, kind="multi")

    trained = train_task(load_bundle(tiny_pretrained), table, SETTINGS)

    assert trained.scores["auroc high"].mean > 0.9
    assert trained.values.shape == (len(table), 2)


def _windows() -> list[tuple[Any, ...]]:
    return [
        (f"h{p}.npz", f"p{p}", "high" if half else "low", half * 12 + 1, half * 12 + 11)
        for p in range(N_PERSONS)
        for half in range(2)
    ]


def test_windows_are_told_apart_and_predicted_by_their_duration(
    folder: Path, tiny_pretrained: Path, tmp_path: Path
) -> None:
    """A recording is cut into windows as long as those of the table, or as asked."""
    table = _table(folder, _windows(), "start_s", "stop_s", unit="window")

    trained = bundle_with_task(tiny_pretrained, table, tmp_path / "out", SETTINGS)

    assert trained.scores["accuracy"].mean > 0.9
    assert trained.head.reads.window_s == 10.0
    assert _predict(folder, tmp_path / "out", "h0.npz").labels == ("low", "high")
    assert _predict(folder, tmp_path / "out", "h0.npz", window_s=6.0).stop_s.tolist() == [6, 12, 18, 24]


def test_epochs_are_told_apart(folder: Path, tiny_pretrained: Path) -> None:
    """Half a minute each, by their number."""
    rows = [(f"n{p}.npz", f"p{p}", "high" if half else "low", half) for p in range(N_PERSONS) for half in range(2)]
    table = _table(folder, rows, "epoch", unit="epoch")

    trained = train_task(load_bundle(tiny_pretrained), table, SETTINGS)

    assert trained.scores["accuracy"].mean > 0.9


def _beats(folder: Path) -> list[tuple[Any, ...]]:
    return [
        (f"b{p}.npz", f"p{p}", "high" if number % 2 else "low", sample)
        for p in range(N_PERSONS)
        for number, sample in enumerate(np.load(folder / f"b{p}-beats.npy").tolist())
    ]


def test_beats_are_told_apart_and_predicted_where_given_or_detected(
    folder: Path, tiny_pretrained: Path, tmp_path: Path
) -> None:
    """Every second beat has a high T wave."""
    table = _table(folder, _beats(folder), "sample", unit="beat")

    trained = bundle_with_task(tiny_pretrained, table, tmp_path / "out", SETTINGS)

    assert trained.scores["accuracy"].mean > 0.8
    rows = [row for row in range(len(table)) if table.paths[row].name == "b0.npz"]
    given = _predict(folder, tmp_path / "out", "b0.npz", r_peaks=table.samples[rows])
    assert given.values == pytest.approx(trained.values[rows], abs=1e-2)
    assert given.samples is not None
    assert given.samples.tolist() == table.samples[rows].tolist()
    detected = _predict(folder, tmp_path / "out", "b0.npz")
    assert detected.samples is not None
    assert np.abs(detected.samples[:, None] - table.samples[rows]).min(axis=1).max() < 0.05 * FS


def test_second_training_reads_what_the_first_embedded(
    folder: Path, tiny_pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another head must not cost another pass of the encoder; a damaged file is made again."""
    table = _table(folder, _windows(), "start_s", "stop_s", unit="window")
    bundle = load_bundle(tiny_pretrained)
    first = train_task(bundle, table, SETTINGS, cache=tmp_path / "kept")
    kept = sorted((tmp_path / "kept").iterdir())
    kept[0].write_bytes(b"damaged")
    calls = []
    from heartbert.training import finetune_units

    embed = finetune_units.embed_lead_units
    monkeypatch.setattr(finetune_units, "embed_lead_units", lambda *given: calls.append(1) or embed(*given))

    second = train_task(bundle, table, SETTINGS, cache=tmp_path / "kept")

    assert len(kept) == N_PERSONS
    assert calls == [1]
    assert second.values == pytest.approx(first.values, abs=1e-3)


def test_split_of_the_table_is_kept_and_a_missing_test_is_said(folder: Path, tiny_pretrained: Path) -> None:
    """Scores on the persons that stopped the training flatter."""
    rows = [(*row, "validation" if row[1] in {"p0", "p1"} else "train") for row in _records(lambda p: str(p % 2))]

    trained = train_task(load_bundle(tiny_pretrained), _table(folder, rows, "split"), SETTINGS)

    assert trained.scored_on == "validation"
    assert trained.told["n_units"] == {"train": 16, "validation": 4}


def test_one_lead_is_read_where_the_table_or_the_caller_names_it(folder: Path, tiny_pretrained: Path) -> None:
    """Then the name of the lead is not part of the task."""
    bundle, rows = load_bundle(tiny_pretrained), _records(lambda person: str(person % 2))

    named = train_task(bundle, _table(folder, [(*row, "I") for row in rows], "lead"), SETTINGS)
    chosen = train_task(bundle, _table(folder, rows), TaskSettings("mine", leads="one", lead="I", network=QUICK))

    assert named.head.reads.leads == chosen.head.reads.leads == ()
    assert named.values == pytest.approx(chosen.values, abs=1e-4)


def test_leaking_split_is_refused(folder: Path, tiny_pretrained: Path) -> None:
    """Two recordings of each person, one on each side."""
    rows = [(*row, "train" if row[0].endswith("_0.npz") else "validation") for row in _records(lambda p: str(p % 2))]

    with pytest.raises(LeakageError, match="10 persons in training and test"):
        train_task(load_bundle(tiny_pretrained), _table(folder, rows, "split"), SETTINGS)


def test_label_outside_its_recording_is_refused(folder: Path, tiny_pretrained: Path) -> None:
    """The row is named."""
    rows = [*_windows(), ("h0.npz", "p0", "low", 20, 30)]
    table = _table(folder, rows, "start_s", "stop_s", unit="window")

    with pytest.raises(ConfigError, match=r"record 'h0' lasts 24.00 s; its label from 20 to 30 s \(row 22"):
        train_task(load_bundle(tiny_pretrained), table, SETTINGS)


def test_beat_outside_its_recording_is_refused(folder: Path, tiny_pretrained: Path) -> None:
    """A sample of another sampling frequency is the usual reason."""
    table = _table(folder, [*_beats(folder), ("b0.npz", "p0", "low", 90_000)], "sample", unit="beat")

    with pytest.raises(ConfigError, match=r"the beats of record 'b0' in the table: beat .* is at sample 90000"):
        train_task(load_bundle(tiny_pretrained), table, SETTINGS)


def test_file_that_is_no_recording_is_refused(folder: Path, tiny_pretrained: Path) -> None:
    """Before anything is embedded."""
    (folder / "p0_0.txt").write_text("nothing", encoding="ascii")
    rows = [("p0_0.txt", "p0", "0"), *_records(lambda person: str(person % 2))]

    with pytest.raises(RecordFormatError, match=r"p0_0\.txt"):
        train_task(load_bundle(tiny_pretrained), _table(folder, rows), SETTINGS)


@pytest.mark.parametrize(
    ("options", "unit", "said"),
    [
        ({"leads": "all"}, "beat", "a beat's sample belongs to one lead"),
        ({"layer": 9}, "record", "layer is 9; the encoder has layers 0"),
    ],
)
def test_settings_that_contradict_the_table_are_refused(
    folder: Path, tiny_pretrained: Path, options: dict[str, Any], unit: str, said: str
) -> None:
    """Before anything is embedded."""
    rows = _beats(folder) if unit == "beat" else _records(lambda person: str(person % 2))
    table = _table(folder, rows, *(["sample"] if unit == "beat" else []), unit=unit)

    with pytest.raises(ConfigError, match=said):
        train_task(load_bundle(tiny_pretrained), table, TaskSettings("mine", **options))


def test_all_leads_of_a_table_that_names_one_are_refused(folder: Path, tiny_pretrained: Path) -> None:
    """One of the two is not meant."""
    table = _table(folder, [(*row, "I") for row in _records(lambda person: str(person % 2))], "lead")

    with pytest.raises(ConfigError, match="the table names a lead"):
        train_task(load_bundle(tiny_pretrained), table, TaskSettings("mine", leads="all"))
    with pytest.raises(ConfigError, match="and lead 'I' alone"):
        TaskSettings("mine", leads="all", lead="I")


def test_task_of_another_encoder_is_refused(told_apart: tuple[LabelTable, TrainedTask, Path], tmp_path: Path) -> None:
    """Its numbers would mean nothing."""
    import torch

    bundle = load_bundle(told_apart[2])
    with torch.no_grad():
        next(bundle.model.base_model.parameters()).add_(1.0)
    save_bundle(bundle, tmp_path / "changed", card="")

    with pytest.raises(BundleError, match="task 'mine' of bundle 'tiny' was trained on another encoder"):
        load_bundle(tmp_path / "changed").task("mine")
    with pytest.raises(BundleError, match="has no task 'none'; it has 'mine'"):
        bundle.task("none")


def test_options_of_another_unit_are_refused(folder: Path, told_apart: tuple[LabelTable, TrainedTask, Path]) -> None:
    """They would have no effect."""
    with pytest.raises(ConfigError, match="beats were given to a task whose unit is 'record'"):
        _predict(folder, told_apart[2], "p0_0.npz", r_peaks=np.array([5]))
    with pytest.raises(ConfigError, match="windows of 5 s were asked of a task whose unit is 'record'"):
        _predict(folder, told_apart[2], "p0_0.npz", window_s=5.0)
