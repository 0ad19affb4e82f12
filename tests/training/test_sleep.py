"""Training of the sleep head."""

from dataclasses import replace

import numpy as np
import pytest

from heartbert.errors import ConfigError, LeakageError
from heartbert.predictions.sleep_labels import STAGE_SETS
from heartbert.predictions.sleep_stages import ensemble_probabilities, stage_sleep
from heartbert.training.sleep import LabelledNight, split_persons, train_network, train_sleep_head
from heartbert.training.sleep_config import SleepConfig
from tests.sleeping import labelled_night

CONFIG = SleepConfig(
    n_units=8, n_embedding_units=4, dropout=0.0, noise=0.0, n_training_epochs=2, n_networks=1, learning_rate=0.01
)


@pytest.fixture(scope="module")
def nights() -> list[LabelledNight]:
    return [labelled_night(name, seed=seed, n_embedding=6) for seed, name in enumerate("abc")]


def test_network_learns_a_night(nights: list[LabelledNight]) -> None:
    """A head that cannot learn what it sees a hundred times learns nothing."""
    network = train_network(nights[:1], replace(CONFIG, n_training_epochs=60), seed=0, with_tokens=True)

    found = ensemble_probabilities([network], nights[0].night)["stages5"].argmax(axis=1)

    assert (found == nights[0].stages).mean() > 0.9


def test_training_depends_on_its_seed_and_on_nothing_else(nights: list[LabelledNight]) -> None:
    """A run must be repeatable."""
    one, same, other = (train_network(nights, CONFIG, seed=seed, with_tokens=True) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one.classify.weight.detach(), same.classify.weight.detach())
    assert not np.array_equal(one.classify.weight.detach(), other.classify.weight.detach())


def test_balance_makes_a_rare_class_more_likely(nights: list[LabelledNight]) -> None:
    """Without it a class of one epoch in fifteen is never found."""
    rare = [replace(night, stages=np.where(np.arange(40) % 13 == 0, 4, 0)) for night in nights]

    plain, balanced = (
        train_network(rare, replace(CONFIG, n_training_epochs=30, class_balance=balance), seed=0, with_tokens=False)
        for balance in (0.0, 1.0)
    )

    shares = [ensemble_probabilities([one], nights[0].night)["stages3"][:, 2].mean() for one in (plain, balanced)]
    assert shares[1] > shares[0] + 0.1


def test_unscored_epochs_teach_nothing(nights: list[LabelledNight]) -> None:
    """A night of movement time leaves the scales, and no gradient but that of the decay."""
    silent = replace(nights[0], stages=np.full_like(nights[0].stages, -1))

    with pytest.raises(ConfigError, match="none of the 1 nights has a scored epoch"):
        train_sleep_head([silent], CONFIG)


def test_head_of_beats_is_calibrated_on_held_out_persons(nights: list[LabelledNight]) -> None:
    """Temperatures come for every set of classes, and the head knows its inputs."""
    head = train_sleep_head(nights, CONFIG, inputs="beats")

    assert head.inputs == "beats"
    assert set(head.temperatures) == set(STAGE_SETS)
    assert all(temperature > 0 for temperature in head.temperatures.values())
    assert stage_sleep(head, nights[0].night).n_epochs == 40


def test_uncalibrated_head_has_temperature_one(nights: list[LabelledNight]) -> None:
    """One person is enough then."""
    head = train_sleep_head(nights[:1], CONFIG, calibrated=False)

    assert set(head.temperatures.values()) == {1.0}


def test_one_person_cannot_be_calibrated_on(nights: list[LabelledNight]) -> None:
    """A temperature of the training epochs would say that everything is certain."""
    with pytest.raises(ConfigError, match="nights show one person"):
        train_sleep_head(nights[:1], CONFIG)


def test_split_keeps_persons_apart(nights: list[LabelledNight]) -> None:
    """Both recordings of a person go to one side."""
    again = replace(nights[0], record="a2")

    training, test = split_persons([*nights, again], ["slpdb/a"])

    assert {night.record for night in test} == {"a", "a2"}
    assert {night.record for night in training} == {"b", "c"}


def test_split_refuses_one_recording_under_two_persons(nights: list[LabelledNight]) -> None:
    """Then the name of the person is wrong."""
    disguised = replace(nights[0], subject_id="slpdb/x")

    with pytest.raises(LeakageError):
        split_persons([nights[0], disguised], ["slpdb/x"])


def test_only_with_tokens_hides_other_stages(nights: list[LabelledNight]) -> None:
    """Rows of tokens are scored on epochs that have some."""
    assert (nights[0].only_with_tokens().stages[1::2] == -1).all()
    assert (nights[0].only_with_tokens().stages[::2] >= 0).all()
    assert (labelled_night("d", seed=4).only_with_tokens().stages == -1).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_units", 0, "n_units is 0; at least 1"),
        ("dropout", 1.0, "dropout is 1.0; it must lie in"),
        ("noise", -1.0, "noise is -1.0; it must not be negative"),
        ("learning_rate", 0.0, "learning_rate is 0.0; it must be positive"),
    ],
)
def test_config_refuses_what_cannot_be_trained(name: str, value: float, message: str) -> None:
    """A wrong setting is told before hours of work."""
    with pytest.raises(ConfigError, match=message):
        replace(SleepConfig(), **{name: value})
