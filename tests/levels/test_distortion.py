"""Distortion and entropy are those of the samples."""

import math

import numpy as np
import pytest

from heartbert.errors import SignalValueError
from heartbert.levels import Codebook, Histogram, cell_counts, distortion, entropy_bits, fit_lloyd_max

HALVES = Codebook((0.5,), (0.25, 0.75))


def test_distortion_is_that_of_the_samples_themselves() -> None:
    """A histogram stands for the samples: measured one by one they give the same ratio."""
    signal = np.random.default_rng(0).beta(2, 5, 50_000).astype(np.float32)
    histogram = Histogram()
    histogram.add(signal)
    codebook = fit_lloyd_max(histogram.counts, 100)

    found = distortion(codebook, histogram.counts)

    errors = codebook.dequantize(codebook.quantize(signal)) - signal.astype(np.float64)
    assert found.mse == pytest.approx((errors**2).mean(), rel=0.01)
    assert found.snr_db == pytest.approx(10 * np.log10(signal.var(dtype=float) / (errors**2).mean()), abs=0.01)


def test_distortion_of_a_small_case() -> None:
    """Bins at 1/8, 3/8, 5/8, 7/8 decode to 1/4 and 3/4: every error is 1/8, the variance 5/64."""
    found = distortion(HALVES, np.array([2, 2, 2, 2]))

    assert found.mse == pytest.approx(1 / 64)
    assert found.snr_db == pytest.approx(10 * math.log10(5))


def test_distortion_is_infinite_where_nothing_is_lost() -> None:
    """Two amplitudes, two levels."""
    assert distortion(HALVES, np.array([3, 4])).snr_db == math.inf


def test_distortion_is_minus_infinite_where_a_constant_is_changed() -> None:
    """A constant has no variance to compare the error with."""
    assert distortion(HALVES, np.array([0, 3, 0, 0])).snr_db == -math.inf


def test_cell_counts_are_those_of_the_levels() -> None:
    """Counts of levels are what the alphabet of a text is judged by."""
    signal = (np.random.default_rng(0).integers(0, 256, 1000).astype(np.float32) + 0.5) / 256
    histogram = Histogram(256)
    histogram.add(signal)
    codebook = fit_lloyd_max(histogram.counts, 10)

    found = cell_counts(codebook, histogram.counts)

    assert found.tolist() == np.bincount(codebook.quantize(signal), minlength=10).tolist()
    assert found.dtype == np.int64


def test_cell_counts_show_levels_that_are_never_used() -> None:
    """Counts have one entry a level, the last ones too."""
    assert cell_counts(Codebook((0.5, 0.9), (0.1, 0.6, 0.95)), np.array([7, 0, 0, 0])).tolist() == [7, 0, 0]


@pytest.mark.parametrize(("counts", "bits"), [([5], 0.0), ([5, 5], 1.0), ([5, 5, 0, 10], 1.5), ([3] * 64, 6.0)])
def test_entropy_of_known_shares(counts: list[int], bits: float) -> None:
    """What never occurs adds nothing."""
    assert entropy_bits(np.array(counts)) == pytest.approx(bits)


def test_nothing_is_measured_on_nothing() -> None:
    """An average over no sample is not a number."""
    empty = np.zeros(4, dtype=np.int64)

    with pytest.raises(SignalValueError, match="the histogram is empty"):
        distortion(HALVES, empty)
    with pytest.raises(SignalValueError, match="the histogram is empty"):
        entropy_bits(empty)
