"""Diagnosis on a generated PTB-XL: every row, its sides, what is kept, and what is refused."""

import json
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heartbert.bundle import load_bundle
from heartbert.databases.labelling import SUPERCLASSES
from heartbert.errors import ConfigError, LeakageError
from heartbert.predictions.pooled_leads import LeadPooler
from heartbert.protocols import diagnosis, diagnosis_inputs, diagnosis_networks
from heartbert.protocols.diagnosis import DiagnosisProtocol, evaluate_diagnosis
from heartbert.protocols.diagnosis_data import (
    LEADS,
    amplitude_of,
    read_diagnosis_database,
    split_folds,
    targets_of,
    twelve_leads,
)
from heartbert.protocols.diagnosis_features import LEAD_NAMES, RR_NAMES, describe_recording, n_features
from heartbert.protocols.diagnosis_inputs import InputSettings, InputStore, default_layer
from heartbert.protocols.diagnosis_networks import CnnTraining, LeadsCnn, train_cnn
from heartbert.protocols.diagnosis_rows import OURS, PREVALENCE, ROWS, RowSettings, train_boosting
from heartbert.records import read_record
from tests.diagnosing import write_ptb_xl
from tests.synthetic import synthetic_ecg

FOLDS = (1, 2, 8, 9, 10)
QUICK = replace(RowSettings().with_epochs(2), n_boosting_rounds=3)


@dataclass(frozen=True)
class Table:
    """A finished table: where it was made from and how, and what it says."""

    folder: Path
    protocol: DiagnosisProtocol
    result: dict[str, Any]


@pytest.fixture(scope="module")
def table(tiny_pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Return the table of a generated PTB-XL with 30 recordings in five folds, made in seconds."""
    folder = write_ptb_xl(tmp_path_factory.mktemp("data") / "ptb-xl", folds=FOLDS)
    work = tmp_path_factory.mktemp("work")
    protocol = DiagnosisProtocol(work, tiny_pretrained, training=(1, 2), n_seeds=2, rows=QUICK)
    return Table(folder, protocol, evaluate_diagnosis(folder, protocol))


@pytest.fixture
def folder(table: Table) -> Path:
    """Return the folder of the generated recordings."""
    return table.folder


@pytest.fixture
def protocol(table: Table, tmp_path: Path) -> DiagnosisProtocol:
    """Return the settings of the table with a work folder of its own, empty."""
    return replace(table.protocol, work=tmp_path / "work", n_seeds=1)


def test_table_has_every_row_and_says_how_much_of_the_database_was_used(table: Table) -> None:
    """One command, one file with all that a reader asks."""
    result = table.result

    json.dumps(result, allow_nan=False)
    assert list(result["rows"]) == list(ROWS)
    assert result["macro_auroc"] == result["rows"][OURS]["macro_auroc"]
    assert result["rows"][PREVALENCE]["macro_auroc"] == {"mean": 0.5, "low": 0.5, "high": 0.5}
    assert [row["n_seeds"] for row in result["rows"].values()] == [1, 2, 2, 2, 2]
    assert all(set(row["auroc"]) == set(SUPERCLASSES) for row in result["rows"].values())
    data = result["data"]
    assert (data["n_records"], data["n_published"], data["amplitude"]) == (30, 21_799, "mV")
    assert data["n_without_superclass_or_fold"] == data["n_persons_not_named"] == 0
    assert [side["folds"] for side in data["sides"].values()] == [[1, 2], [8], [9]]
    assert (data["sides"]["scored"]["n_records"], data["sides"]["scored"]["n_persons"]) == (6, 5)
    assert result["settings"]["layer"] == 1
    assert result["leaks"] == []


def test_validation_leaves_the_test_fold_closed(protocol: DiagnosisProtocol, tmp_path: Path) -> None:
    """Settings are chosen by it a hundred times; the test fold is for once."""
    folder = write_ptb_xl(tmp_path / "ptb-xl", folds=FOLDS, n_in_fold=2)
    for number in (9, 10):
        (folder / "records100" / f"{number:05d}_lr.hea").write_text("damaged")

    evaluate_diagnosis(folder, protocol)

    kept = {path.stem for path in protocol.work.rglob("*_lr.npy")}
    assert kept == {f"{number:05d}_lr" for number in range(1, 9)}


def test_test_side_chooses_by_the_ninth_fold(table: Table, tmp_path: Path) -> None:
    """The published use of the folds; embeddings of the other side are used again."""
    work = shutil.copytree(table.protocol.work, tmp_path / "work")

    result = evaluate_diagnosis(
        table.folder, replace(table.protocol, side="test", n_seeds=1, training=(1, 8), work=work)
    )

    assert [side["folds"] for side in result["data"]["sides"].values()] == [[1, 8], [9], [10]]


def test_second_run_continues_with_what_is_kept(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours are not spent twice."""
    monkeypatch.setattr(diagnosis_inputs, "_compute", None)

    assert evaluate_diagnosis(table.folder, table.protocol) == table.result


def test_interrupted_inputs_continue(folder: Path, protocol: DiagnosisProtocol) -> None:
    """Each group of recordings is kept as soon as it is done."""
    records = read_diagnosis_database(folder).records[:8]
    store = InputStore(protocol.work, InputSettings(protocol.bundle, 1), "mV")

    def interrupt(stage: str, fraction: float) -> None:
        if fraction >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.read("encoder", records, progress=interrupt)

    kept = list((protocol.work / store.key("encoder")).glob("*.npy"))
    assert len(kept) == 4
    assert store.read("encoder", records).shape == (8, 12, 64)


def test_embeddings_are_those_of_each_lead(folder: Path, protocol: DiagnosisProtocol) -> None:
    """Sharing batches among recordings mixes nothing up."""
    records = read_diagnosis_database(folder).records[:6]
    store = InputStore(protocol.work, InputSettings(protocol.bundle, 1, "mean"), "mV")

    found = store.read("encoder", records)

    bundle = load_bundle(protocol.bundle)
    pooler = LeadPooler(bundle.preprocessing, bundle.token_reader, 1)
    leads = twelve_leads(read_record(records[5].path))
    assert [lead.name for lead in leads] == [name.upper() for name in LEADS]
    np.testing.assert_allclose(found[5, 7], pooler.embed([leads[7]])[0], atol=1e-5)
    assert not np.allclose(store.read("random encoder", records), found, atol=1e-2)


def test_workers_are_given_what_can_be_sent_to_them(
    folder: Path, protocol: DiagnosisProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes are for speed; each gets paths and settings, and loads the bundle itself."""
    asked: list[int] = []

    @contextmanager
    def workers(n_workers: int, *, chunk: int) -> Iterator[Callable[..., Any]]:
        asked.append(n_workers)
        yield lambda function, items: map(pickle.loads(pickle.dumps(function)), items)

    records = read_diagnosis_database(folder).records[:5]
    settings = InputSettings(protocol.bundle, 1)
    alone = InputStore(protocol.work / "one", settings, "mV").read("encoder", records)
    monkeypatch.setattr(diagnosis_inputs, "open_workers", workers)
    store = InputStore(protocol.work / "two", settings, "mV", n_workers=3)

    np.testing.assert_array_equal(store.read("encoder", records), alone)
    store.read("encoder", records)
    assert asked == [3, 1]  # processes are not started for nothing


def test_key_of_inputs_follows_bundle_layer_and_unit(
    tiny_pretrained: Path, tiny_bundle: Path, protocol: DiagnosisProtocol
) -> None:
    """Embeddings of another encoder or layer must not be taken for these; which heads a bundle has does not matter."""
    base = InputStore(protocol.work, InputSettings(tiny_pretrained, 1), "mV")
    with_head = InputStore(protocol.work, InputSettings(tiny_bundle, 1), "mV")
    others = (
        InputStore(protocol.work, InputSettings(tiny_pretrained, 2), "mV"),
        InputStore(protocol.work, InputSettings(tiny_pretrained, 1, "mean"), "mV"),
    )
    other_unit = InputStore(protocol.work, InputSettings(tiny_pretrained, 1), "standard deviations")

    keys = {one.key("encoder") for one in (base, *others)} | {base.key("random encoder")}
    assert len(keys) == 4
    assert with_head.key("encoder") == base.key("encoder")
    assert other_unit.key("encoder") == base.key("encoder")
    assert other_unit.key("signals") != base.key("signals") == others[0].key("signals")


def test_unknown_amplitudes_make_all_leads_alike(protocol: DiagnosisProtocol, tmp_path: Path) -> None:
    """Where some recordings have no millivolts, a network would learn which ones."""
    folder = write_ptb_xl(tmp_path / "ptb-xl", folds=(1, 2), n_in_fold=1, unit="NU", fs=500)
    database = read_diagnosis_database(folder)
    amplitude = amplitude_of(database.records)
    store = InputStore(protocol.work, InputSettings(protocol.bundle, 1), amplitude)

    signals = store.read("signals", database.records)

    assert amplitude == "standard deviations"
    assert signals.shape == (2, 12, 1000)
    np.testing.assert_allclose(signals.astype(np.float32).std(axis=2), 1.0, atol=0.02)


def test_targets_are_superclasses_and_folds_those_published(folder: Path) -> None:
    """Two statements of one recording are two labels."""
    database = read_diagnosis_database(folder)

    expected = [[0, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 1, 0, 0, 1], [0, 0, 0, 1, 0]]
    assert targets_of(database.records[:4]).tolist() == expected
    assert [one.fold for one in database.records[::6]] == list(FOLDS)
    assert database.records[0].examples.person == database.records[1].examples.person == "ptb-xl/patient-101"


def test_recordings_without_superclass_are_left_out_and_counted(tmp_path: Path) -> None:
    """A rhythm is no diagnosis; a recording that the tables do not know has no fold."""
    folder = write_ptb_xl(tmp_path / "ptb-xl", folds=(1,), n_in_fold=4)
    table = (folder / "ptbxl_database.csv").read_text().splitlines()
    table[1] = "1,101.0,{'SR': 100.0},1"
    (folder / "ptbxl_database.csv").write_text("\n".join(table[:-1]) + "\n")

    database = read_diagnosis_database(folder)

    assert [one.path.stem for one in database.records] == ["00002_lr", "00003_lr"]
    assert database.counts["n_without_superclass_or_fold"] == 2


@pytest.mark.parametrize(
    ("training", "message"),
    [((9,), "fold 9 is to be trained on; scoring fold 9, allowed are 1, 2"), ((), "fold none is to be trained on")],
)
def test_scored_folds_cannot_be_trained_on(folder: Path, training: tuple[int, ...], message: str) -> None:
    """Nor can one train on nothing."""
    with pytest.raises(ConfigError, match=message):
        split_folds(read_diagnosis_database(folder), "validation", training=training)


def test_every_side_needs_recordings(tmp_path: Path) -> None:
    """A part of the database may lack a fold."""
    folder = write_ptb_xl(tmp_path / "ptb-xl", folds=(1, 9), n_in_fold=1)

    with pytest.raises(ConfigError, match="no labelled recording of fold 8"):
        split_folds(read_diagnosis_database(folder), "validation")


def test_another_database_is_refused(tiny_database: Path) -> None:
    """Its labels are no superclasses."""
    with pytest.raises(ConfigError, match="the protocol needs ptb-xl"):
        read_diagnosis_database(tiny_database)


def test_database_without_any_superclass_is_refused(tmp_path: Path) -> None:
    """Nothing could be trained."""
    folder = write_ptb_xl(tmp_path / "ptb-xl", folds=(1,), n_in_fold=1)
    (folder / "ptbxl_database.csv").write_text("ecg_id,patient_id,scp_codes,strat_fold\n2,1.0,{'NORM': 100.0},1\n")

    with pytest.raises(ConfigError, match=r"none of the 1 recordings in .* has a label"):
        read_diagnosis_database(folder)


def test_person_on_two_sides_is_refused(protocol: DiagnosisProtocol, tmp_path: Path) -> None:
    """Folds of one's own making may cut a person in two."""
    folder = write_ptb_xl(tmp_path / "ptb-xl", folds=FOLDS, n_in_fold=2)
    table = (folder / "ptbxl_database.csv").read_text().replace("\n7,901.0", "\n7,801.0")
    (folder / "ptbxl_database.csv").write_text(table)

    with pytest.raises(LeakageError, match="1 person in training and test, first 'ptb-xl/patient-801'"):
        evaluate_diagnosis(folder, protocol)


def test_signals_that_the_encoder_saw_are_said(folder: Path, protocol: DiagnosisProtocol) -> None:
    """Unlabelled signals are allowed, silence about them is not."""
    split = split_folds(read_diagnosis_database(folder), "validation")
    manifest = load_bundle(protocol.bundle).manifest
    seen = {**manifest, "corpus": {**manifest["corpus"], "records": ["00019_lr"]}}

    (leak,) = diagnosis.guard_split(split, seen)

    assert leak == "the encoder has seen the unlabelled signal of 1 test person, first 'ptb-xl/patient-901'"


@pytest.mark.parametrize("name", ["n_seeds", "n_workers"])
def test_protocol_refuses_none(tmp_path: Path, name: str) -> None:
    """A table of no seed has no numbers."""
    with pytest.raises(ConfigError, match=f"{name} is 0; at least 1 is needed"):
        DiagnosisProtocol(tmp_path, **{name: 0})  # type: ignore[arg-type]


def test_default_layer_lies_two_thirds_up(tiny_pretrained: Path) -> None:
    """Of two layers the first."""
    assert default_layer(load_bundle(tiny_pretrained)) == 1


def test_features_measure_rate_and_waves() -> None:
    """What the names say, of a beat whose waves are known."""
    signal, r_peaks, _ = synthetic_ecg(10.0, 360.0)

    found = describe_recording(np.stack([signal, -signal]), r_peaks)

    numbers = dict(zip(RR_NAMES, found, strict=False))
    lead = dict(zip(LEAD_NAMES, found[len(RR_NAMES) :], strict=False))
    assert found.shape == (n_features(2),)
    assert numbers["n beats"] == len(r_peaks)
    assert numbers["mean RR"] == pytest.approx(0.8, abs=0.03)
    assert lead["R"] == pytest.approx(1.0, abs=0.1)
    assert lead["P peak"] == pytest.approx(0.12, abs=0.03)
    assert lead["T highest"] == pytest.approx(0.25, abs=0.03)
    assert found[-2] == pytest.approx(-lead["T lowest"], abs=1e-3)


def test_features_of_too_few_beats_are_missing() -> None:
    """Gradient boosting takes missing numbers; invented ones would mislead it."""
    found = describe_recording(np.zeros((1, 3600), np.float32), np.array([], dtype=np.int64))

    assert found[0] == 0
    assert np.isnan(found[1 : len(RR_NAMES)]).all()
    assert np.isfinite(found[len(RR_NAMES) : len(RR_NAMES) + 6]).all()
    assert np.isnan(found[len(RR_NAMES) + 6 :]).all()


def test_cnn_has_about_forty_thousand_parameters() -> None:
    """The size that the table promises."""
    n_parameters = sum(one.numel() for one in LeadsCnn(12, 5).parameters())

    assert 35_000 < n_parameters < 45_000


def test_cnn_learns_labels_that_a_signal_shows() -> None:
    """A baseline that was not trained proves nothing."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (96, 2)).astype(np.float32)
    signals = rng.normal(0, 0.2, (96, 2, 100))
    signals[:, :, ::5] += targets[:, :, None]
    signals = signals.astype(np.float16)

    score = train_cnn((signals[:64], targets[:64]), (signals[64:], targets[64:]), CnnTraining(30, 5), seed=0)

    assert ((score(signals[64:]) > 0.5) == (targets[64:] > 0.5)).mean() > 0.9


def test_cnn_stops_where_held_out_recordings_gain_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes after the best one only learn the training recordings by heart."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (40, 2)).astype(np.float32)
    signals = rng.normal(size=(40, 2, 64)).astype(np.float16)
    n_passes = 0
    score = diagnosis_networks._logits

    def counted(*arguments: Any) -> Any:
        nonlocal n_passes
        n_passes += 1
        return score(*arguments)

    monkeypatch.setattr(diagnosis_networks, "_logits", counted)
    train_cnn((signals[:20], targets[:20]), (signals[20:], targets[20:]), CnnTraining(200, 2), seed=0)

    assert 3 <= n_passes < 100


def test_boosting_learns_a_feature_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that no training recording has gets the probability 0."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 3)).astype(np.float32)
    targets = np.stack([features[:, 0] > 0, np.zeros(200)], axis=1).astype(np.float32)
    training, held_out = (features[:150], targets[:150]), (features[150:], targets[150:])

    found = train_boosting(training, held_out, RowSettings(), 0)(held_out[0])

    assert ((found[:, 0] > 0.5) == (held_out[1][:, 0] > 0)).mean() > 0.95
    assert (found[:, 1] == 0).all()

    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ConfigError, match=r"needs scikit-learn; install it with .*heartbert\[evaluate\]"):
        train_boosting(training, held_out, RowSettings(), 0)


def test_seeds_differ_where_they_should(table: Table) -> None:
    """Five times the same model is one model; boosting on so few recordings learns nothing and is left out."""
    scored = [np.load(path)["scored"] for path in (table.protocol.work / "runs").glob("*.npz")]

    assert len(scored) == 9
    assert len({one.tobytes() for one in scored}) >= 7
