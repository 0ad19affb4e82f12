"""What cannot be scored is found, named and reported once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbert.signals.quality import (
    REASONS,
    Stretch,
    find_unscorable,
    join_stretches,
    spread,
    stretches_from_codes,
)

FS = 100.0


def _noise(n_samples: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, n_samples).astype(np.float32)


def _codes(signal: np.ndarray) -> np.ndarray:
    finite = signal[np.isfinite(signal)]
    return find_unscorable(signal, FS, low=float(finite.min()), high=float(finite.max()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_samples_have_code_1(value: float) -> None:
    """Gaps are stored as NaN; no level may be invented for them."""
    signal = _noise(300)
    signal[50:180] = value

    codes = _codes(signal)

    assert np.flatnonzero(codes).tolist() == list(range(50, 180))
    assert REASONS[codes[50] - 1] == "missing"


def test_a_second_without_change_has_code_2() -> None:
    """A loose lead gives a constant, which would pass as asystole."""
    signal = _noise(400)
    signal[100:200] = 0.1

    codes = _codes(signal)

    assert np.flatnonzero(codes == 2).tolist() == list(range(100, 200))
    assert np.count_nonzero(codes) == 100


def test_less_than_a_second_without_change_is_scorable() -> None:
    """Coarse converters repeat a value between beats."""
    signal = _noise(400)
    signal[100:199] = 0.1

    codes = _codes(signal)

    assert not codes.any()


@pytest.mark.parametrize("rail", [-5.0, 5.0])
def test_a_run_at_the_rail_has_code_3(rail: float) -> None:
    """A saturated converter cuts the wave off."""
    signal = _noise(400)
    signal[100:106] = rail

    codes = _codes(signal)

    assert np.flatnonzero(codes == 3).tolist() == list(range(100, 106))


def test_short_runs_at_the_rail_and_runs_elsewhere_are_scorable() -> None:
    """The highest R wave of a recording reaches its maximum too."""
    signal = _noise(400)
    signal[100:105], signal[200:230] = 5.0, 0.2

    codes = _codes(signal)

    assert not codes.any()


def test_a_flat_rail_is_flat() -> None:
    """Each sample has one reason; the longer defect names it."""
    signal = _noise(400)
    signal[100:300] = 5.0

    codes = _codes(signal)

    assert set(codes[100:300].tolist()) == {2}


def test_a_recording_without_change_is_flat_throughout() -> None:
    """An unplugged channel has nothing to score."""
    codes = find_unscorable(np.zeros(200, dtype=np.float32), FS, low=0.0, high=0.0)

    assert set(codes.tolist()) == {2}


def test_spread_widens_both_sides_within_the_signal() -> None:
    """Filters carry a defect into its neighbourhood."""
    marked = np.zeros(10, dtype=np.bool_)
    marked[[0, 6]] = True

    widened = spread(marked, 2)

    assert np.flatnonzero(widened).tolist() == [0, 1, 2, 4, 5, 6, 7, 8]


def test_spread_leaves_an_unmarked_signal_alone() -> None:
    """Most blocks have no defect."""
    assert not spread(np.zeros(10, dtype=np.bool_), 2).any()


def test_stretches_name_reason_and_time() -> None:
    """The report lists them in seconds from the start of the recording."""
    codes = np.array([0, 1, 1, 0, 2, 3], dtype=np.uint8)

    stretches = stretches_from_codes(codes, 2.0, start_s=10.0)

    assert stretches == [
        Stretch(10.5, 11.5, "missing"),
        Stretch(12.0, 12.5, "flat"),
        Stretch(12.5, 13.0, "saturated"),
    ]


def test_no_codes_give_no_stretches() -> None:
    """An empty block is not an error."""
    assert stretches_from_codes(np.empty(0, dtype=np.uint8), 2.0) == []


def test_join_stretches_joins_halves_of_one_defect_only() -> None:
    """A defect over a block's edge is one defect; neighbours with other reasons or a pause are not."""
    halves = [
        Stretch(0, 1, "flat"),
        Stretch(1, 2, "flat"),
        Stretch(2, 3, "missing"),
        Stretch(4, 5, "missing"),
    ]

    joined = join_stretches(halves)

    assert joined == (Stretch(0, 2, "flat"), Stretch(2, 3, "missing"), Stretch(4, 5, "missing"))


@given(
    runs=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), min_size=1, max_size=12),
    fs=st.sampled_from([4.0, 50.0, 100.0, 360.0]),
)
def test_find_unscorable_overlooks_no_run(runs: list[tuple[int, int]], fs: float) -> None:
    """Runs are searched on a coarse grid first; a run between its points must still be found."""
    signal = np.concatenate([np.full(length, value, dtype=np.float32) for value, length in runs])

    codes = find_unscorable(signal, fs, low=0, high=2)

    edges = np.flatnonzero(np.diff(signal)) + 1
    for run in np.split(np.arange(signal.size), edges):
        if run.size >= max(fs, 2):
            expected = 2
        elif run.size >= max(0.06 * fs, 6) and signal[run[0]] in (0, 2):
            expected = 3
        else:
            expected = 0
        assert (codes[run] == expected).all()
