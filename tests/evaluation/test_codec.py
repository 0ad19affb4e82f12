"""Distortion of a codebook under a scaling, in cases that can be worked out by hand."""

import math

import numpy as np
import pytest

from heartbert.evaluation.codec import (
    HIGHEST_DB,
    PUBLISHED_PATH,
    Amplitudes,
    LeadRatios,
    SignalPath,
    divergence_bits,
    signal_path,
)
from heartbert.levels import Codebook, distortion, fit_codebook
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import Scaling, ScalingRule
from tests.synthetic import synthetic_ecg

# Centres of two bins of the histogram, so that no rounding stands between the test and the sum on paper.
LOW, HIGH = 4096.5 / 16384, 12288.5 / 16384
UNIT = Scaling(0.0, 1.0)


def amplitudes_of(*values: float, scaling: Scaling = UNIT) -> Amplitudes:
    """Count some samples."""
    found = Amplitudes()
    found.add(np.array(values, dtype=np.float32), scaling)
    return found


def test_snr_of_two_values_is_that_of_the_sum_on_paper() -> None:
    """Half the distance of the values squared is the variance, 0.1 squared the error: a ratio of 6.25."""
    codebook = Codebook((0.5,), (LOW + 0.1, HIGH - 0.1))

    snr_db = amplitudes_of(LOW, HIGH, LOW, HIGH).snr_db(codebook)

    assert snr_db == pytest.approx(10 * math.log10(6.25), abs=1e-5)


def test_clipped_samples_count_with_their_true_error() -> None:
    """A scaling that cuts off every R wave must not look better for it."""
    codebook = Codebook((0.5,), (LOW, HIGH))
    values = np.array([LOW, LOW, HIGH, 3.0, -1.0])
    error = np.mean((values - [LOW, LOW, HIGH, HIGH, LOW]) ** 2)

    found = amplitudes_of(*values)

    assert found.n_clipped.tolist() == [1, 1]
    assert found.clipped_share == 0.4
    assert found.variance == pytest.approx(values.var(), rel=1e-4)
    assert found.snr_db(codebook) == pytest.approx(10 * math.log10(values.var() / error), abs=1e-3)


def test_error_of_the_levels_alone_takes_samples_as_clipped() -> None:
    """Codebooks are compared by it where a scaling clips artefacts a hundred times as large."""
    codebook = Codebook((0.5,), (LOW, HIGH))
    clipped = np.array([LOW, LOW, HIGH, 1.0, 0.0])
    error = np.sum((clipped - [LOW, LOW, HIGH, HIGH, LOW]) ** 2)

    found = amplitudes_of(LOW, LOW, HIGH, 300.0, -100.0)

    assert found.level_error(codebook) == pytest.approx(error, rel=1e-3)
    assert found.level_snr_db(codebook) == pytest.approx(10 * math.log10(clipped.var() * 5 / error), abs=2e-3)


@pytest.mark.parametrize("scaling", [Scaling(-2.0, 3.0), Scaling(-0.3, 0.6), Scaling(-5.0, 5.0)])
def test_snr_of_a_lead_is_that_in_millivolts(scaling: Scaling) -> None:
    """Scalings are compared by it, so it may not depend on the unit, nor on the histogram behind it."""
    signal = synthetic_ecg(20.0, 360.0)[0]
    codebook = fit_codebook(amplitudes_of(*signal, scaling=scaling).counts, 16, method="lloyd-max")
    decoded = scaling.undo(codebook.dequantize(codebook.quantize(scaling.apply(signal))))
    exact_db = 10 * math.log10(signal.var() / np.mean((signal - decoded) ** 2))

    snr_db = amplitudes_of(*signal, scaling=scaling).snr_db(codebook)

    assert snr_db == pytest.approx(exact_db, abs=0.02)


def test_snr_without_clipping_is_that_of_the_levels_package() -> None:
    """There is one definition of distortion."""
    found = amplitudes_of(*np.linspace(0.1, 0.9, 500))
    codebook = fit_codebook(found.counts, 8, method="uniform")

    assert found.snr_db(codebook) == pytest.approx(distortion(codebook, found.counts).snr_db, abs=1e-3)
    assert found.level_snr_db(codebook) == pytest.approx(found.snr_db(codebook))


def test_constant_and_empty_signals_have_no_ratio() -> None:
    """A variance of zero says nothing about a codec."""
    codebook = Codebook((0.5,), (LOW, HIGH))

    assert math.isnan(amplitudes_of(0.3, 0.3, 0.3).snr_db(codebook))
    assert math.isnan(Amplitudes().snr_db(codebook))
    assert math.isnan(Amplitudes().level_snr_db(codebook))
    assert Amplitudes().clipped_share == 0.0


def test_a_codebook_without_error_has_the_highest_ratio() -> None:
    """Infinity cannot be stored as JSON."""
    # Values that float32 holds exactly.
    assert amplitudes_of(LOW, HIGH).snr_db(Codebook((0.5,), (LOW, HIGH))) == HIGHEST_DB


def test_parts_joined_are_the_whole() -> None:
    """Leads are counted in blocks, and databases in recordings."""
    signal = synthetic_ecg(10.0, 360.0)[0]
    scaling = Scaling(-0.1, 0.5)
    whole = amplitudes_of(*signal, scaling=scaling)
    joined = amplitudes_of(*signal[:777], scaling=scaling)
    joined.join(amplitudes_of(*signal[777:], scaling=scaling))

    assert (joined.counts == whole.counts).all()
    assert (joined.n_clipped == whole.n_clipped).all()
    assert joined.excess_squared == pytest.approx(whole.excess_squared)


def test_percentiles_over_leads() -> None:
    """A mean would hide the leads that a codec ruins."""
    ratios = LeadRatios()

    ratios.add([30.0, 10.004, math.nan, 20.0, 40.0])

    assert ratios.n_leads == 4
    assert [ratios.percentile(percent) for percent in (5, 25, 50, 100)] == [10.0, 10.0, 20.0, 40.0]
    assert math.isnan(LeadRatios().percentile(50))


def test_divergence_lies_between_equal_and_disjoint() -> None:
    """It must not depend on how much was counted."""
    assert divergence_bits(np.array([1, 3]), np.array([10, 30])) == pytest.approx(0)
    assert divergence_bits(np.array([1, 0]), np.array([0, 7])) == pytest.approx(1)
    assert 0 < divergence_bits(np.array([1, 1]), np.array([1, 3])) < 1


def test_paths_are_named_by_what_they_do() -> None:
    """Tables are read by these names."""
    assert PUBLISHED_PATH.name == "record-range, unfiltered"
    assert SignalPath(BandPass(0.5, 40.0), ScalingRule("robust", 1.5)).name == "robust ×1.5, 0.5-40 Hz"
    assert SignalPath(BandPass(0.0, 40.0), ScalingRule("fixed", 5.0)).name == "fixed ±5 mV, 0-40 Hz"


def test_the_span_of_a_record_range_makes_no_other_path() -> None:
    """Two settings that do the same are measured once."""
    assert signal_path(BandPass(0.0, 0.0), ScalingRule("record-range", 7.0)) == PUBLISHED_PATH
