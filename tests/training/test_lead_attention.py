"""Training of the network over leads learns, stops, and refuses what cannot be learnt from."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from heartbert.errors import ConfigError
from heartbert.training.lead_attention import LeadAttentionConfig, LeadExamples, score_leads, train_lead_attention

QUICK = LeadAttentionConfig(n_units=16, n_training_epochs=10, dropout=0.1, batch_size=32, learning_rate=1e-2)


def _examples(n: int, *, kind: str, seed: int) -> LeadExamples:
    """Return embeddings of three leads, one of which tells the target; a fifth of the leads is missing."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(n, 3, 6)).astype(np.float32)
    mask = rng.random((n, 3)) < 0.8
    mask[:, 1] = True
    told = embeddings[:, 1, :2]
    if kind == "number":
        return embeddings, mask, (100 + 10 * told[:, 0]).astype(np.float32)
    if kind == "multi":
        return embeddings, mask, (told > 0.5).astype(np.float32)
    return embeddings, mask, (told[:, 0] > 0.8).astype(np.int64)


def _train(kind: Any, config: LeadAttentionConfig = QUICK, seed: int = 0) -> tuple[np.ndarray[Any, Any], Any]:
    network = train_lead_attention(
        *_examples(300, kind=kind, seed=0),
        validation=_examples(100, kind=kind, seed=1),
        kind=kind,
        config=config,
        seed=seed,
    )
    embeddings, mask, targets = _examples(200, kind=kind, seed=2)
    return score_leads(network, embeddings, mask), targets


NAMED = replace(QUICK, n_training_epochs=15, names_leads=True)


def test_classes_are_learnt_from_the_lead_that_tells_them() -> None:
    """The rare class, a fifth of the examples, must be found too."""
    scores, targets = _train("single", NAMED)

    found = np.argmax(scores, axis=1)
    assert np.mean(found[targets == 1] == 1) > 0.8
    assert np.mean(found[targets == 0] == 0) > 0.8


def test_labels_are_learnt_side_by_side() -> None:
    """Each label is a question of its own."""
    scores, targets = _train("multi", NAMED)

    assert ((scores > 0) == (targets > 0)).mean() > 0.85


def test_number_is_predicted_in_its_own_unit() -> None:
    """Somebody reads years or degrees, not standard deviations."""
    scores, targets = _train("number", NAMED)

    assert np.abs(scores[:, 0] - targets).mean() < 0.6 * np.abs(targets - targets.mean()).mean()


def test_same_seed_gives_the_same_network() -> None:
    """A result must be possible to repeat, and the caller's generators stay as they are."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    short = LeadAttentionConfig(n_units=4, n_training_epochs=2)

    first, second = _train("single", short)[0], _train("single", short)[0]

    assert np.array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert not np.array_equal(first, _train("single", short, seed=1)[0])


def test_training_ends_when_validation_gains_nothing() -> None:
    """Labels of noise are learnt by heart otherwise."""
    embeddings, mask, _ = _examples(40, kind="single", seed=0)
    targets = np.random.default_rng(3).integers(0, 2, 40)
    settings = {"validation": (embeddings, mask, 1 - targets), "kind": "single", "seed": 0}

    patient = LeadAttentionConfig(n_units=4, n_training_epochs=1, patience=1)
    impatient = LeadAttentionConfig(n_units=4, n_training_epochs=60, patience=1)
    first = train_lead_attention(embeddings, mask, targets, config=patient, **settings)
    stopped = train_lead_attention(embeddings, mask, targets, config=impatient, **settings)

    assert np.allclose(score_leads(first, embeddings, mask), score_leads(stopped, embeddings, mask), atol=0.2)


def test_constant_number_is_predicted_as_it_is() -> None:
    """A spread of zero must not divide."""
    embeddings, mask, _ = _examples(20, kind="number", seed=0)
    targets = np.full(20, 7.0, dtype=np.float32)

    network = train_lead_attention(
        embeddings, mask, targets, validation=(embeddings, mask, targets), kind="number", config=QUICK, seed=0
    )

    assert np.allclose(score_leads(network, embeddings, mask), 7.0, atol=0.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"targets": np.zeros(3, dtype=np.int64)}, "one target and one mask"),
        ({"mask": np.zeros((40, 3), dtype=np.bool_)}, "no embedding at all"),
        ({"embeddings": np.full((40, 3, 6), np.nan, dtype=np.float32)}, "hold NaN"),
        ({"targets": np.zeros(40, dtype=np.int64)}, "class 1 is in validation and not in training"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_refused(change: dict[str, Any], said: str) -> None:
    """The message says what to give."""
    given = dict(zip(("embeddings", "mask", "targets"), _examples(40, kind="single", seed=0), strict=True)) | change

    with pytest.raises(ConfigError, match=said):
        train_lead_attention(
            **given, validation=_examples(40, kind="single", seed=0), kind="single", config=QUICK, seed=0
        )


@pytest.mark.parametrize(
    ("name", "value"), [("n_units", 0), ("dropout", 1.0), ("learning_rate", 0.0), ("class_balance", -0.1)]
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    """Before an hour of embedding."""
    with pytest.raises(ConfigError, match=f"{name} is"):
        LeadAttentionConfig(**{name: value})
