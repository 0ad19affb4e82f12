"""Histograms of known shape, and the switch between compiled and plain loops, for the tests of stage 3."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pytest

from heartbert.levels import Codebook

Counts = npt.NDArray[np.int64]


def centres(counts: Counts) -> npt.NDArray[np.float64]:
    """Return the amplitude at the centre of each bin."""
    return (np.arange(counts.size) + 0.5) / counts.size


def laplace(n_bins: int = 1024) -> Counts:
    """Return a histogram with a sharp peak and long tails, as an ECG's is."""
    distances = np.abs(centres(np.zeros(n_bins, dtype=np.int64)) - 0.45)
    return np.round(1e5 * np.exp(-distances / 0.05)).astype(np.int64)


def gaussian(n_bins: int = 1 << 14) -> Counts:
    """Return a smooth histogram."""
    distances = (centres(np.zeros(n_bins, dtype=np.int64)) - 0.5) / 0.1
    return np.round(1e6 * np.exp(-(distances**2) / 2)).astype(np.int64)


def comb(n_bins: int = 1 << 12, seed: int = 0) -> Counts:
    """Return the histogram of a coarse converter: few amplitudes, one of them far more frequent than the others."""
    rng = np.random.default_rng(seed)
    counts = np.zeros(n_bins, dtype=np.int64)
    counts[rng.choice(n_bins, 300, replace=False)] = rng.integers(1, 1000, 300)
    counts[n_bins // 3] = 10**6
    return counts


def squared_error(counts: Counts, codebook: Codebook) -> float:
    """Return the squared error of a codebook, summed over a histogram."""
    cells = np.searchsorted(codebook.thresholds, centres(counts), side="right")
    return float((counts * (centres(counts) - np.asarray(codebook.values)[cells]) ** 2).sum())


@contextmanager
def without_numba() -> Iterator[None]:
    """Take the plain path, as where numba is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("codebook", "optimal"):
            patch.setattr(f"heartbert.levels.{module}.has_numba", lambda: False)
        yield
