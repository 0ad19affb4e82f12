"""A histogram depends on the samples and on nothing else: not on their order, nor on who counted them."""

from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from heartbert.errors import ConfigError, SignalValueError
from heartbert.levels import N_BINS, Histogram

Floats = npt.NDArray[np.float32]


def _counted(signal: Floats, n_bins: int = N_BINS) -> Histogram:
    histogram = Histogram(n_bins)
    histogram.add(signal)
    return histogram


def test_histogram_does_not_depend_on_order_or_parts() -> None:
    """Workers deliver recordings in parts; the codebook must be the same."""
    signal = np.random.default_rng(0).uniform(0, 1, 1000).astype(np.float32)
    parts = Histogram()

    for part in (signal[900:], signal[:250], signal[250:900].reshape(2, -1)):
        parts.add(part)

    assert parts.counts.tolist() == _counted(signal).counts.tolist()
    assert parts.counts.sum() == 1000


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.float32, st.integers(0, 60), elements=st.floats(0, 1, width=32)),
    st.lists(st.integers(0, 60), max_size=5),
    st.randoms(use_true_random=False),
)
def test_histograms_of_parts_add_up_in_any_order(signal: Floats, cuts: list[int], random: Random) -> None:
    """However a corpus is dealt out to workers, and whoever finishes first, the sum is the whole."""
    parts = [_counted(part, 16) for part in np.split(signal, sorted(cuts))]
    random.shuffle(parts)

    total, merged = sum(parts, start=Histogram(16)), Histogram(16)
    for part in parts:
        merged.merge(part)

    assert total.counts.tolist() == merged.counts.tolist() == _counted(signal, 16).counts.tolist()
    assert total.counts.dtype == np.int64


def test_adding_histograms_leaves_both_as_they_were() -> None:
    """A sum of parts may be wanted beside the parts."""
    one, other = _counted(np.array([0.1], dtype=np.float32), 2), _counted(np.array([0.9], dtype=np.float32), 2)

    total = one + other

    assert [part.counts.tolist() for part in (one, other, total)] == [[1, 0], [0, 1], [1, 1]]


def test_histogram_counts_a_signal_of_many_pieces() -> None:
    """Signals are counted in pieces, so that memory does not grow with their length."""
    signal = np.random.default_rng(0).uniform(0, 1, 200_001).astype(np.float32)

    expected = np.bincount((signal * np.float32(16)).astype(int), minlength=16)
    assert _counted(signal, 16).counts.tolist() == expected.tolist()


def test_histogram_counts_both_ends() -> None:
    """Clipped samples lie exactly at 0 and 1."""
    assert _counted(np.array([0.0, 0.25, 1.0, 1.0], dtype=np.float32), 4).counts.tolist() == [1, 1, 0, 2]


@pytest.mark.parametrize("n_bins", [1, 3, 100, N_BINS, 1 << 16])
def test_histogram_keeps_amplitudes_just_below_one_in_range(n_bins: int) -> None:
    """Rounding may carry the last float below 1 into a bin that does not exist."""
    histogram = _counted(np.array([np.nextafter(np.float32(1), np.float32(0))]), n_bins)

    assert histogram.counts[-1] == histogram.counts.sum() == 1


@pytest.mark.parametrize("value", [-0.001, 1.001, np.nan, np.inf])
def test_histogram_refuses_what_is_not_scaled_and_counts_nothing(value: float) -> None:
    """A signal in mV would be counted in the outermost bins, and the codebook fitted to it."""
    histogram = Histogram(8)

    with pytest.raises(SignalValueError, match=r"first at sample 2; a histogram counts amplitudes in \[0, 1\]"):
        histogram.add(np.array([0.5, 1.0, value, value], dtype=np.float32))

    assert not histogram.counts.any()


def test_histogram_accepts_nothing() -> None:
    """A block may have no scorable sample."""
    assert not _counted(np.empty(0, dtype=np.float32)).counts.any()


def test_histograms_of_different_bins_do_not_add_up() -> None:
    """Their bins cover different amplitudes."""
    with pytest.raises(ConfigError, match="one histogram has 4 bins and the other 8"):
        Histogram(4).merge(Histogram(8))


def test_histogram_refuses_to_have_no_bins() -> None:
    """There would be nowhere to count."""
    with pytest.raises(ConfigError, match="n_bins is 0; a histogram has at least one bin"):
        Histogram(0)
