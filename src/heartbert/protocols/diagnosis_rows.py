"""The rows of the diagnosis table: our encoder with its head, and what it has to beat."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from heartbert.errors import ConfigError
from heartbert.protocols.diagnosis_inputs import Input
from heartbert.protocols.diagnosis_networks import CnnTraining, train_cnn
from heartbert.training.lead_attention import LeadAttentionConfig, score_leads, train_lead_attention

Floats = npt.NDArray[np.float32]
Values = npt.NDArray[Any]
# An input of recordings, and their targets, shape (n_records, n_outputs).
Part = tuple[Values, Floats]
Scorer = Callable[[Values], Floats]

# Settings of the boosting that were not tuned.
_BOOSTING_RATE = 0.05
# Share of the features that a split may use: draws make the seeds differ, and trees that differ do better.
_BOOSTING_FEATURES = 0.3


@dataclass(frozen=True)
class RowSettings:
    """How the rows are trained.

    Attributes
    ----------
    head : LeadAttentionConfig
        Of our encoder and of the one with random weights.
    cnn : CnnTraining
    n_boosting_rounds : int
        Rounds of gradient boosting at most; the one with the lowest loss of the held-out recordings is taken.
    """

    head: LeadAttentionConfig = field(default_factory=lambda: LeadAttentionConfig(names_leads=True))
    cnn: CnnTraining = field(default_factory=CnnTraining)
    n_boosting_rounds: int = 300

    def with_epochs(self, n_training_epochs: int) -> "RowSettings":
        """Return the settings with another number of passes of the networks over the training recordings."""
        return replace(
            self,
            head=replace(self.head, n_training_epochs=n_training_epochs),
            cnn=replace(self.cnn, n_training_epochs=n_training_epochs),
        )


Trainer = Callable[[Part, Part, RowSettings, int], Scorer]


@dataclass(frozen=True)
class Row:
    """What a row reads, how it is trained on one part and stopped by another, and whether seeds make it differ."""

    reads: Input
    train: Trainer
    has_seeds: bool = True


def train_prevalence(training: Part, held_out: Part, settings: RowSettings, seed: int) -> Scorer:
    """Give every recording the frequencies of the training recordings."""
    shares = training[1].mean(axis=0, dtype=np.float64).astype(np.float32)
    return lambda given: np.tile(shares, (len(given), 1))


def train_boosting(training: Part, held_out: Part, settings: RowSettings, seed: int) -> Scorer:
    """Boost trees on hand-made features, one model a label.

    Raises
    ------
    ConfigError
        If scikit-learn is not installed.
    """
    n_labels = training[1].shape[1]
    models = [_boost(training, held_out, label, settings.n_boosting_rounds, seed=seed) for label in range(n_labels)]
    return lambda given: np.stack([model(given) for model in models], axis=1)


def _boost(training: Part, held_out: Part, label: int, n_rounds: int, *, seed: int) -> Scorer:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        raise ConfigError(
            "the row of gradient boosting needs scikit-learn; install it with \"pip install 'heartbert[evaluate]'\"."
        ) from error
    targets, held_targets = training[1][:, label], held_out[1][:, label]
    share = float(targets.mean())
    if share in {0.0, 1.0}:  # nothing to learn
        return lambda given: np.full(len(given), share, dtype=np.float32)
    model = HistGradientBoostingClassifier(
        learning_rate=_BOOSTING_RATE, max_iter=n_rounds, max_features=_BOOSTING_FEATURES, random_state=seed,
        early_stopping=False,
    )  # fmt: skip
    model.fit(training[0], targets)
    losses = [_log_loss(held_targets, found[:, 1]) for found in model.staged_predict_proba(held_out[0])]
    n_best = int(np.argmin(losses)) + 1

    def score(given: Values) -> Floats:
        stages = model.staged_predict_proba(given)
        found = next(probabilities for number, probabilities in enumerate(stages, 1) if number == n_best)
        return np.asarray(found[:, 1], dtype=np.float32)

    return score


def _log_loss(targets: Floats, probabilities: npt.NDArray[np.float64]) -> float:
    known = np.clip(np.where(targets > 0, probabilities, 1 - probabilities), 1e-7, 1.0)
    return float(-np.mean(np.log(known)))


def train_raw_cnn(training: Part, held_out: Part, settings: RowSettings, seed: int) -> Scorer:
    """Train a small network on the raw signals."""
    return train_cnn(training, held_out, settings.cnn, seed=seed)


def train_head(training: Part, held_out: Part, settings: RowSettings, seed: int) -> Scorer:
    """Train attention over the embeddings of the leads."""
    network = train_lead_attention(
        *_masked(training[0]),
        training[1],
        validation=(*_masked(held_out[0]), held_out[1]),
        kind="multi",
        config=settings.head,
        seed=seed,
    )
    return lambda given: torch.sigmoid(torch.from_numpy(score_leads(network, *_masked(given)))).numpy()


def _masked(embeddings: Values) -> tuple[Floats, npt.NDArray[np.bool_]]:
    mask = np.asarray(np.isfinite(embeddings).all(axis=-1), dtype=np.bool_)
    return embeddings.astype(np.float32, copy=False), mask


PREVALENCE, BOOSTING, CNN = "prevalence", "hand-made features, gradient boosting", "CNN on the raw signals"
RANDOM, OURS = "encoder of random weights, attention over leads", "heartbert, frozen, attention over leads"
ROWS: dict[str, Row] = {
    PREVALENCE: Row("nothing", train_prevalence, has_seeds=False),
    BOOSTING: Row("features", train_boosting),
    CNN: Row("signals", train_raw_cnn),
    RANDOM: Row("random encoder", train_head),
    OURS: Row("encoder", train_head),
}
"""In the order of the table."""
