"""The head that stages a night."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from heartbert.errors import BundleError
from heartbert.predictions.sleep_labels import STAGE_SETS, SleepPredictions
from heartbert.predictions.sleep_night import Night
from heartbert.predictions.sleep_stages import (
    SLEEP_SETTINGS_FILE,
    SleepHead,
    build_sleep_network,
    load_sleep_head,
    save_sleep_head,
    stage_sleep,
)
from tests.sleeping import labelled_night

TEMPERATURES = {"stages3": 1.5, "stages4": 1.0, "stages5": 2.0}


def _head(n_embedding: int = 6, n_networks: int = 2) -> SleepHead:
    torch.manual_seed(0)
    networks = tuple(build_sleep_network(n_embedding, n_units=8).eval() for _ in range(n_networks))
    return SleepHead(networks, dict(TEMPERATURES), "both", 3)  # type: ignore[arg-type]


def _night(n_epochs: int = 24, n_embedding: int = 6) -> Night:
    return labelled_night("a", seed=3, n_epochs=n_epochs, n_embedding=n_embedding).night


def test_stage_sleep_gives_each_epoch_probabilities_of_every_set() -> None:
    """Three, four and five stages come out of one pass, and the start time comes along."""
    start = datetime(2024, 5, 1, 23, 7)

    predictions = stage_sleep(_head(), _night(), start=start)

    assert predictions.start == start
    for name, stage_set in STAGE_SETS.items():
        assert predictions.probabilities[name].shape == (24, len(stage_set.classes))
        np.testing.assert_allclose(predictions.probabilities[name].sum(axis=1), 1, rtol=1e-5)


def test_stage_sleep_takes_nights_of_any_length() -> None:
    """A day and a night are as good as twenty minutes."""
    long = Night(np.tile(_night().features, (125, 1)), np.tile(_night().embeddings, (125, 1)))

    assert stage_sleep(_head(), long).n_epochs == 3000


def test_stage_sleep_reads_epochs_without_tokens() -> None:
    """Epochs without text are staged by their beats, and NaN goes nowhere."""
    night = _night().without_tokens()

    assert np.isfinite(stage_sleep(_head(), night).probabilities["stages5"]).all()


def test_a_head_of_beats_does_not_read_embeddings() -> None:
    """Its predictions are the same whatever the tokens were."""
    head = _head(n_embedding=0)

    with_tokens, without = stage_sleep(head, _night()), stage_sleep(head, _night().without_tokens())

    np.testing.assert_array_equal(with_tokens.probabilities["stages3"], without.probabilities["stages3"])


def test_an_ensemble_of_one_network_twice_is_that_network() -> None:
    """Averaging must not change what all agree on."""
    head = _head(n_networks=1)
    twice = SleepHead(head.networks * 2, head.temperatures, "both", 3)

    one, two = stage_sleep(head, _night()), stage_sleep(twice, _night())

    np.testing.assert_allclose(one.probabilities["stages5"], two.probabilities["stages5"], rtol=1e-5)


def test_hypnogram_leaves_uncertain_epochs_open() -> None:
    """Abstaining is a result, not a class."""
    probabilities = np.array([[0.8, 0.1, 0.1], [0.4, 0.35, 0.25]], dtype=np.float32)
    predictions = SleepPredictions(None, {"stages3": probabilities})

    assert predictions.hypnogram("stages3").tolist() == [0, 0]
    assert predictions.hypnogram("stages3", least_probability=0.5).tolist() == [0, -1]


def test_saved_head_stages_alike(tmp_path: Path) -> None:
    """A bundle must give the same night tomorrow."""
    head, night = _head(), _night()
    save_sleep_head(head, tmp_path)

    loaded = load_sleep_head(tmp_path)

    assert (loaded.temperatures, loaded.inputs, loaded.layer) == (TEMPERATURES, "both", 3)
    for name in STAGE_SETS:
        np.testing.assert_array_equal(
            stage_sleep(head, night).probabilities[name], stage_sleep(loaded, night).probabilities[name]
        )


def test_load_refuses_files_that_do_not_fit(tmp_path: Path) -> None:
    """Half of an old head and half of a new one stage nothing."""
    save_sleep_head(_head(), tmp_path)
    settings = json.loads((tmp_path / SLEEP_SETTINGS_FILE).read_text(encoding="utf-8"))
    (tmp_path / SLEEP_SETTINGS_FILE).write_text(json.dumps({**settings, "n_units": 4}), encoding="utf-8")

    with pytest.raises(BundleError, match=r"sleep head in '.*' cannot be used"):
        load_sleep_head(tmp_path)
