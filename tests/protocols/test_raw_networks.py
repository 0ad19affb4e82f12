"""The baselines on the raw signal can learn what is there to learn, so that losing to them means something."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from heartbert.protocols.raw_networks import NetworkTraining, RawCnn, SequenceBiLstm, raw_bilstm, train_network

SETTINGS = NetworkTraining(n_training_epochs=12, class_balance=0.5, learning_rate=5e-3)


def shapes(n_examples: int, *, seed: int) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.int64]]:
    """Return stretches of noise with a narrow or a wide peak anywhere, and which."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n_examples) * 2
    centres = rng.integers(60, 300, n_examples)
    widths = np.where(labels == 0, 3, 15)
    peaks = np.exp(-(((np.arange(360) - centres[:, None]) / widths[:, None]) ** 2) / 2)
    return (peaks + rng.normal(0, 0.05, peaks.shape)).astype(np.float16), labels


@pytest.mark.parametrize("network", [RawCnn(), raw_bilstm(360)])
def test_networks_have_about_forty_thousand_parameters(network: torch.nn.Module) -> None:
    """The small network that a pre-trained encoder has to beat is of a stated size."""
    assert 35_000 < sum(parameter.numel() for parameter in network.parameters()) < 45_000


def _accuracy(found: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    return float((np.argmax(found, axis=1) == labels).mean())


@pytest.mark.parametrize("build", [RawCnn, lambda: raw_bilstm(360)])
def test_networks_learn_the_width_of_a_peak(build: type[RawCnn]) -> None:
    """A baseline at chance level proves nothing."""
    classify = train_network(build, shapes(600, seed=0), shapes(200, seed=1), SETTINGS, seed=0)

    examples, labels = shapes(200, seed=2)
    assert _accuracy(classify(examples), labels) > 0.9
    assert classify(examples).sum(axis=1) == pytest.approx(np.ones(200), abs=1e-5)


def test_training_gives_the_same_network_for_the_same_seed() -> None:
    """Results must come out again."""
    settings = NetworkTraining(n_training_epochs=1, class_balance=0.5)
    sides = shapes(100, seed=0), shapes(50, seed=1)

    first, second, other = (train_network(RawCnn, *sides, settings, seed=seed)(sides[1][0]) for seed in (3, 3, 4))

    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_unlabelled_examples_are_not_learnt_from() -> None:
    """A found beat without reference beat has no class."""
    settings = NetworkTraining(n_training_epochs=1, class_balance=0.5)
    (examples, labels), validation = shapes(100, seed=0), shapes(50, seed=1)
    padded = (
        np.concatenate([examples, np.full((7, 360), 9, dtype=np.float16)]),
        np.concatenate([labels, np.full(7, -1)]),
    )

    with_them, without = (
        train_network(RawCnn, side, validation, settings, seed=0)(validation[0])
        for side in (padded, (examples, labels))
    )

    assert np.array_equal(with_them, without)


def test_network_classifies_no_examples() -> None:
    """A recording may have no beat."""
    settings = NetworkTraining(n_training_epochs=1, class_balance=0.5)
    classify = train_network(RawCnn, shapes(50, seed=0), shapes(50, seed=1), settings, seed=0)

    assert classify(np.empty((0, 360), dtype=np.float16)).shape == (0, 5)


def test_bilstm_reads_both_directions() -> None:
    """The first step must matter to the last state of one direction, and the last step to the other."""
    network = SequenceBiLstm(4, 3, n_units=5).eval()
    examples = torch.zeros(3, 12)
    examples[1, 0], examples[2, -1] = 1, 1

    logits = network(examples)

    assert logits.shape == (3, 5)
    assert not torch.allclose(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])
