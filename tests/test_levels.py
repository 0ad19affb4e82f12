"""The quantiser is exact, open at both ends, and as good as any quantiser of its size can be."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heartbert.errors import ConfigError, SignalValueError
from heartbert.levels import Codebook, Histogram, dequantize, fit_lloyd_max, quantize

Counts = npt.NDArray[np.int64]
# Thresholds halfway between values, as every fitted codebook has them.
EVEN = Codebook((0.25, 0.5, 0.75), (0.125, 0.375, 0.625, 0.875))


def _centres(counts: Counts) -> npt.NDArray[np.float64]:
    return (np.arange(counts.size) + 0.5) / counts.size


def _error(counts: Counts, codebook: Codebook) -> float:
    """Return the squared error of a codebook, summed over a histogram."""
    centres = _centres(counts)
    cells = np.searchsorted(codebook.thresholds, centres, side="right")
    return float((counts * (centres - np.asarray(codebook.values)[cells]) ** 2).sum())


def _naive_optimum(counts: Counts, n_levels: int) -> float:
    """Return the least squared error of any `n_levels` cells: the textbook programme, three plain loops."""
    points, weights = _centres(counts)[counts > 0], counts[counts > 0]
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


def _lloyd(counts: Counts, values: npt.NDArray[np.float64], n_iterations: int = 200) -> float:
    """Return the squared error that Lloyd's iteration reaches from the values given."""
    centres = _centres(counts)
    for _ in range(n_iterations):
        cells = np.searchsorted((values[1:] + values[:-1]) / 2, centres, side="right")
        mass = np.bincount(cells, counts, values.size)
        means = np.bincount(cells, counts * centres, values.size) / np.maximum(mass, 1)
        values = np.sort(np.where(mass > 0, means, values))
    cells = np.searchsorted((values[1:] + values[:-1]) / 2, centres, side="right")
    return float((counts * (centres - values[cells]) ** 2).sum())


def _laplace(n_bins: int = 1024) -> Counts:
    distances = np.abs(_centres(np.zeros(n_bins)) - 0.45)
    return np.round(1e5 * np.exp(-distances / 0.05)).astype(np.int64)


def test_quantize_gives_each_sample_its_cell_and_the_threshold_to_the_upper_one() -> None:
    """Cells are half-open, so every amplitude has exactly one level."""
    levels = EVEN.quantize(np.array([[0.1, 0.25, 0.3], [0.5, 0.74, 0.75]], dtype=np.float32))

    assert levels.tolist() == [[0, 1, 1], [2, 2, 3]]
    assert levels.dtype == np.uint8


def test_quantize_puts_amplitudes_outside_the_range_into_the_outer_cells() -> None:
    """The outer cells are open: a wave higher than any in training still has a level."""
    levels = EVEN.quantize(np.array([-5.0, 17.0], dtype=np.float32))

    assert levels.tolist() == [0, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_quantize_rejects_what_is_not_finite_and_names_the_first_position(value: float) -> None:
    """NaN would silently become the highest level."""
    signal = np.array([0.5, 0.5, value, 0.5, value], dtype=np.float32)

    with pytest.raises(SignalValueError, match=r"the signal is (nan|inf|-inf) first at sample 2; only finite"):
        EVEN.quantize(signal)


def test_dequantize_rejects_a_level_of_a_larger_codebook() -> None:
    """Levels of another codebook would decode to wrong amplitudes."""
    with pytest.raises(SignalValueError, match="level 4 found; the codebook has levels 0 to 3"):
        EVEN.dequantize(np.array([0, 4], dtype=np.uint8))


def test_quantize_and_dequantize_accept_nothing() -> None:
    """An empty signal has no levels, and that is no error."""
    levels = quantize(np.empty(0, dtype=np.float32), np.array([0.5], dtype=np.float32))

    assert levels.shape == (0,)
    assert dequantize(levels, np.array([0.2, 0.8], dtype=np.float32)).shape == (0,)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(0, 1, width=32)))
def test_dequantize_stays_within_half_a_cell(signal: npt.NDArray[np.float32]) -> None:
    """Text to signal and back may lose no more than the quantiser's step."""
    decoded = EVEN.dequantize(EVEN.quantize(signal))

    assert np.abs(decoded - signal).max() <= 0.125 + 1e-6


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.int64, st.integers(3, 12), elements=st.integers(0, 50)), st.integers(2, 6))
def test_fit_reaches_the_global_optimum_of_small_histograms(counts: Counts, n_levels: int) -> None:
    """The search leaves most cells untried because it may; the textbook version tries them all."""
    counts[0] += 1

    codebook = fit_lloyd_max(counts, n_levels)

    if np.count_nonzero(counts) > n_levels:
        assert _error(counts, codebook) == pytest.approx(_naive_optimum(counts, n_levels), rel=1e-9, abs=1e-9)
    else:
        assert _error(counts, codebook) <= counts.sum() * (0.5 / counts.size) ** 2


@pytest.mark.parametrize("n_levels", [4, 16, 64])
def test_fit_is_never_worse_than_lloyds_iteration(n_levels: int) -> None:
    """Lloyd's method stops in local optima; the name is borrowed only for its conditions."""
    counts = _laplace()
    rng = np.random.default_rng(0)
    starts = [np.linspace(0, 1, n_levels + 2)[1:-1], *np.sort(rng.uniform(0, 1, (3, n_levels)), axis=1)]

    error = _error(counts, fit_lloyd_max(counts, n_levels))

    assert error <= min(_lloyd(counts, start) for start in starts) * (1 + 1e-9)


@pytest.mark.parametrize("n_levels", [2, 7, 100])
def test_fit_satisfies_both_conditions_of_max(n_levels: int) -> None:
    """Each value is the mean of its cell, each threshold lies halfway between two values."""
    counts = _laplace()

    codebook = fit_lloyd_max(counts, n_levels)

    cells = np.searchsorted(codebook.thresholds, _centres(counts), side="right")
    means = np.bincount(cells, counts * _centres(counts)) / np.bincount(cells, counts)
    values = np.asarray(codebook.values)
    assert values == pytest.approx(means, abs=1 / counts.size)
    assert codebook.thresholds == pytest.approx((values[1:] + values[:-1]) / 2)


def test_fit_gives_each_amplitude_a_level_when_there_are_fewer_than_levels() -> None:
    """An old recording may use forty steps of its converter; nothing is lost then."""
    counts = np.zeros(1000, dtype=np.int64)
    counts[[100, 400, 410]] = 7, 1, 5

    codebook = fit_lloyd_max(counts, 8)

    amplitudes = _centres(counts)[[100, 400, 410]].astype(np.float32)
    assert codebook.n_levels == 8
    assert codebook.dequantize(codebook.quantize(amplitudes)) == pytest.approx(amplitudes)


@pytest.mark.parametrize("n_levels", [2, 256])
def test_fit_accepts_a_constant_signal(n_levels: int) -> None:
    """One amplitude still gives a codebook of the size asked for."""
    counts = np.zeros(16384, dtype=np.int64)
    counts[8000] = 10**6

    codebook = fit_lloyd_max(counts, n_levels)

    amplitude = np.array([8000.5 / 16384], dtype=np.float32)
    assert codebook.n_levels == n_levels
    assert codebook.dequantize(codebook.quantize(amplitude)) == pytest.approx(amplitude)


@pytest.mark.parametrize("n_levels", [2, 256])
def test_fit_works_at_both_ends_of_the_range_of_levels(n_levels: int) -> None:
    """Levels are stored as uint8 and text has 256 letters."""
    codebook = fit_lloyd_max(_laplace(2048), n_levels)

    levels = codebook.quantize(np.array([0.0, 1.0], dtype=np.float32))
    assert levels.tolist() == [0, n_levels - 1]


@pytest.mark.parametrize("n_levels", [1, 0, 257])
def test_fit_refuses_a_number_of_levels_out_of_range(n_levels: int) -> None:
    """Text has 256 letters, and one level says nothing."""
    with pytest.raises(ConfigError, match=rf"n_levels is {n_levels}; a codebook has 2 to 256 levels"):
        fit_lloyd_max(_laplace(), n_levels)


def test_fit_refuses_an_empty_histogram() -> None:
    """A corpus without one scorable sample has no codebook."""
    with pytest.raises(SignalValueError, match="the histogram is empty"):
        fit_lloyd_max(np.zeros(64, dtype=np.int64), 4)


def test_fit_beats_even_and_equally_frequent_levels_on_a_skewed_signal() -> None:
    """Equal frequency is what the published notebooks do under this name; it spends the levels on the baseline."""
    counts = _laplace()
    centres = _centres(counts)
    shares = np.cumsum(counts) / counts.sum()
    edges = np.searchsorted(shares, np.arange(1, 16) / 16)
    equal = np.unique(centres[edges])
    middles = np.interp((np.arange(equal.size + 1) + 0.5) / (equal.size + 1), shares, centres)
    others = (
        Codebook(tuple(np.arange(1, 16) / 16), tuple((np.arange(16) + 0.5) / 16)),
        Codebook(tuple(equal), tuple(middles)),
    )

    codebook = fit_lloyd_max(counts, 16)

    gains_db = [10 * np.log10(_error(counts, other) / _error(counts, codebook)) for other in others]
    assert min(gains_db) > 1.0


def test_histogram_does_not_depend_on_order_or_parts() -> None:
    """Workers deliver recordings in parts; the codebook must be the same."""
    signal = np.random.default_rng(0).uniform(0, 1, 1000).astype(np.float32)
    whole, parts = Histogram(), Histogram()

    whole.add(signal)
    for part in (signal[900:], signal[:250], signal[250:900].reshape(2, -1)):
        parts.add(part)

    assert parts.counts.tolist() == whole.counts.tolist()
    assert whole.counts.sum() == 1000


def test_histogram_counts_both_ends() -> None:
    """Clipped samples lie exactly at 0 and 1."""
    histogram = Histogram(4)

    histogram.add(np.array([0.0, 0.25, 1.0, 1.0], dtype=np.float32))

    assert histogram.counts.tolist() == [1, 1, 0, 2]


@pytest.mark.parametrize(
    ("thresholds", "values"), [((), (0.5,)), ((0.5,), (0.1, 0.2, 0.3)), ((0.5, 0.6, 0.7), (0.1, 0.2, 0.3))]
)
def test_codebook_refuses_numbers_that_do_not_fit(thresholds: tuple[float, ...], values: tuple[float, ...]) -> None:
    """A cut JSON file would otherwise decode with the wrong cells."""
    with pytest.raises(ConfigError, match=f"codebook has {len(values)} values and {len(thresholds)} thresholds"):
        Codebook(thresholds, values)


@pytest.mark.parametrize(
    ("thresholds", "values"),
    [((0.6, 0.5), (0.1, 0.2, 0.3)), ((0.5, 0.6), (0.1, 0.1, 0.3)), ((0.5, float("nan")), (0.1, 0.2, 0.3))],
)
def test_codebook_refuses_what_does_not_increase(thresholds: tuple[float, ...], values: tuple[float, ...]) -> None:
    """The cell search assumes order and would not notice."""
    with pytest.raises(ConfigError, match="must be strictly increasing"):
        Codebook(thresholds, values)
