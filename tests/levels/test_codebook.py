"""Quantising is exact and open at both ends, and decoding is its inverse within a cell."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heartbert.errors import ConfigError, SignalValueError
from heartbert.levels import Codebook, dequantize, fit_codebook, quantize
from tests.levels.examples import laplace, without_numba

# Thresholds halfway between values, as the best codebook has them.
EVEN = Codebook((0.25, 0.5, 0.75), (0.125, 0.375, 0.625, 0.875))
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
UNIT = st.floats(0, 1, width=32)
THRESHOLDS = hnp.arrays(np.float32, st.integers(1, 30), elements=UNIT | FINITE, unique=True).map(np.sort)

Floats = npt.NDArray[np.float32]
Path = Callable[[], AbstractContextManager[None]]

both_paths = pytest.mark.parametrize("path", [nullcontext, without_numba])


@both_paths
def test_quantize_gives_each_sample_its_cell_and_the_threshold_to_the_upper_one(path: Path) -> None:
    """Cells are half-open, so every amplitude has exactly one level."""
    with path():
        levels = EVEN.quantize(np.array([[0.1, 0.25, 0.3], [0.5, 0.74, 0.75]], dtype=np.float32))

    assert levels.tolist() == [[0, 1, 1], [2, 2, 3]]
    assert levels.dtype == np.uint8


@both_paths
def test_quantize_puts_amplitudes_outside_the_range_into_the_outer_cells(path: Path) -> None:
    """The outer cells are open: a wave higher than any in training still has a level."""
    with path():
        levels = EVEN.quantize(np.array([-5.0, 17.0, -3e38, 3e38], dtype=np.float32))

    assert levels.tolist() == [0, 3, 0, 3]


@both_paths
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_quantize_rejects_what_is_not_finite_and_names_the_first_position(path: Path, value: float) -> None:
    """NaN would silently become the highest level."""
    signal = np.array([0.5, 0.5, value, 0.5, value], dtype=np.float32)

    with path(), pytest.raises(SignalValueError, match=r"the signal is (nan|inf|-inf) first at sample 2; only finite"):
        EVEN.quantize(signal)


@settings(max_examples=100, deadline=None)
@given(THRESHOLDS, hnp.arrays(np.float32, st.integers(0, 20), elements=UNIT | FINITE))
def test_quantize_equals_a_search_of_the_thresholds(thresholds: Floats, signal: Floats) -> None:
    """The compiled search starts from a rounded guess; the result may not depend on the rounding."""
    neighbours = [np.nextafter(thresholds, np.float32(end), dtype=np.float32) for end in (-1e38, 1e38)]
    signal = np.concatenate([signal, thresholds, *neighbours])
    expected = np.searchsorted(thresholds, signal, side="right")

    compiled = quantize(signal, thresholds)
    with without_numba():
        plain = quantize(signal, thresholds)

    assert compiled.tolist() == plain.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "thresholds",
    [
        [0.0],
        [-0.0, 1e-45],
        [1e-45, 3e-45, 1e-38],
        [-3.4e38, 0.0, 3.4e38],
        np.linspace(0.5, 0.50001, 60),
        np.geomspace(1e-30, 1, 255),
        [0.25, 0.25, 0.5],
    ],
)
def test_quantize_is_exact_where_arithmetic_is_at_its_limits(thresholds: npt.ArrayLike) -> None:
    """Denormal numbers, negative zero, the whole range of float32, and thresholds too close for it."""
    limits = np.asarray(thresholds, dtype=np.float32)
    extremes = np.array([0.0, -0.0, 1e-45, -1e-45, 1.1e-38, 3.4028235e38, -3.4028235e38], dtype=np.float32)
    near = [np.nextafter(limits, np.float32(end), dtype=np.float32) for end in (-1e38, 1e38)]
    signal = np.concatenate([extremes, limits, *near])

    levels = quantize(signal, limits)

    assert levels.tolist() == np.searchsorted(limits, signal, side="right").tolist()


@pytest.mark.parametrize("n_levels", [2, 100, 256])
def test_quantize_equals_a_search_of_fitted_thresholds(n_levels: int) -> None:
    """The samples here fall everywhere in every cell, as those of a long recording do."""
    codebook = fit_codebook(laplace(1 << 14), n_levels)
    thresholds = np.asarray(codebook.thresholds, dtype=np.float32)
    signal = np.random.default_rng(0).normal(0.45, 0.1, 100_000).astype(np.float32)

    levels = codebook.quantize(signal)

    np.testing.assert_array_equal(levels, np.searchsorted(thresholds, signal, side="right"))


def test_quantize_reads_any_layout() -> None:
    """A lead may be a column of a record, a reversed view or a file mapped for reading only."""
    signal = np.random.default_rng(0).uniform(0, 1, (50, 3)).astype(np.float32)
    locked = signal.copy()
    locked.flags.writeable = False

    expected = np.searchsorted(EVEN.thresholds, signal, side="right")
    for view, levels in ((signal[:, 1], expected[:, 1]), (signal[::-2], expected[::-2]), (locked, expected)):
        np.testing.assert_array_equal(EVEN.quantize(view), levels)


@pytest.mark.parametrize("n_thresholds", [0, 256])
def test_quantize_refuses_a_number_of_thresholds_out_of_range(n_thresholds: int) -> None:
    """Levels are stored as uint8; level 256 would wrap to 0."""
    with pytest.raises(ConfigError, match=rf"{n_thresholds} thresholds given; a codebook has 1 to 255"):
        quantize(np.zeros(3, dtype=np.float32), np.arange(n_thresholds, dtype=np.float32))


def test_dequantize_rejects_a_level_of_a_larger_codebook() -> None:
    """Levels of another codebook would decode to wrong amplitudes."""
    with pytest.raises(SignalValueError, match="level 4 found; the codebook has levels 0 to 3"):
        EVEN.dequantize(np.array([0, 4], dtype=np.uint8))


@both_paths
def test_quantize_and_dequantize_accept_nothing(path: Path) -> None:
    """An empty signal has no levels, and that is no error."""
    with path():
        levels = quantize(np.empty((2, 0), dtype=np.float32), np.array([0.5], dtype=np.float32))

    assert levels.shape == (2, 0)
    assert dequantize(levels, np.array([0.2, 0.8], dtype=np.float32)).shape == (2, 0)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, st.integers(1, 30), elements=UNIT))
def test_dequantize_stays_within_half_a_cell(signal: Floats) -> None:
    """Text to signal and back may lose no more than the quantiser's step."""
    decoded = EVEN.dequantize(EVEN.quantize(signal))

    assert np.abs(decoded - signal).max() <= 0.125 + 1e-6


@pytest.mark.parametrize(
    ("thresholds", "values"), [((), (0.5,)), ((0.5,), (0.1, 0.2, 0.3)), ((0.5, 0.6, 0.7), (0.1, 0.2, 0.3))]
)
def test_codebook_refuses_numbers_that_do_not_fit(thresholds: tuple[float, ...], values: tuple[float, ...]) -> None:
    """A cut JSON file would otherwise decode with the wrong cells."""
    with pytest.raises(ConfigError, match=f"codebook has {len(values)} values and {len(thresholds)} thresholds"):
        Codebook(thresholds, values)


@pytest.mark.parametrize(
    ("thresholds", "values"),
    [
        ((0.6, 0.5), (0.1, 0.2, 0.3)),
        ((0.5, 0.6), (0.1, 0.1, 0.3)),
        ((0.5, float("nan")), (0.1, 0.2, 0.3)),
        ((0.5, float("inf")), (0.1, 0.2, 0.3)),
        ((0.5,), (float("-inf"), 0.2)),
    ],
)
def test_codebook_refuses_what_does_not_increase(thresholds: tuple[float, ...], values: tuple[float, ...]) -> None:
    """The cell search assumes order and would not notice."""
    with pytest.raises(ConfigError, match="must be finite, and must be strictly increasing"):
        Codebook(thresholds, values)
