"""How much of a signal a scaling and a codebook lose, in dB, with what the scaling clips counted at its true error."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from heartbert.levels import N_BINS, Codebook, Histogram
from heartbert.levels.histogram import bin_centres
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import Scaling, ScalingRule

# A signal-to-noise ratio above this is more than float32 samples hold; it stands for "no error".
HIGHEST_DB = 150.0
_LOWEST_DB = -150.0
# Resolution at which the ratios of single leads are counted, in dB.
_STEP_DB = 0.01


@dataclass(frozen=True)
class SignalPath:
    """What is done to a lead at 360 Hz before it is quantised: the filter, and the scaling to [0, 1]."""

    band: BandPass
    rule: ScalingRule

    @property
    def is_filtered(self) -> bool:
        """False where the signal is quantised as it was recorded."""
        return bool(self.band.low_hz or self.band.high_hz)

    @property
    def name(self) -> str:
        """Scaling and filter in words, as in ``"robust, 0.5-40 Hz"``."""
        span = {"record-range": "", "robust": f" ×{self.rule.span:g}", "fixed": f" ±{self.rule.span:g} mV"}
        band = f"{self.band.low_hz:g}-{self.band.high_hz:g} Hz" if self.is_filtered else "unfiltered"
        return f"{self.rule.method}{span[self.rule.method]}, {band}"


def signal_path(band: BandPass, rule: ScalingRule) -> SignalPath:
    """Return a path such that equal treatment means equal paths: the range of a recording has no span."""
    return SignalPath(band, ScalingRule("record-range", 1.0) if rule.method == "record-range" else rule)


PUBLISHED_PATH = signal_path(BandPass(0.0, 0.0), ScalingRule("record-range", 1.0))
"""The path of the published method: no filter, minimum and maximum of the recording."""


class Amplitudes:
    """Scaled amplitudes of any number of leads, counted; the same however they are cut into blocks.

    Attributes
    ----------
    histogram : Histogram
        All samples, clipped ones in the outermost bins.
    n_clipped : ndarray of int64, shape (2,)
        Samples below 0 and above 1 before they were clipped.
    excess, excess_squared : ndarray of float64, shape (2,)
        Sum of their distances from 0 and from 1, and of the squares, in scaled units.
    """

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.n_clipped = np.zeros(2, dtype=np.int64)
        self.excess = np.zeros(2)
        self.excess_squared = np.zeros(2)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Samples in each bin of [0, 1], shape (n_bins,)."""
        return self.histogram.counts

    @property
    def n_samples(self) -> int:
        """Samples in all."""
        return int(self.counts.sum())

    @property
    def clipped_share(self) -> float:
        """Share of samples outside the scaling's range; 0 if there are none at all."""
        return int(self.n_clipped.sum()) / max(self.n_samples, 1)

    @property
    def variance(self) -> float:
        """Variance of the amplitudes before clipping, in scaled units; 0 if there are none."""
        if not self.n_samples:
            return 0.0
        mean = float(self.counts @ _CENTRES + _OUTWARDS @ self.excess) / self.n_samples
        return self._second_moment(_CENTRES - mean) / self.n_samples

    def add(self, signal: npt.NDArray[np.float32], scaling: Scaling) -> None:
        """Count the samples of a signal in the unit of the scaling, any shape."""
        self.histogram.add(scaling.apply(signal))
        beyond = (scaling.low - signal[signal < scaling.low], signal[signal > scaling.high] - scaling.high)
        for side, distances in enumerate(beyond):
            scaled = distances.astype(np.float64) / (scaling.high - scaling.low)
            self.n_clipped[side] += scaled.size
            self.excess[side] += scaled.sum()
            self.excess_squared[side] += scaled @ scaled

    def join(self, other: "Amplitudes") -> None:
        """Count everything that another object has counted."""
        self.histogram.merge(other.histogram)
        self.n_clipped += other.n_clipped
        self.excess += other.excess
        self.excess_squared += other.excess_squared

    def squared_error(self, codebook: Codebook) -> float:
        """Sum of squared differences between the amplitudes before clipping and what they decode to."""
        return self._second_moment(_residuals(codebook))

    def snr_db(self, codebook: Codebook) -> float:
        """Signal-to-noise ratio of decoded amplitudes: variance of the signal over mean squared error.

        For one lead it is the ratio in physical units too, as scaling is linear. For several leads together it
        weights each by how much of [0, 1] it fills, so it does not compare scalings.

        Parameters
        ----------
        codebook : Codebook

        Returns
        -------
        snr_db : float
            In dB, between -150 and 150; NaN for a constant signal, or none.
        """
        return _ratio_db(self.variance, self.squared_error(codebook), self.n_samples)

    def level_snr_db(self, codebook: Codebook) -> float:
        """Return the same ratio for amplitudes after clipping: the error of the levels alone.

        What a scaling clips no codebook gives back, so this ratio compares codebooks where clipping outweighs them.
        """
        if not self.n_samples:
            return math.nan
        deviations = _CENTRES - np.average(_CENTRES, weights=self.counts)
        variance = float(self.counts @ deviations**2) / self.n_samples
        return _ratio_db(variance, self.level_error(codebook), self.n_samples)

    def level_error(self, codebook: Codebook) -> float:
        """Sum of squared differences between the amplitudes after clipping and what they decode to."""
        return float(self.counts @ _residuals(codebook) ** 2)

    def _second_moment(self, deviations: npt.NDArray[np.float64]) -> float:
        """Sum the squares of a deviation given for each bin, plus what lies beyond the ends."""
        ends = deviations[[0, -1]] * _OUTWARDS
        return float(self.counts @ deviations**2 + 2 * (ends @ self.excess) + self.excess_squared.sum())


_CENTRES = bin_centres(N_BINS)
_OUTWARDS = np.array([-1.0, 1.0])


def _ratio_db(variance: float, squared_error: float, n_samples: int) -> float:
    """Return variance over mean squared error in dB; NaN without a variance."""
    # The variance of a constant comes out as rounding error of its squares.
    if variance <= 1e-15:
        return math.nan
    if squared_error <= 0:
        return HIGHEST_DB
    return float(np.clip(10 * math.log10(variance * n_samples / squared_error), _LOWEST_DB, HIGHEST_DB))


@lru_cache(maxsize=256)
def _residuals(codebook: Codebook) -> npt.NDArray[np.float64]:
    """Return the centre of each bin minus what it decodes to, shape (n_bins,)."""
    centres = _CENTRES.astype(np.float32)
    return np.asarray(_CENTRES - codebook.dequantize(codebook.quantize(centres)))


class LeadRatios:
    """Signal-to-noise ratios of any number of leads, counted in steps of 0.01 dB; NaN is not counted."""

    def __init__(self) -> None:
        self._counts = np.zeros(round((HIGHEST_DB - _LOWEST_DB) / _STEP_DB) + 1, dtype=np.int64)

    @property
    def n_leads(self) -> int:
        """Leads counted."""
        return int(self._counts.sum())

    def add(self, ratios_db: Iterable[float]) -> None:
        """Count the ratios of further leads, in dB."""
        for ratio_db in ratios_db:
            if not math.isnan(ratio_db):
                self._counts[round((ratio_db - _LOWEST_DB) / _STEP_DB)] += 1

    def percentile(self, percent: float) -> float:
        """Return the lowest ratio that `percent` of the leads do not exceed, in dB; NaN without any."""
        if not self.n_leads:
            return math.nan
        rank = max(1, math.ceil(percent / 100 * self.n_leads))
        place = int(np.searchsorted(np.cumsum(self._counts), rank))
        return round(_LOWEST_DB + place * _STEP_DB, 2)


def divergence_bits(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """Jensen-Shannon divergence of two distributions given as counts.

    Parameters
    ----------
    first, second : ndarray of int64, shape (n_levels,)
        At least one count each.

    Returns
    -------
    divergence : float
        In bits: 0 for equal distributions, 1 for those that share nothing.

    References
    ----------
    J. Lin, IEEE Trans. Inf. Theory 37(1):145-151, 1991.

    Examples
    --------
    >>> divergence_bits(np.array([5, 0]), np.array([0, 3]))
    1.0
    """
    shares = np.stack([first / first.sum(), second / second.sum()])
    mixed, single = _entropy_of(shares.mean(axis=0)), [_entropy_of(share) for share in shares]
    return float(mixed - sum(single) / 2)


def _entropy_of(shares: npt.NDArray[np.float64]) -> float:
    used = shares[shares > 0]
    return float(-(used @ np.log2(used)))
