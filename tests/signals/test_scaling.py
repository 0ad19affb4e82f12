"""Each scaling rule gives the range it promises, and an amplitude that no ECG has is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError, SignalValueError
from heartbert.signals.scaling import (
    AmplitudeRanges,
    Scaling,
    ScalingRule,
    check_amplitude,
    join_ranges,
    piece_ranges,
)

NOTHING = AmplitudeRanges(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.float32))
# Peak to peak 1, 1 and 50: two pieces of ECG and one artefact.
RANGES = AmplitudeRanges(np.array([-0.2, -0.3, -20], dtype=np.float32), np.array([0.8, 0.7, 30], dtype=np.float32))


def test_robust_rule_ignores_one_artefact() -> None:
    """One jerk of a cable must not squeeze all beats of a recording."""
    scaling = ScalingRule("robust", 1.5).fit(RANGES)

    assert (scaling.low, scaling.high) == pytest.approx((-1.5, 1.5))


def test_record_range_rule_takes_minimum_and_maximum() -> None:
    """The published method scales so."""
    scaling = ScalingRule("record-range", 1.0).fit(RANGES)

    assert (scaling.low, scaling.high) == (-20.0, 30.0)


def test_fixed_rule_takes_the_span_in_millivolts() -> None:
    """With this rule amplitudes of different recordings stay comparable."""
    scaling = ScalingRule("fixed", 2.5).fit(RANGES)

    assert (scaling.low, scaling.high) == (-2.5, 2.5)


@pytest.mark.parametrize("method", ["robust", "record-range"])
def test_rules_give_a_usable_range_when_nothing_can_be_scored(method: str) -> None:
    """A lead that is flat throughout has to come out as unscorable, not as a division by zero."""
    scaling = ScalingRule(method, 1.5).fit(NOTHING)  # type: ignore[arg-type]

    assert (scaling.low, scaling.high) == (-1.0, 1.0)


@pytest.mark.parametrize("method", ["robust", "record-range"])
def test_rules_give_a_usable_range_when_the_signal_is_constant(method: str) -> None:
    """A range of width 0 would divide by zero."""
    constant = AmplitudeRanges(np.full(3, 0.25, dtype=np.float32), np.full(3, 0.25, dtype=np.float32))

    scaling = ScalingRule(method, 1.5).fit(constant)  # type: ignore[arg-type]

    assert 0 < scaling.apply(np.array([0.25], dtype=np.float32))[0] < 1
    assert scaling.low < 0.25 < scaling.high


def test_rule_refuses_an_unknown_method() -> None:
    """A misspelt method must not become a default."""
    with pytest.raises(ConfigError, match=r"scaling method is 'minmax'; choose one of robust, record-range, fixed"):
        ScalingRule("minmax", 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("span", [0.0, -1.0, float("nan")])
def test_rule_refuses_a_span_that_is_not_positive(span: float) -> None:
    """Such a span turns signals upside down or divides by zero."""
    with pytest.raises(ConfigError, match=r"span is .*; it must be positive"):
        ScalingRule("robust", span)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-2, 3, width=32), min_size=1, max_size=20))
def test_undo_is_the_inverse_of_apply_inside_the_range(amplitudes: list[float]) -> None:
    """Reports show millivolts, the quantiser sees [0, 1]."""
    signal = np.array(amplitudes, dtype=np.float32)
    scaling = Scaling(-2.0, 3.0)

    restored = scaling.undo(scaling.apply(signal))

    assert restored == pytest.approx(signal, abs=1e-5)


def test_apply_clips_and_counts_what_lies_outside() -> None:
    """Clipping loses information, so the summary says how much."""
    signal = np.array([-9, -1, 0, 1, 1.5], dtype=np.float32)
    scaling = Scaling(-1.0, 1.0)

    scaled = scaling.apply(signal)

    assert scaled.tolist() == [0, 0, 0.5, 1, 1]
    assert scaling.n_clipped(signal) == 2


def test_pieces_with_an_unscorable_sample_are_not_measured() -> None:
    """A rail or a gap says nothing about the amplitude of beats."""
    signal = np.array([0, 1, 0, 9, 0, 2, 5], dtype=np.float32)
    scorable = np.array([True, True, True, False, True, True, True])

    ranges = piece_ranges(signal, scorable, 2)

    assert ranges.low.tolist() == [0, 0]
    assert ranges.high.tolist() == [1, 2]
    assert ranges.median_amplitude == 1.5


def test_a_signal_shorter_than_a_piece_is_measured_as_a_whole() -> None:
    """A short excerpt still has an amplitude."""
    ranges = piece_ranges(np.array([1, 4], dtype=np.float32), np.ones(2, dtype=np.bool_), 720)

    assert ranges.median_amplitude == 3.0


def test_median_amplitude_is_zero_without_pieces() -> None:
    """Zero is the value that the amplitude check lets pass."""
    empty = piece_ranges(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.bool_), 720)

    assert empty.median_amplitude == 0.0


def test_ranges_of_blocks_join_in_order() -> None:
    """A long lead is measured block by block."""
    joined = join_ranges([RANGES, NOTHING, RANGES])

    assert joined.high.tolist() == [*RANGES.high.tolist(), *RANGES.high.tolist()]


@pytest.mark.parametrize("true_mv", [0.1, 1.0, 5.0])
@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "uV"), (0.001, "V")])
def test_check_amplitude_refuses_a_unit_wrong_by_1000(true_mv: float, factor: float, unit: str) -> None:
    """A file that says mV and means uV gives beats that look right and classes that are not."""
    with pytest.raises(SignalValueError, match=rf"record '100', lead 'II': .* with unit='{unit}' \(--unit {unit}\)"):
        check_amplitude(true_mv * factor, record_name="100", lead="II")


@pytest.mark.parametrize("median_mv", [0.0, 0.01, 0.1, 5.0, 40.0])
def test_check_amplitude_accepts_what_surface_leads_have(median_mv: float) -> None:
    """Leads of newborns and of hypertrophic hearts are no errors, nor is a lead that is flat."""
    check_amplitude(median_mv, record_name="100", lead="II")
