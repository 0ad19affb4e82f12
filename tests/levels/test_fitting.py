"""The quantiser is as good as any of its size can be, and the others are what their names say."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heartbert.errors import ConfigError, SignalValueError
from heartbert.levels import METHODS, Codebook, Method, cell_counts, distortion, fit_codebook, fit_lloyd_max
from tests.levels.examples import Counts, centres, comb, gaussian, laplace, squared_error

every_method = pytest.mark.parametrize("method", METHODS)
# Methods whose values are exactly the means of their cells.
MEANS: tuple[Method, ...] = ("quantile", "panter-dite", "lloyd-uniform", "lloyd-quantile", "lloyd-panter-dite")


def _means(counts: Counts, codebook: Codebook) -> npt.NDArray[np.float64]:
    """Return the mean amplitude of each cell; the codebook's own value where it is empty."""
    cells = np.searchsorted(codebook.thresholds, centres(counts), side="right")
    mass = np.bincount(cells, counts, codebook.n_levels)
    sums = np.bincount(cells, counts * centres(counts), codebook.n_levels)
    return np.where(mass > 0, sums / np.maximum(mass, 1), codebook.values)


@pytest.mark.parametrize("n_levels", [4, 16, 64])
def test_fit_is_never_worse_than_lloyds_iteration_from_random_starts(n_levels: int) -> None:
    """Lloyd's method stops in local optima; the name is borrowed only for its conditions."""
    counts = laplace()
    starts = np.sort(np.random.default_rng(0).uniform(0, 1, (3, n_levels)), axis=1)

    def lloyd(values: npt.NDArray[np.float64]) -> float:
        for _ in range(200):
            values = np.sort(_means(counts, Codebook(tuple((values[1:] + values[:-1]) / 2), tuple(values))))
        return squared_error(counts, Codebook(tuple((values[1:] + values[:-1]) / 2), tuple(values)))

    error = squared_error(counts, fit_lloyd_max(counts, n_levels))

    assert error <= min(lloyd(start) for start in starts) * (1 + 1e-9)


@pytest.mark.parametrize("n_levels", [2, 7, 100])
def test_fit_satisfies_both_conditions_of_max(n_levels: int) -> None:
    """Each value is the mean of its cell, each threshold lies halfway between two values."""
    counts = laplace()

    codebook = fit_lloyd_max(counts, n_levels)

    values = np.asarray(codebook.values)
    assert values == pytest.approx(_means(counts, codebook), abs=1 / counts.size)
    assert codebook.thresholds == pytest.approx((values[1:] + values[:-1]) / 2)


@every_method
@settings(max_examples=40, deadline=None)
@given(counts=hnp.arrays(np.int64, st.integers(1, 200), elements=st.integers(0, 10**6)), n_levels=st.integers(2, 256))
def test_every_method_gives_a_codebook_and_none_beats_the_optimum(
    method: Method, counts: Counts, n_levels: int
) -> None:
    """Ties, gaps, and fewer amplitudes than levels: a codebook of the size asked for, at most as good as the best."""
    counts[0] += 1

    codebook = fit_codebook(counts, n_levels, method)

    best = squared_error(counts, fit_lloyd_max(counts, n_levels))
    assert codebook.n_levels == n_levels
    assert 0 <= codebook.values[0] < codebook.values[-1] <= 1
    assert squared_error(counts, codebook) >= best * (1 - 1e-6) - 1e-12


@every_method
@pytest.mark.parametrize("counts", [laplace(), comb()], ids=["laplace", "comb"])
def test_no_method_beats_the_optimum(method: Method, counts: Counts) -> None:
    """The table that compares quantisers has its best row by construction."""
    best, found = (distortion(fit_codebook(counts, 64, name), counts).snr_db for name in ("lloyd-max", method))

    assert found <= best + 1e-9


@every_method
@pytest.mark.parametrize("n_levels", [2, 3, 256])
@pytest.mark.parametrize("at", [0, 8000, 16383])
def test_every_method_accepts_a_constant_signal(method: Method, n_levels: int, at: int) -> None:
    """One amplitude still gives a codebook of the size asked for, which float32 does not blur."""
    counts = np.zeros(16384, dtype=np.int64)
    counts[at] = 10**6

    codebook = fit_codebook(counts, n_levels, method)

    amplitude = np.array([(at + 0.5) / 16384], dtype=np.float32)
    assert codebook.n_levels == n_levels
    assert codebook.dequantize(codebook.quantize(amplitude)) == pytest.approx(amplitude, abs=1 / n_levels)


@pytest.mark.parametrize("method", ["lloyd-max", *MEANS])
def test_methods_that_decode_to_means_give_each_amplitude_its_own_level_where_there_are_enough(method: Method) -> None:
    """An old recording may use forty steps of its converter; nothing is lost then."""
    counts = np.zeros(1000, dtype=np.int64)
    counts[[100, 400, 610]] = 7, 1, 5

    codebook = fit_codebook(counts, 8, method)

    amplitudes = centres(counts)[[100, 400, 610]].astype(np.float32)
    assert codebook.dequantize(codebook.quantize(amplitudes)) == pytest.approx(amplitudes)
    assert distortion(codebook, counts).mse == pytest.approx(0, abs=1e-30)


@pytest.mark.parametrize("method", ["lloyd-max", "quantile", "panter-dite"])
@pytest.mark.parametrize("counts", [laplace(), gaussian(4096), comb()], ids=["laplace", "gaussian", "comb"])
def test_no_cell_is_empty(method: Method, counts: Counts) -> None:
    """A level that never occurs is a letter wasted."""
    assert cell_counts(fit_codebook(counts, 100, method), counts).min() > 0


@pytest.mark.parametrize("method", MEANS)
@pytest.mark.parametrize("counts", [gaussian(4096), comb()], ids=["gaussian", "comb"])
def test_values_are_the_means_of_their_cells(method: Method, counts: Counts) -> None:
    """Any other value would lose more, and the comparison of cells would be unfair."""
    codebook = fit_codebook(counts, 32, method)

    assert codebook.values == pytest.approx(_means(counts, codebook), abs=1e-9)


@pytest.mark.parametrize(
    ("start", "method"),
    [("uniform", "lloyd-uniform"), ("quantile", "lloyd-quantile"), ("panter-dite", "lloyd-panter-dite")],
)
def test_lloyds_iteration_improves_its_start_and_comes_to_rest(start: Method, method: Method) -> None:
    """A fixed point satisfies both of Max's conditions, and is still not the optimum."""
    counts = laplace(4096)

    codebook = fit_codebook(counts, 64, method)

    values = np.asarray(codebook.values)
    assert squared_error(counts, codebook) < squared_error(counts, fit_codebook(counts, 64, start))
    assert codebook.thresholds == pytest.approx((values[1:] + values[:-1]) / 2)
    assert values == pytest.approx(_means(counts, codebook), abs=1e-9)


def test_uniform_levels_are_even_steps() -> None:
    """They do not depend on the signal."""
    codebook = fit_codebook(laplace(), 4, "uniform")

    assert codebook == Codebook((0.25, 0.5, 0.75), (0.125, 0.375, 0.625, 0.875))


def test_quantile_levels_are_equally_frequent() -> None:
    """Equal frequency is what the published notebooks do under the name of Lloyd and Max."""
    counts = gaussian()

    shares = cell_counts(fit_codebook(counts, 100, "quantile"), counts) / counts.sum()

    assert shares == pytest.approx(0.01, abs=1e-3)


def test_quantile_thresholds_are_those_of_sorted_samples() -> None:
    """Sample ``n_samples * k / n_levels`` in order is the first of cell ``k``, as in the published notebooks."""
    counts = np.array([3, 0, 1, 2, 0, 2, 4])  # sorted: 0 0 0 | 2 3 3 | 5 5 6 | 6 6 6, and the third cut is within 6

    codebook = fit_codebook(counts, 4, "quantile")

    assert cell_counts(codebook, counts).tolist() == [3, 3, 2, 4]
    assert codebook.thresholds == pytest.approx((np.array([1, 4, 5.5]) + 0.5) / 7)


@pytest.mark.parametrize("n_levels", [16, 100, 256])
def test_panter_dite_comes_close_to_the_optimum_of_a_smooth_density(n_levels: int) -> None:
    """Its theory is the limit of many levels: within 0.2 dB of the optimum from 16 levels on."""
    counts = gaussian(1 << 16)

    found, best = (distortion(fit_codebook(counts, n_levels, m), counts).snr_db for m in ("panter-dite", "lloyd-max"))

    assert best - 0.2 < found <= best


def test_optimum_of_a_gaussian_is_that_of_the_tables() -> None:
    """Max (1960), table I: 4 levels give a mean squared error of 0.1175, 16 levels 0.009497 of the variance."""
    counts = gaussian()

    snr_db = [distortion(fit_lloyd_max(counts, n_levels), counts).snr_db for n_levels in (4, 16)]

    assert snr_db == pytest.approx(-10 * np.log10([0.1175, 0.009497]), abs=0.01)


def test_mu_law_is_fine_around_the_median_and_reaches_both_ends() -> None:
    """With mu = 255 steps grow 256-fold from the baseline to either end."""
    counts = laplace()

    codebook = fit_codebook(counts, 100, "mu-law")

    steps = np.diff(codebook.thresholds)
    median = centres(counts)[np.searchsorted(np.cumsum(counts), counts.sum() / 2)]
    assert codebook.thresholds[49] == pytest.approx(median)
    assert 0 < codebook.values[0] < 0.03
    assert 0.97 < codebook.values[-1] < 1
    assert steps[-1] / steps[49] == pytest.approx(256 ** (48 / 50), rel=1e-6)


def test_fit_beats_even_and_equally_frequent_levels_on_a_skewed_signal() -> None:
    """The reason for this quantiser: on amplitudes distributed as an ECG's it is more than a decibel better."""
    counts = laplace()

    best, even, equal = (
        distortion(fit_codebook(counts, 16, method), counts).snr_db for method in ("lloyd-max", "uniform", "quantile")
    )

    assert best - max(even, equal) > 1.0


@pytest.mark.parametrize("n_levels", [2, 256])
def test_fit_works_at_both_ends_of_the_range_of_levels(n_levels: int) -> None:
    """Levels are stored as uint8 and text has 256 letters."""
    codebook = fit_lloyd_max(laplace(2048), n_levels)

    levels = codebook.quantize(np.array([0.0, 1.0], dtype=np.float32))
    assert levels.tolist() == [0, n_levels - 1]


@every_method
@pytest.mark.parametrize("n_levels", [1, 0, 257])
def test_fit_refuses_a_number_of_levels_out_of_range(method: Method, n_levels: int) -> None:
    """Text has 256 letters, and one level says nothing."""
    with pytest.raises(ConfigError, match=rf"n_levels is {n_levels}; a codebook has 2 to 256 levels"):
        fit_codebook(laplace(), n_levels, method)


@every_method
def test_fit_refuses_an_empty_histogram(method: Method) -> None:
    """A corpus without one scorable sample has no codebook, not even an even one."""
    with pytest.raises(SignalValueError, match="the histogram is empty"):
        fit_codebook(np.zeros(64, dtype=np.int64), 4, method)


def test_fit_refuses_an_unknown_method_and_names_the_known_ones() -> None:
    """Methods are chosen by name in configurations."""
    with pytest.raises(ConfigError, match="quantiser method is 'max'; choose one of lloyd-max, lloyd-uniform, "):
        fit_codebook(laplace(), 4, "max")  # type: ignore[arg-type]
