"""The rows of a table of sleep staging: our head with each input, and what it has to beat."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError
from heartbert.predictions.sleep_labels import STAGE_SETS, StageSetName
from heartbert.predictions.sleep_night import Night, SleepInput
from heartbert.predictions.sleep_stages import stage_sleep
from heartbert.training.sleep import LabelledNight, train_sleep_head
from heartbert.training.sleep_config import SleepConfig

Probabilities = Mapping[StageSetName, npt.NDArray[np.float32]]
Stager = Callable[[Night], Probabilities]
Trainer = Callable[[Sequence[LabelledNight], SleepConfig], Stager]

MAJORITY, BOOSTING = "majority class", "heart-rate variability, gradient boosting"
# Settings of the boosting that were not tuned: scikit-learn's own but for fewer, slower steps.
_BOOSTING_STEPS, _BOOSTING_RATE = 150, 0.05


def train_majority(nights: Sequence[LabelledNight], config: SleepConfig) -> Stager:
    """Give every epoch the class frequencies of the training nights."""
    stages = np.concatenate([night.stages for night in nights])
    shares: dict[StageSetName, npt.NDArray[np.float32]] = {}
    for name, stage_set in STAGE_SETS.items():
        labels = stage_set.labels(stages[stages >= 0])
        counts = np.bincount(labels, minlength=len(stage_set.classes))
        shares[name] = (counts / counts.sum()).astype(np.float32)

    def stage(night: Night) -> Probabilities:
        return {name: np.tile(share, (night.n_epochs, 1)) for name, share in shares.items()}

    return stage


def train_boosting(nights: Sequence[LabelledNight], config: SleepConfig) -> Stager:
    """Boost trees on the features of each epoch alone; no sequence model.

    Raises
    ------
    ConfigError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        raise ConfigError(
            "the row of gradient boosting needs scikit-learn; install it with 'pip install scikit-learn'."
        ) from error
    features = np.concatenate([night.night.features for night in nights])
    stages = np.concatenate([night.stages for night in nights])
    rows, known = features[stages >= 0], stages[stages >= 0]
    models = {}
    for name, stage_set in STAGE_SETS.items():
        model = HistGradientBoostingClassifier(
            max_iter=_BOOSTING_STEPS, learning_rate=_BOOSTING_RATE, random_state=config.seed
        )
        drawn = np.random.default_rng(config.seed).choice(len(rows), len(rows))  # else all seeds give one model
        models[name] = model.fit(rows[drawn], stage_set.labels(known[drawn]))

    def stage(night: Night) -> Probabilities:
        return {
            name: _all_classes(model.predict_proba(night.features), model.classes_, len(STAGE_SETS[name].classes))
            for name, model in models.items()
        }

    return stage


def _all_classes(
    found: npt.NDArray[np.float64], classes: npt.NDArray[np.int64], n_classes: int
) -> npt.NDArray[np.float32]:
    """Put probabilities of the classes that training has in the columns of all."""
    probabilities = np.zeros((found.shape[0], n_classes), dtype=np.float32)
    probabilities[:, classes] = found
    return probabilities


def train_ours(
    inputs: SleepInput, nights: Sequence[LabelledNight], config: SleepConfig, *, calibrated: bool = True
) -> Stager:
    """Train our head with some of its inputs, its temperature on held-out training persons."""
    head = train_sleep_head(nights, config, inputs=inputs, calibrated=calibrated)

    def stage(night: Night) -> Probabilities:
        return stage_sleep(head, night.seen_by(inputs)).probabilities

    return stage


def ours(inputs: SleepInput, *, calibrated: bool = True) -> Trainer:
    """Return the trainer of our head with some of its inputs."""
    return partial(train_ours, inputs, calibrated=calibrated)


BASELINES: MappingProxyType[str, Trainer] = MappingProxyType({MAJORITY: train_majority, BOOSTING: train_boosting})
"""Rows that need no encoder, by name; our head on ``beats`` is the BiLSTM without encoder."""
