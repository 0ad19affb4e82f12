"""What a codebook loses on counted amplitudes, and how many bits its levels carry."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.errors import SignalValueError
from heartbert.levels.codebook import Codebook
from heartbert.levels.histogram import bin_centres


@dataclass(frozen=True)
class Distortion:
    """How far decoded amplitudes lie from the true ones.

    Attributes
    ----------
    mse : float
        Mean squared error, unitless (amplitude after scaling, squared).
    snr_db : float
        Variance of the amplitudes over the mean squared error, in dB; infinite where nothing is lost, and minus
        infinite where a constant signal does not decode to itself.
    """

    mse: float
    snr_db: float


def distortion(codebook: Codebook, counts: npt.NDArray[np.int64]) -> Distortion:
    """Measure what a codebook loses on a histogram, each sample taken at the centre of its bin.

    Parameters
    ----------
    codebook : Codebook
    counts : ndarray of int64, shape (n_bins,)
        Histogram over [0, 1].

    Returns
    -------
    distortion : Distortion

    Raises
    ------
    SignalValueError
        If the histogram is empty.
    """
    _check(counts)
    centres = bin_centres(counts.size)
    errors = centres - np.asarray(codebook.values)[_cells(codebook, counts.size)]
    mse = float(np.average(errors**2, weights=counts))
    variance = float(np.average((centres - np.average(centres, weights=counts)) ** 2, weights=counts))
    if mse == 0:
        return Distortion(mse, math.inf)
    return Distortion(mse, 10 * math.log10(variance / mse) if variance > 0 else -math.inf)


def cell_counts(codebook: Codebook, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count the samples of a histogram at each level, each sample taken at the centre of its bin.

    Parameters
    ----------
    codebook : Codebook
    counts : ndarray of int64, shape (n_bins,)
        Histogram over [0, 1].

    Returns
    -------
    level_counts : ndarray of int64, shape (n_levels,)
    """
    level_counts = np.zeros(codebook.n_levels, dtype=np.int64)
    np.add.at(level_counts, _cells(codebook, counts.size), counts)
    return level_counts


def entropy_bits(counts: npt.NDArray[np.int64]) -> float:
    """Return the entropy of counted outcomes, such as `cell_counts`, in bits.

    Parameters
    ----------
    counts : ndarray of int64, shape (n_outcomes,)

    Raises
    ------
    SignalValueError
        If nothing was counted.

    Examples
    --------
    >>> entropy_bits(np.array([5, 5, 0, 10]))
    1.5
    """
    _check(counts)
    shares = counts[counts > 0] / counts.sum()
    return float(shares @ np.log2(1 / shares))


def _cells(codebook: Codebook, n_bins: int) -> npt.NDArray[np.int64]:
    """Give each bin the level of its centre."""
    return np.searchsorted(codebook.thresholds, bin_centres(n_bins), side="right")


def _check(counts: npt.NDArray[np.int64]) -> None:
    if not counts.any():
        raise SignalValueError("the histogram is empty; add at least one scorable signal before measuring.")
