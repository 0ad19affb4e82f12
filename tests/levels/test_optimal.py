"""The search for the best cells finds them, compiled or not, though it leaves most cells untried."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heartbert.levels import distortion, fit_lloyd_max
from tests.levels.examples import Counts, centres, comb, gaussian, laplace, squared_error, without_numba


def _naive_optimum(counts: Counts, n_levels: int) -> float:
    """Return the least squared error of any `n_levels` cells: the textbook programme, three plain loops."""
    points, weights = centres(counts)[counts > 0], counts[counts > 0]
    n_points = points.size

    def cost(start: int, stop: int) -> float:
        mean = np.average(points[start:stop], weights=weights[start:stop])
        return float((weights[start:stop] * (points[start:stop] - mean) ** 2).sum())

    best = [0.0] + [np.inf] * n_points
    for _ in range(n_levels):
        errors = [np.inf] * (n_points + 1)
        for stop in range(1, n_points + 1):
            errors[stop] = min(best[start] + cost(start, stop) for start in range(stop))
        best = errors
    return best[n_points]


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.int64, st.integers(3, 12), elements=st.integers(0, 50)), st.integers(2, 6))
def test_fit_reaches_the_global_optimum_of_small_histograms(counts: Counts, n_levels: int) -> None:
    """The search leaves most cells untried because it may; the textbook version tries them all."""
    counts[0] += 1

    codebook = fit_lloyd_max(counts, n_levels)

    if np.count_nonzero(counts) > n_levels:
        assert squared_error(counts, codebook) == pytest.approx(_naive_optimum(counts, n_levels), rel=1e-9, abs=1e-9)
    else:
        assert squared_error(counts, codebook) <= counts.sum() * (0.5 / counts.size) ** 2


def test_fit_reaches_the_global_optimum_of_a_rough_histogram() -> None:
    """Sixty amplitudes of very different weight: more than small cases that may be right by luck."""
    counts = np.random.default_rng(0).pareto(0.5, 60).astype(np.int64) + 1

    error = squared_error(counts, fit_lloyd_max(counts, 9))

    assert error == pytest.approx(_naive_optimum(counts, 9), rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.int64, st.integers(3, 80), elements=st.integers(0, 10**9)), st.integers(2, 20))
def test_compiled_and_plain_search_agree_to_the_last_bit(counts: Counts, n_levels: int) -> None:
    """A codebook may not depend on whether numba is installed."""
    counts[0] += 1

    compiled = fit_lloyd_max(counts, n_levels)
    with without_numba():
        plain = fit_lloyd_max(counts, n_levels)

    assert compiled == plain


@pytest.mark.parametrize("counts", [laplace(), gaussian(4096), comb()], ids=["laplace", "gaussian", "comb"])
@pytest.mark.parametrize("n_levels", [2, 100, 256])
def test_compiled_and_plain_search_agree_on_large_histograms(counts: Counts, n_levels: int) -> None:
    """Here ties and rounding meet long searches."""
    compiled = fit_lloyd_max(counts, n_levels)
    with without_numba():
        plain = fit_lloyd_max(counts, n_levels)

    assert compiled == plain


def test_default_resolution_costs_less_than_a_hundredth_of_a_decibel() -> None:
    """Sixteen thousand bins are enough: 65,536 do not find visibly better levels."""
    fine = gaussian(1 << 16)
    coarse = fine.reshape(-1, 4).sum(axis=1)

    loss_db = distortion(fit_lloyd_max(fine, 100), fine).snr_db - distortion(fit_lloyd_max(coarse, 100), fine).snr_db

    assert 0 <= loss_db < 0.01
