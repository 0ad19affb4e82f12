import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import wfdb

from heartbert.bundle import HEARTBEATS_SETTINGS_FILE, MANIFEST_FILE, load_bundle
from heartbert.errors import BundleError, ConfigError, LeakageError, RecordFormatError
from heartbert.files import sha256_of
from heartbert.training.bundling import bundle_with_heartbeats
from heartbert.training.config import read_config
from heartbert.training.heartbeats import (
    AnnotatedBeats,
    embed_annotated,
    label_beats,
    score_head,
    train_head,
    train_heads,
)
from tests.synthetic import synthetic_ecg, write_annotated

SETTINGS = replace(read_config("tiny").heartbeats, n_training_epochs=30, learning_rate=1e-2, n_directions=6)


def separable(
    record: str, *, n_beats: int = 600, seed: int = 0, n_is_usual: bool = False, numbers: tuple[int, ...] = (0, 1, 2, 3)
) -> AnnotatedBeats:
    """Return beats whose class can be read off one number of their embedding; N differs in none if it is usual."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, size=n_beats, p=[0.7, 0.1, 0.1, 0.1])
    embeddings = rng.normal(0, 0.1, (n_beats, 6)).astype(np.float16)
    embeddings[np.arange(n_beats), np.array(numbers)[labels]] += (labels > 0) | (not n_is_usual)
    r_peaks = np.cumsum(rng.integers(280, 300, n_beats))
    return AnnotatedBeats(record, r_peaks, embeddings, labels, r_peaks / 360.0, labels)


def test_embed_annotated_labels_detected_beats_by_the_annotation(tiny_pretrained: Path, tiny_database: Path) -> None:
    """The head learns from beats as it will meet them: found by the detector."""
    bundle = load_bundle(tiny_pretrained)
    annotation = wfdb.rdann(str(tiny_database / "a"), "atr")

    beats = embed_annotated(bundle, tiny_database / "a.hea", layer=1)

    assert beats.reference_s.size == annotation.sample.size
    assert (beats.labels >= 0).sum() >= 0.95 * annotation.sample.size
    assert set(np.unique(beats.labels)) <= {-1, 0, 2}
    assert beats.embeddings.shape == (beats.r_peaks.size, 3 * 32)


def test_embed_annotated_refuses_an_annotation_without_beats(tiny_pretrained: Path, tmp_path: Path) -> None:
    """A rhythm file given by mistake must not train anything."""
    path = write_annotated(tmp_path, "x", seed=0, duration_s=5.0)
    wfdb.wrann("x", "atr", np.array([10]), ["+"], fs=360, write_dir=str(tmp_path))

    with pytest.raises(RecordFormatError, match=r"'x.atr' annotates no beat"):
        embed_annotated(load_bundle(tiny_pretrained), path, layer=1)


def test_train_head_learns_classes_that_the_embedding_shows() -> None:
    """If the embedding gives the class away, the head must find it."""
    trained = train_head([separable("a")], [separable("b", seed=1)], SETTINGS, seed=0)

    assert trained.scores["macro_f1"] > 0.9


def test_train_head_learns_which_wave_is_unlike_the_usual_one() -> None:
    """Without directions, classes whose beats differ in another wave are told apart all the same."""
    settings = replace(SETTINGS, n_directions=0)
    first, second = (
        separable(name, seed=seed, n_is_usual=True, numbers=(0, 0, 2, 4)) for seed, name in enumerate("ab")
    )

    trained = train_head([first], [second], settings, seed=0)

    assert trained.scores["macro_f1"] > 0.9


def test_train_head_gives_recordings_that_are_scored_no_say() -> None:
    """Nothing of the network is chosen by the validation recordings, so that scores on them are not flattered."""
    one, other = (
        train_head([separable("a")], [separable("b", seed=seed)], SETTINGS, seed=0).head.network.state_dict()
        for seed in (1, 2)
    )

    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_train_head_gives_the_same_head_for_the_same_seed() -> None:
    """Results must come out again."""
    first, second = (train_head([separable("a")], [separable("b", seed=1)], SETTINGS, seed=4) for _ in range(2))

    assert first.scores == second.scores
    weights = second.head.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in first.head.network.state_dict().items())


def test_train_head_takes_recordings_shorter_than_a_crop() -> None:
    """Short recordings are filled up and the filling is not learnt from."""
    trained = train_head([separable("a", n_beats=40)], [separable("b", n_beats=30, seed=1)], SETTINGS, seed=0)

    assert np.isfinite(trained.scores["macro_f1"])


def test_train_head_refuses_to_train_without_validation() -> None:
    """Without validation subjects nobody knows what the head is worth."""
    with pytest.raises(ConfigError, match="1 training and 0 validation recordings and 30 training epochs"):
        train_head([separable("a")], [], SETTINGS, seed=0)


def test_train_heads_returns_heads_by_validation_score() -> None:
    """The median ships, so that luck with a seed is not sold as quality."""
    settings = replace(SETTINGS, n_seeds=3, n_training_epochs=2)

    scores = [one.scores["macro_f1"] for one in train_heads([separable("a")], [separable("b", seed=1)], settings)]

    assert scores == sorted(scores)
    assert len(scores) == 3


def test_bundle_with_heartbeats_refuses_a_recording_on_both_sides(
    tiny_pretrained: Path, tiny_database: Path, tmp_path: Path
) -> None:
    """The most common way to fool oneself must be an error, not a warning."""
    paths = [tiny_database / "a.hea", tiny_database / "b.hea"]

    with pytest.raises(LeakageError, match=r"first of '.*/b'"):
        bundle_with_heartbeats(tiny_pretrained, (paths, paths[1:]), tmp_path / "x", SETTINGS)
    assert not (tmp_path / "x").exists()


def test_bundle_with_heartbeats_refuses_one_person_under_two_names(tiny_pretrained: Path, tmp_path: Path) -> None:
    """MIT-BIH 201 and 202 show one man."""
    sides = [tmp_path / "mitdb" / "201.hea"], [tmp_path / "mitdb" / "202.hea"]

    with pytest.raises(LeakageError, match="1 person in training and test, first 'mitdb/201'"):
        bundle_with_heartbeats(tiny_pretrained, sides, tmp_path / "x", SETTINGS)


def test_head_of_an_earlier_version_is_refused_and_can_be_trained_anew(
    tiny_bundle: Path, tiny_database: Path, tmp_path: Path
) -> None:
    """What a head reads may change between versions; the encoder below it is still good."""
    old = shutil.copytree(tiny_bundle, tmp_path / "old")
    settings, manifest = old / HEARTBEATS_SETTINGS_FILE, json.loads((old / MANIFEST_FILE).read_text())
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps({name: value for name, value in content.items() if name != "n_directions"}))
    manifest["sha256"][settings.name] = sha256_of(settings)
    (old / MANIFEST_FILE).write_text(json.dumps(manifest))
    sides = [tiny_database / "a.hea"], [tiny_database / "c.hea"]

    with pytest.raises(BundleError, match=r"cannot be used: 'n_directions'; get .* with 'heartbert train-heartbeats'"):
        load_bundle(old)
    bundle_with_heartbeats(old, sides, tmp_path / "new", replace(SETTINGS, n_training_epochs=1, n_directions=0))

    assert load_bundle(tmp_path / "new").heartbeats is not None


def test_bundle_with_heartbeats_writes_a_card_with_the_scores_of_all_seeds(tiny_bundle: Path) -> None:
    """The card says what the head scores and on whom, in numbers taken from the manifest."""
    card = (tiny_bundle / "README.md").read_text()
    scores = load_bundle(tiny_bundle).manifest["heartbeat_scores"]

    assert "Research software, not a medical device" in card
    assert f"| macro_f1 | {scores['macro_f1']:.3f} |" in card
    assert "Trained on MIT-BIH records a, b" in card


def test_reference_beats_are_those_of_the_annotation(tiny_pretrained: Path, tiny_database: Path) -> None:
    """Where the detector is not what is studied, every annotated beat is there, first and last included."""
    annotation = wfdb.rdann(str(tiny_database / "a"), "atr")

    beats = embed_annotated(load_bundle(tiny_pretrained), tiny_database / "a.hea", layer=1, beats="reference")

    np.testing.assert_array_equal(beats.r_peaks, annotation.sample)
    np.testing.assert_array_equal(beats.labels, beats.reference_classes)
    assert beats.embeddings.shape == (annotation.sample.size, 3 * 32)
    assert np.isfinite(beats.embeddings).all()


def test_reference_beats_in_a_gap_and_of_a_pacemaker_are_kept(tiny_pretrained: Path, tmp_path: Path) -> None:
    """Noise hides no beat of the annotation: what is left of it is embedded, and a paced beat is of class Q."""
    signal, samples, symbols = synthetic_ecg(30.0, 360.0)
    signal[10 * 360 : 15 * 360] = np.nan
    symbols[0] = "/"
    wfdb.wrsamp(
        "x", fs=360, units=["mV"], sig_name=["II"], p_signal=signal[:, None].astype(float), fmt=["16"],
        adc_gain=[1000.0], baseline=[0], write_dir=str(tmp_path),
    )  # fmt: skip
    wfdb.wrann("x", "atr", samples, symbols, fs=360, write_dir=str(tmp_path))

    beats = embed_annotated(load_bundle(tiny_pretrained), tmp_path / "x.hea", layer=1, beats="reference")

    hidden = (beats.reference_s > 10.6) & (beats.reference_s < 14.4)
    assert beats.r_peaks.size == samples.size
    assert beats.labels[0] == 4
    assert hidden.sum() >= 3
    assert not beats.embeddings[hidden].any()
    assert beats.embeddings[~hidden].any(axis=1).all()


def test_reference_beats_outside_the_recording_are_refused(tiny_pretrained: Path, tmp_path: Path) -> None:
    """The annotation of a longer recording, or at another rate, belongs to something else."""
    path = write_annotated(tmp_path, "x", seed=0, duration_s=5.0)
    wfdb.wrann("x", "atr", np.array([100, 5000]), ["N", "N"], fs=360, write_dir=str(tmp_path))

    with pytest.raises(ConfigError, match=r"the beats of 'x.atr': beat 1 is at sample 5000"):
        label_beats(load_bundle(tiny_pretrained).preprocessing, path, beats="reference")


def test_train_head_stores_a_temperature_that_leaves_classes_alone() -> None:
    """Probabilities are mended after the training epoch has been chosen."""
    validation = [separable("b", seed=1)]

    trained = train_head([separable("a")], validation, SETTINGS, seed=0)

    assert trained.calibration is not None
    assert trained.head.temperature == trained.calibration.temperature != 1.0
    assert score_head(trained.head, validation) == trained.scores
    assert trained.calibration.n_beats == 600


def test_recordings_without_a_beat_are_not_trained_on() -> None:
    """The detector may find none; on the validation side all its beats are missed."""
    silent = replace(separable("x"), r_peaks=np.empty(0, int), labels=np.empty(0, int), embeddings=np.empty((0, 6)))

    trained = train_head([separable("a"), silent], [separable("b", seed=1), silent], SETTINGS, seed=0)

    assert trained.scores["detector_sensitivity"] == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="0 training and 1 validation recordings"):
        train_head([silent], [separable("b", seed=1)], SETTINGS, seed=0)
