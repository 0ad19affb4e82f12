"""The transformer of scikit-learn: its conventions, and that its rows are those of the pipeline."""

import importlib.util
import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import heartbert.sklearn
from heartbert.bundle import load_bundle
from heartbert.errors import (
    BundleError,
    ConfigError,
    HeartbertError,
    LeadNotFoundError,
    SignalTooShortError,
    SignalValueError,
)
from heartbert.pipeline import HeartBert
from heartbert.records import Record, read_record
from heartbert.records.record import ArraySource, Channel
from heartbert.sklearn import HeartbertEmbedder, bundle_sha256
from tests.synthetic import record_of, synthetic_ecg

# What scikit-learn asks of every estimator and this one cannot give.
EXPECTED_FAILURES = {
    "check_estimators_dtypes": "whole numbers that do not change over a whole lead are a loose lead, which is refused",
    "check_methods_sample_order_invariance": "rows share batches of the encoder; sums in float32 differ after 6 digits",
    "check_methods_subset_invariance": "rows share batches of the encoder; sums in float32 differ after 6 digits",
}
HIDDEN_SIZE = 32


@pytest.fixture
def embedder(tiny_pretrained: Path) -> HeartbertEmbedder:
    """Return an embedder with the tiny bundle."""
    return HeartbertEmbedder(tiny_pretrained)


@pytest.fixture
def records() -> list[Record]:
    """Return six recordings of six seconds at two rates."""
    rates = (250.0, 360.0)
    return [record_of(synthetic_ecg(6.0, rates[i % 2], seed=i)[0], rates[i % 2], name=f"r{i}") for i in range(6)]


def two_leads(seed: int = 0) -> Record:
    """Return a recording with the leads V5 and II."""
    record = record_of(synthetic_ecg(6.0, 360.0, seed=seed)[0], 360.0)
    other = synthetic_ecg(6.0, 360.0, seed=seed + 100)[0]
    v5 = Channel("V5", 360.0, "mV", other.size, "ecg", ArraySource(other))
    return replace(record, channels=(v5, *record.channels))


def test_conventions_of_scikit_learn_hold_but_for_named_exceptions(tiny_pretrained: Path) -> None:
    """Tools of others rely on them; an exception needs a reason."""
    embedder = HeartbertEmbedder(tiny_pretrained, fs=2.0)

    results = check_estimator(embedder, expected_failed_checks=EXPECTED_FAILURES, on_skip=None)

    passed = [one["check_name"] for one in results if one["status"] == "passed"]
    assert len(passed) >= len(results) - len(EXPECTED_FAILURES) - 1  # one is skipped without the array API
    assert {"check_fit2d_1sample", "check_transformer_general", "check_n_features_in"} <= set(passed)


def test_row_of_one_window_is_that_of_the_pipeline(embedder: HeartbertEmbedder, tiny_pretrained: Path) -> None:
    """Who moves from `embed` to scikit-learn gets the same numbers."""
    record = record_of(synthetic_ecg(5.0, 360.0)[0], 360.0)

    found = embedder.fit_transform([record])

    expected = HeartBert.load(tiny_pretrained).embed(record).vectors
    assert expected.shape == found.shape == (1, HIDDEN_SIZE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_paths_records_and_arrays_give_the_same_rows(tiny_pretrained: Path, tiny_database: Path) -> None:
    """Whatever people have at hand will do, also as a column of a data frame."""
    path = tiny_database / "a.hea"
    record = read_record(path)
    array = record.lead().read()
    embedder = HeartbertEmbedder(tiny_pretrained, fs=360.0, unit="mV").fit([path])
    expected = embedder.transform([record])

    for recordings in (
        [str(path)], (path,), [array], [array[None]], array[None], array[None, None],
        pd.Series([path]), pd.DataFrame({"path": [str(path)]}), np.array([str(path)]),
    ):  # fmt: skip
        found = HeartbertEmbedder(tiny_pretrained, fs=360.0, unit="mV").fit_transform(recordings)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_leads_by_name_stand_side_by_side(embedder: HeartbertEmbedder) -> None:
    """A classifier may weigh each lead by itself."""
    record = two_leads()

    both = embedder.set_params(leads=["II", "V5"]).fit_transform([record])

    apart = [clone(embedder).set_params(leads=lead).fit_transform([record]) for lead in ("II", "V5")]
    np.testing.assert_allclose(both, np.concatenate(apart, axis=1), atol=1e-5)


def test_all_leads_are_averaged_and_one_is_preferred(embedder: HeartbertEmbedder) -> None:
    """Recordings with different leads fit into one table."""
    record = two_leads()
    apart = [clone(embedder).set_params(leads=lead).fit_transform([record]) for lead in ("II", "V5")]

    np.testing.assert_allclose(
        clone(embedder).set_params(leads="all").fit_transform([record]), sum(apart) / 2, atol=1e-5
    )
    np.testing.assert_allclose(clone(embedder).fit_transform([record]), apart[0], atol=1e-5)


def test_all_leads_of_an_array_are_those_without_names(tiny_pretrained: Path) -> None:
    """An array names none; an unscorable lead is left out of the mean."""
    signal = synthetic_ecg(6.0, 360.0)[0]
    embedder = HeartbertEmbedder(tiny_pretrained, fs=360.0, leads="all")

    alone, with_flat = embedder.fit_transform([signal, np.stack([signal, np.zeros_like(signal)])])

    np.testing.assert_allclose(alone, with_flat, atol=1e-5)


def test_mean_std_doubles_the_features(embedder: HeartbertEmbedder, records: list[Record]) -> None:
    """The first half is the mean; the second says how much it varies, and is no negative number."""
    mean = clone(embedder).fit_transform(records)

    both = embedder.set_params(pooling="mean-std").fit_transform(records)

    np.testing.assert_allclose(both[:, :HIDDEN_SIZE], mean, atol=1e-5)
    assert (both[:, HIDDEN_SIZE:] > 0).all()
    assert len(embedder.get_feature_names_out()) == both.shape[1] == 2 * HIDDEN_SIZE


def test_pandas_output_keeps_index_and_names(embedder: HeartbertEmbedder, tiny_database: Path) -> None:
    """Rows must stay beside their labels."""
    frame = pd.DataFrame({"path": [str(tiny_database / f"{name}.hea") for name in "ab"]}, index=["x", "y"])

    found = embedder.set_output(transform="pandas").fit_transform(frame)

    assert list(found.index) == ["x", "y"]
    assert list(found.columns) == list(embedder.get_feature_names_out())
    assert found.columns[0] == "heartbertembedder0"


def test_pickle_holds_no_weights_and_loads_them_again(embedder: HeartbertEmbedder, records: list[Record]) -> None:
    """Grid searches send embedders to other processes by the hundred."""
    expected = embedder.fit_transform(records)

    pickled = pickle.dumps(embedder)

    assert len(pickled) < 2000
    np.testing.assert_allclose(pickle.loads(pickled).transform(records), expected, atol=1e-5)


def test_pickle_refuses_another_bundle_than_it_was_fitted_with(
    tiny_pretrained: Path, tiny_bundle: Path, tmp_path: Path, records: list[Record]
) -> None:
    """A classifier on top would give answers that mean nothing, and nobody would notice."""
    folder = shutil.copytree(tiny_pretrained, tmp_path / "bundle")
    pickled = pickle.dumps(HeartbertEmbedder(folder).fit(records))
    shutil.rmtree(folder)
    shutil.copytree(tiny_bundle, folder)

    with pytest.raises(BundleError, match=r"is not the one that this embedder was fitted with: SHA-256 \w{64}"):
        pickle.loads(pickled).transform(records)


def test_clone_takes_the_settings_and_nothing_fitted(embedder: HeartbertEmbedder, records: list[Record]) -> None:
    """Cross-validation clones; weights must not travel along."""
    embedder.set_params(pooling="mean-std", layer=1, leads=("II",)).fit(records)

    cloned = clone(embedder)

    assert cloned.get_params() == embedder.get_params()
    with pytest.raises(NotFittedError):
        cloned.transform(records)


def test_grid_search_by_person_in_a_pipeline(embedder: HeartbertEmbedder, records: list[Record]) -> None:
    """The usual way to use it: settings chosen on persons that were left out."""
    labels, persons = [0, 1, 0, 1, 0, 1], [1, 1, 2, 2, 3, 3]
    pipeline = make_pipeline(embedder, StandardScaler(), LogisticRegression())

    search = GridSearchCV(pipeline, {"heartbertembedder__pooling": ["mean", "mean-std"]}, cv=GroupKFold(3))
    search.fit(records, labels, groups=persons)

    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(records).shape == (6,)


def test_long_recordings_are_read_in_groups(
    embedder: HeartbertEmbedder, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand files cannot be open at once; the rows do not depend on it."""
    together = embedder.fit_transform(records)

    monkeypatch.setattr("heartbert.sklearn._OPEN_AT_A_TIME", 4)

    np.testing.assert_allclose(embedder.transform(records), together, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "recordings", "error", "message"),
    [
        ({}, "a.hea", ConfigError, "X is a single recording"),
        ({}, [np.ones(100)], ConfigError, "record 0 is an array and says no sampling frequency"),
        ({"fs": -1.0}, [np.ones(100)], ConfigError, "fs is -1 Hz"),
        ({"unit": "A"}, [np.ones(100)], ConfigError, "unit is 'A'"),
        ({"leads": []}, [np.ones(100)], ConfigError, "leads is empty"),
        ({"layer": 3}, [np.ones(100)], ConfigError, "layer is 3; the encoder has layers 0"),
        ({"pooling": "max"}, [np.ones(100)], ConfigError, "pooling is 'max'; choose one of mean, mean-std"),
        ({"fs": 360.0}, [np.ones(360)], SignalValueError, "'record 0', lead 'channel 1': no part of it can be scored"),
        ({"fs": 360.0}, [np.ones(100)], SignalTooShortError, "100 samples at 360 Hz .0.28 s.; at least 1 s"),
        ({"fs": 360.0}, [np.array(["1"])], SignalValueError, "record 0 is an array of shape .* and type <U1"),
        ({"fs": 360.0}, [np.ones((2, 2, 9))], SignalValueError, r"record 0 is an array of shape \(2, 2, 9\)"),
        ({"fs": 360.0, "leads": "II"}, [np.ones(360)], LeadNotFoundError, "has no lead 'II'"),
    ],
)  # fmt: skip
def test_what_cannot_be_embedded_is_refused_by_name(
    tiny_pretrained: Path, settings: dict[str, Any], recordings: Any, error: type[Exception], message: str
) -> None:
    """One of ten thousand recordings is wrong; the message must lead to it."""
    with pytest.raises(error, match=message):
        HeartbertEmbedder(tiny_pretrained, **settings).fit_transform(recordings)


def test_all_leads_need_one_that_can_be_an_ecg(embedder: HeartbertEmbedder) -> None:
    """The mean over no lead is not a number."""
    record = record_of(synthetic_ecg(6.0, 360.0)[0], 360.0)
    pressure = replace(record, channels=(replace(record.channels[0], name="ABP", kind="other"),))

    with pytest.raises(LeadNotFoundError, match="no channel that is named like an ECG lead; it has 'ABP'"):
        embedder.set_params(leads="all").fit_transform([pressure])


def test_missing_samples_are_left_out(embedder: HeartbertEmbedder) -> None:
    """A gap is no reason to lose a recording."""
    signal = synthetic_ecg(6.0, 360.0)[0]
    signal[500:900] = np.nan

    assert np.isfinite(embedder.set_params(fs=360.0).fit_transform(signal[None])).all()


def test_import_without_scikit_learn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; the bare message names a module that people do not know."""
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    spec = importlib.util.spec_from_file_location("heartbert_sklearn_again", heartbert.sklearn.__file__)
    assert spec is not None
    assert spec.loader is not None

    with pytest.raises(ImportError, match=r"needs scikit-learn .*pip install 'heartbert\[evaluate\]'") as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))

    assert isinstance(caught.value, HeartbertError)


def test_checksum_ignores_the_card(tiny_pretrained: Path) -> None:
    """A corrected sentence does not change what a bundle computes."""
    manifest = load_bundle(tiny_pretrained).manifest
    other_card = {**manifest, "sha256": {**manifest["sha256"], "README.md": "0"}}
    other_weights = {**manifest, "sha256": {**manifest["sha256"], "model.safetensors": "0"}}

    assert bundle_sha256(other_card) == bundle_sha256(manifest) != bundle_sha256(other_weights)
