"""The probe reads no test record, runs without readers, and ranks encoders."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from heartbert.embeddings.encoder import build_encoder
from heartbert.errors import BundleError, LeakageError, RecordFormatError
from heartbert.evaluation.splits import MITDB_DS1, MITDB_DS1_VALIDATION, MITDB_DS2
from heartbert.predictions.labels import AamiClass
from heartbert.tokens import load_tokenizer
from heartbert.training import probe as probing
from heartbert.training.config import read_config
from heartbert.training.corpus import open_corpus
from heartbert.training.pretraining import Pretraining
from heartbert.training.probe import PROBE_FILE, ProbeData, average_precision, load_probe, refuse_seen, score_probe
from heartbert.training.probe_building import DS1_TRAINING, _choose_start, build_probe

SIDES = (["a", "b"], ["c"])


@pytest.fixture(scope="module")
def data(tiny_database: Path, tiny_corpus: Path) -> ProbeData:
    """Return half a minute of each record of the tiny database, c for validation."""
    return build_probe(tiny_database, tiny_corpus, SIDES, minutes=0.5)


def test_records_are_ds1_and_the_validation_records_are_not_fitted_on() -> None:
    """Every choice is made on DS1; a test record read once is a test record no more."""
    assert set(DS1_TRAINING) | set(MITDB_DS1_VALIDATION) == set(MITDB_DS1)
    assert not set(DS1_TRAINING) & set(MITDB_DS1_VALIDATION)
    assert not set(MITDB_DS1) & set(MITDB_DS2)


def test_probe_takes_the_minutes_asked_for(data: ProbeData, tiny_corpus: Path) -> None:
    """A few minutes a record are what makes it cheap."""
    lengths = load_tokenizer(tiny_corpus).token_lengths

    samples = lengths[data.pieces].sum()
    assert samples == pytest.approx(3 * 30 * 360, rel=0.1)
    assert data.records.tolist() == ["a", "b", "c"]
    assert data.validation.tolist() == [False, False, True]
    assert data.counts.sum() == data.pieces.size == data.usable.size
    assert data.beats[-1] == data.labels.size == data.starts.shape[0] == data.rr.shape[0]
    assert set(data.labels.tolist()) == {AamiClass.N, AamiClass.V}
    assert (data.starts[:, 0] >= 0).all()


def test_probe_survives_its_file(data: ProbeData, tiny_corpus: Path, tmp_path: Path) -> None:
    """The training machine gets the file and no recording."""
    data.save(tmp_path / PROBE_FILE)

    loaded = load_probe(tmp_path / PROBE_FILE, tiny_corpus)

    assert loaded.database == data.database
    np.testing.assert_array_equal(loaded.pieces, data.pieces)
    np.testing.assert_array_equal(loaded.records, data.records)


def test_scoring_is_repeatable_and_leaves_the_model_as_it_was(data: ProbeData, tiny_corpus: Path) -> None:
    """A probe that changed the training would make the curve depend on the clock."""
    tokenizer = load_tokenizer(tiny_corpus)
    model = build_encoder(read_config("tiny").encoder, tokenizer.n_tokens, seed=1).train()

    first, second = (score_probe(data, model, tokenizer.token_lengths, layer=1) for _ in range(2))

    assert first == second
    assert 0 < first <= 0.5  # V only: there is no S beat
    assert model.training


def test_classifier_finds_classes_that_the_features_show() -> None:
    """If the embedding gives the class away, logistic regression must find it."""
    rng = np.random.default_rng(0)
    labels = rng.choice(4, size=800, p=[0.85, 0.05, 0.05, 0.05])
    features = rng.normal(0, 0.1, (800, 12))
    features[np.arange(800), labels] += 3

    found = probing._classify(torch.from_numpy(features[:500]), labels[:500], torch.from_numpy(features[500:]))

    assert np.mean(found.argmax(axis=1) == labels[500:]) > 0.95


def test_classifier_is_the_optimum() -> None:
    """Checked against scikit-learn, whose C is the inverse of our penalty."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    labels = rng.choice(5, size=600, p=[0.6, 0.1, 0.1, 0.1, 0.1])
    features = rng.normal(0, 2.0, (600, 8))
    features[np.arange(600), labels] += 1.5
    weights = (np.bincount(labels).max() / np.bincount(labels)) ** 0.5

    found = probing._classify(torch.from_numpy(features), labels, torch.from_numpy(features))

    reference = linear_model.LogisticRegression(C=0.01, tol=1e-8, max_iter=1000)
    expected = reference.fit(features, labels, sample_weight=weights[labels]).predict(features)
    assert np.mean(found.argmax(axis=1) == expected) > 0.995


def test_components_are_those_of_the_fitted_beats() -> None:
    """A direction that varies among the scored beats alone must not be read."""
    rng = np.random.default_rng(2)
    features = rng.normal(0, 1e-9, (100, 50)).astype(np.float32)
    features[:60, 3] = rng.normal(0, 1, 60)
    features[60:, 4] = rng.normal(0, 1, 40)

    components = probing._principal_components(features, fitted_on=np.arange(100) < 60).numpy()

    assert components.shape == (100, 32)
    assert abs(np.corrcoef(components[:60, -1], features[:60, 3])[0, 1]) > 0.999


def test_average_precision_by_hand() -> None:
    """Of the scores in order, the first and the third are right: (1/1 + 2/3) / 2."""
    relevant, scores = np.array([False, True, True, False]), np.array([0.5, 0.9, 0.4, 0.1])

    assert average_precision(relevant, scores) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.zeros(4, dtype=np.bool_), scores) == 0


def test_excerpt_is_where_rare_beats_are() -> None:
    """The first minutes of a record may hold no rare beat at all."""
    samples = np.arange(0, 100_000, 300)
    weights = np.where((samples > 60_000) & (samples < 63_000), 1.0, 0.001)

    start = _choose_start(samples, weights, 10_000)

    assert 52_700 < start <= 60_300


def test_test_records_are_refused(tiny_database: Path, tiny_corpus: Path) -> None:
    """Choosing a checkpoint on DS2 is training on DS2."""
    with pytest.raises(LeakageError, match="record '100' is in DS2"):
        build_probe(tiny_database, tiny_corpus, (["101"], ["100"]))


def test_test_records_in_a_file_are_refused(data: ProbeData, tiny_corpus: Path, tmp_path: Path) -> None:
    """A file made by other means is no way around it."""
    replace(data, records=np.array(["101", "103", "106"])).save(tmp_path / PROBE_FILE)

    with pytest.raises(LeakageError, match="holds test record '103'"):
        load_probe(tmp_path / PROBE_FILE, tiny_corpus)


def test_a_person_on_both_sides_is_refused(tiny_database: Path, tiny_corpus: Path) -> None:
    """The classifier would know the validation subject's beats."""
    with pytest.raises(LeakageError, match=r"of one recording, first of .*/b'"):
        build_probe(tiny_database, tiny_corpus, (["a", "b"], ["b"]))


def test_a_missing_record_is_named(tiny_database: Path, tiny_corpus: Path) -> None:
    """The published split of MIT-BIH does not fit another folder."""
    with pytest.raises(RecordFormatError, match="has no record '101', which the probe needs"):
        build_probe(tiny_database, tiny_corpus)


def test_records_that_the_encoder_is_trained_on_are_refused(data: ProbeData, tiny_corpus: Path) -> None:
    """The score would reward memory."""
    corpus = open_corpus(tiny_corpus)
    refuse_seen(data, corpus)

    with pytest.raises(LeakageError, match="scored on record 'a', whose person the encoder is trained on"):
        refuse_seen(replace(data, validation=np.array([True, False, False])), corpus)


def test_a_probe_of_another_tokenizer_is_refused(data: ProbeData, tiny_corpus: Path, tmp_path: Path) -> None:
    """Its numbers would name other pieces of signal."""
    replace(data, tokenizer_sha256="0" * 64).save(tmp_path / PROBE_FILE)

    with pytest.raises(BundleError, match="made with another tokenizer"):
        load_probe(tmp_path / PROBE_FILE, tiny_corpus)


def test_a_damaged_file_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    """The message must say how to make it."""
    (tmp_path / PROBE_FILE).write_bytes(b"PK\x03\x04 not really")

    with pytest.raises(BundleError, match="holds no probe data"):
        load_probe(tmp_path / PROBE_FILE, tiny_corpus)


def test_the_probe_chooses_the_best_weights_of_a_run(data: ProbeData, tiny_corpus: Path, tmp_path: Path) -> None:
    """That curve, not the loss, chooses the checkpoint; the last step is always probed."""
    tiny = read_config("tiny")
    settings = replace(tiny, pretraining=replace(tiny.pretraining, n_steps=3, steps_per_check=1))

    run = Pretraining(tiny_corpus, tmp_path, settings, probe=data)
    run.run()

    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert ["probe_average_precision" in row for row in rows] == [False, False, True]
    assert run.state.best.step == 3
    assert run.state.best.probe == pytest.approx(rows[-1]["probe_average_precision"], abs=1e-4)
    assert (tmp_path / "best-00000003").is_dir()


def test_probe_loads_no_reader() -> None:
    """A machine with an accelerator has neither recordings nor what reads them."""
    code = (
        "import heartbert.training.probe, heartbert.training.pretraining, sys; "
        "print([name for name in ('wfdb', 'edfio', 'sleepecg', 'soxr', 'pandas', 'matplotlib') if name in sys.modules])"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"
