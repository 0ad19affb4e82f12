"""Stage 7 of 7: embeddings -> predictions. Where a sleep head comes from, and how far it agrees with a person."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from heartbert.predictions.sleep_labels import STAGE_SETS, StageSetName

SCORES = ("accuracy", "kappa", "macro_f1")
"""Names of the scores by which agreement is told."""


@dataclass(frozen=True)
class Interval:
    """A score with its 95 % interval over persons."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class SleepAgreement:
    """Agreement with stages that a person scored, measured on persons that were left out of training.

    Attributes
    ----------
    database : str
    n_persons, n_epochs : int
        Who was tested, and on how many epochs.
    encoder : str or None
        Name of the bundle whose encoder was used; None where the result does not say it, or for a head of beats alone.
    scores : dict
        By set of classes, then by name as in `SCORES`.
    """

    database: str
    n_persons: int
    n_epochs: int
    encoder: str | None
    scores: dict[StageSetName, dict[str, Interval]]


@dataclass(frozen=True)
class SleepOrigin:
    """Who a sleep head was trained on, and what its hypnograms are worth.

    Attributes
    ----------
    database : str
    n_persons : int
    who : str
        The persons in words, for example ``"men examined for sleep apnoea"``.
    agreement : SleepAgreement or None
        None where it was not measured.
    """

    database: str
    n_persons: int
    who: str
    agreement: SleepAgreement | None

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain numbers and dictionaries."""
        return asdict(self)


def origin_from_json(content: Mapping[str, Any]) -> SleepOrigin:
    """Build an origin from what `SleepOrigin.as_json` returned.

    Raises
    ------
    KeyError, TypeError
        If something is missing or unknown.
    """
    told = content["agreement"]
    agreement = None if told is None else SleepAgreement(**{**told, "scores": read_scores(told["scores"])})
    return SleepOrigin(**{**content, "agreement": agreement})


def read_scores(row: Mapping[str, Any]) -> dict[StageSetName, dict[str, Interval]]:
    """Pick the scores of every set of classes out of a row of a result of `heartbert evaluate sleep`.

    Raises
    ------
    KeyError, TypeError
        If one is missing.
    """
    return {
        of: {name: Interval(*(float(row[of][name][part]) for part in ("mean", "low", "high"))) for name in SCORES}
        for of in STAGE_SETS
    }
