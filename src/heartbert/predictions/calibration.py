"""Stage 7 of 7: embeddings -> predictions. Probabilities that mean what they say, and how far they do.

A network's probabilities are usually too high. Dividing its scores by one number, the temperature, mends most of that
and leaves every beat in the class it had (Guo et al., ICML 2017). How well it works is told by reliability: of all
beats that were given their class with a probability near 0.8, about 80 % should be right.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Bins of the expected calibration error: equal widths from 0 to 1.
N_BINS = 15
# Limits within which a temperature is looked for.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
# Limits of confidence for which risk and coverage are given.
CONFIDENCE_LIMITS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)
# Probability below which a float32 is 0, so that its logarithm exists.
_SMALLEST = 1e-38

Probabilities = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ReliabilityBin:
    """Beats whose class was given with a probability in one of the `N_BINS` bins.

    Attributes
    ----------
    n_beats : int
        At least 1: empty bins are left out.
    confidence : float
        Mean probability of the class that each was given.
    accuracy : float
        Share of them whose class was right.
    """

    n_beats: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class RiskPoint:
    """What abstaining below a confidence does: coverage is the share of beats kept, risk the share of those wrong.

    The risk is None where no beat is kept.
    """

    min_confidence: float
    coverage: float
    risk: float | None


@dataclass(frozen=True)
class Calibration:
    """The temperature of a head and what its probabilities are worth, on recordings it was not trained on.

    Attributes
    ----------
    temperature : float
    n_beats : int
        Beats of the validation recordings that have a reference class.
    ece : float
        Expected calibration error at that temperature: the mean over beats of the distance between confidence and
        accuracy of their bin. The temperature was fitted on the same beats.
    ece_uncalibrated : float
        The same at temperature 1.
    ece_left_out : float or None
        The same where each recording's temperature was fitted on the others; None with fewer than two recordings.
    reliability : tuple of ReliabilityBin
        By rising confidence.
    risk_coverage : tuple of RiskPoint
        One for each of `CONFIDENCE_LIMITS`.
    """

    temperature: float
    n_beats: int
    ece: float
    ece_uncalibrated: float
    ece_left_out: float | None
    reliability: tuple[ReliabilityBin, ...]
    risk_coverage: tuple[RiskPoint, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain numbers, lists and dictionaries."""
        return asdict(self)


def calibration_from_json(content: dict[str, Any]) -> Calibration:
    """Build a calibration from what `Calibration.as_json` returned.

    Raises
    ------
    KeyError, TypeError
        If something is missing or unknown.
    """
    return Calibration(
        **{
            **content,
            "reliability": tuple(ReliabilityBin(**row) for row in content["reliability"]),
            "risk_coverage": tuple(RiskPoint(**row) for row in content["risk_coverage"]),
        }
    )


def apply_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return probabilities whose logarithms are divided by a temperature; above 1 they become more even.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (n_beats, n_classes)
    temperature : float
        Above 0.

    Returns
    -------
    probabilities : ndarray of float32, same shape
        Each row sums to 1; its order is kept.

    Examples
    --------
    >>> apply_temperature(np.array([[0.9, 0.1]], dtype=np.float32), 2.0).round(2)
    array([[0.75, 0.25]], dtype=float32)
    """
    return np.exp(_log_softmax(_logarithms(probabilities) / temperature)).astype(np.float32)


def fit_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """Find the temperature at which the probabilities of the true classes are highest together.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (n_beats, n_classes)
        At temperature 1.
    labels : ndarray of int64, shape (n_beats,)
        True classes.

    Returns
    -------
    temperature : float
        Between `LOWEST_TEMPERATURE` and `HIGHEST_TEMPERATURE`; 1 without any beat.
    """
    from scipy.optimize import minimize_scalar

    if labels.size == 0:
        return 1.0
    logarithms = _logarithms(probabilities)
    rows = np.arange(labels.size)

    def loss(sharpness: float) -> float:  # the mean negative log-likelihood is convex in 1 / temperature
        return -float(_log_softmax(logarithms * sharpness)[rows, labels].mean())

    found = minimize_scalar(loss, bounds=(1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE), method="bounded")
    return 1.0 / float(found.x)


def reliability_bins(probabilities: Probabilities, labels: Labels) -> tuple[ReliabilityBin, ...]:
    """Sort beats into bins by their highest probability; empty bins are left out.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (n_beats, n_classes)
    labels : ndarray of int64, shape (n_beats,)
    """
    confidence = probabilities.max(axis=1, initial=0).astype(np.float64)
    right = np.argmax(probabilities, axis=1) == labels if labels.size else np.empty(0, dtype=np.bool_)
    number = np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)
    return tuple(
        ReliabilityBin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))
        for inside in (number == index for index in np.unique(number))
    )


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the mean distance between confidence and accuracy, each bin weighted by its beats (Naeini et al., 2015).

    Examples
    --------
    >>> round(expected_calibration_error([ReliabilityBin(3, 0.9, 0.8), ReliabilityBin(1, 0.5, 0.5)]), 3)
    0.075
    """
    n_beats = sum(row.n_beats for row in bins)
    return sum(row.n_beats * abs(row.confidence - row.accuracy) for row in bins) / max(n_beats, 1)


def risk_coverage(probabilities: Probabilities, labels: Labels) -> tuple[RiskPoint, ...]:
    """Say for each of `CONFIDENCE_LIMITS` how many beats keep their class, and how many of those are wrong."""
    confidence = probabilities.max(axis=1, initial=0)
    wrong = np.argmax(probabilities, axis=1) != labels if labels.size else np.empty(0, dtype=np.bool_)
    points = []
    for limit in CONFIDENCE_LIMITS:
        kept = confidence >= limit
        risk = float(wrong[kept].mean()) if kept.any() else None
        points.append(RiskPoint(limit, float(kept.mean()) if kept.size else 0.0, risk))
    return tuple(points)


def calibrate(recordings: Sequence[tuple[Probabilities, Labels]]) -> Calibration:
    """Fit a temperature on validation recordings and measure what it does.

    Parameters
    ----------
    recordings : sequence of (probabilities, labels)
        For each recording shapes (n_beats, n_classes), at temperature 1, and (n_beats,); beats without a reference
        class left out.
    """
    recordings = [(probabilities, labels) for probabilities, labels in recordings if labels.size]
    if not recordings:
        return Calibration(1.0, 0, 0.0, 0.0, None, (), risk_coverage(np.empty((0, 1), np.float32), np.empty(0, int)))
    probabilities, labels = _pooled(recordings)
    temperature = fit_temperature(probabilities, labels)
    calibrated = apply_temperature(probabilities, temperature)
    bins = reliability_bins(calibrated, labels)
    return Calibration(
        temperature=temperature,
        n_beats=int(labels.size),
        ece=expected_calibration_error(bins),
        ece_uncalibrated=expected_calibration_error(reliability_bins(probabilities, labels)),
        ece_left_out=_ece_left_out(recordings),
        reliability=bins,
        risk_coverage=risk_coverage(calibrated, labels),
    )


def _ece_left_out(recordings: Sequence[tuple[Probabilities, Labels]]) -> float | None:
    if len(recordings) < 2:
        return None
    parts = []
    for index, (probabilities, labels) in enumerate(recordings):
        temperature = fit_temperature(*_pooled([*recordings[:index], *recordings[index + 1 :]]))
        parts.append((apply_temperature(probabilities, temperature), labels))
    return expected_calibration_error(reliability_bins(*_pooled(parts)))


def _pooled(recordings: Sequence[tuple[Probabilities, Labels]]) -> tuple[Probabilities, Labels]:
    return np.concatenate([one[0] for one in recordings]), np.concatenate([one[1] for one in recordings])


def _logarithms(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    return np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))


def _log_softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
