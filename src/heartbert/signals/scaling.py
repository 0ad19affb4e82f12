"""Stage 2 of 7: Record -> signal. Amplitude -> [0, 1], by a rule fixed before any test data is seen."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, SignalValueError

ScalingMethod = Literal["robust", "record-range", "fixed"]
SCALING_METHODS: tuple[ScalingMethod, ...] = ("robust", "record-range", "fixed")

# Pieces whose peak-to-peak amplitude is measured: 2 s hold at least one beat above 30 beats a minute.
PIECE_S = 2.0
# Bounds on the median peak-to-peak amplitude of a surface ECG in mV; real leads lie at 0.1-5 mV, so a unit
# that is wrong by 1000 falls outside on either side.
LOWEST_MV, HIGHEST_MV = 0.01, 40.0


@dataclass(frozen=True)
class Scaling:
    """The amplitude range of one recording that becomes [0, 1].

    Attributes
    ----------
    low, high : float
        Amplitudes mapped to 0 and to 1, in the channel's unit (mV, or NU where the gain is unknown).
    """

    low: float
    high: float

    def apply(self, signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map amplitudes to [0, 1]; what lies outside is clipped.

        Parameters
        ----------
        signal : ndarray of float32, any shape
            Amplitude in the unit of `low` and `high`.

        Returns
        -------
        scaled : ndarray of float32, same shape, unitless, in [0, 1]
        """
        scaled = (signal - np.float32(self.low)) * np.float32(1.0 / (self.high - self.low))
        return np.clip(scaled, 0.0, 1.0, out=scaled)

    def undo(self, scaled: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map [0, 1] back to amplitudes; the inverse of `apply` where nothing was clipped."""
        return scaled * np.float32(self.high - self.low) + np.float32(self.low)

    def n_clipped(self, signal: npt.NDArray[np.float32]) -> int:
        """Count the samples that lie outside the range."""
        return int(np.count_nonzero((signal < self.low) | (signal > self.high)))


@dataclass(frozen=True)
class ScalingRule:
    """How the range of a recording follows from the recording itself, and from nothing else.

    Attributes
    ----------
    method : {"robust", "record-range", "fixed"}
        ``robust``: zero plus and minus `span` times the median peak-to-peak amplitude of 2-s pieces, so that
        one artefact does not squeeze all beats and leads of different gain look alike.
        ``record-range``: minimum and maximum of the recording, as published.
        ``fixed``: minus and plus `span` millivolts for every recording.
    span : float
        Multiple of the median amplitude (``robust``) or millivolts (``fixed``); not used by ``record-range``.
    """

    method: ScalingMethod
    span: float

    def __post_init__(self) -> None:
        if self.method not in SCALING_METHODS:
            raise ConfigError(f"scaling method is '{self.method}'; choose one of {', '.join(SCALING_METHODS)}.")
        if not self.span > 0:
            raise ConfigError(f"scaling span is {self.span}; it must be positive.")

    def fit(self, ranges: "AmplitudeRanges") -> Scaling:
        """Return the scaling of the recording whose amplitude ranges are given."""
        if self.method == "fixed":
            return Scaling(-self.span, self.span)
        if ranges.low.size == 0:
            return Scaling(-1.0, 1.0)  # nothing to score: the range is never used
        if self.method == "record-range":
            low, high = float(ranges.low.min()), float(ranges.high.max())
            return Scaling(low, high) if high > low else Scaling(low - 0.5, low + 0.5)
        half = self.span * ranges.median_amplitude
        return Scaling(-half, half) if half > 0 else Scaling(-1.0, 1.0)


@dataclass(frozen=True)
class AmplitudeRanges:
    """Lowest and highest value of each 2-s piece of a lead that can be scored, shape (n_pieces,) each."""

    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]

    @property
    def median_amplitude(self) -> float:
        """Median peak-to-peak amplitude of the pieces; 0 if there are none."""
        return float(np.median(self.high - self.low)) if self.low.size else 0.0


def piece_ranges(
    signal: npt.NDArray[np.float32], scorable: npt.NDArray[np.bool_], piece_samples: int
) -> AmplitudeRanges:
    """Measure lowest and highest value of each whole piece of a signal that is scorable throughout.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    scorable : ndarray of bool, shape (n_samples,)
    piece_samples : int
        A signal shorter than one piece is measured as a whole.
    """
    piece_samples = min(piece_samples, max(signal.size, 1))
    n_pieces = signal.size // piece_samples
    pieces = signal[: n_pieces * piece_samples].reshape(n_pieces, piece_samples)
    usable = scorable[: n_pieces * piece_samples].reshape(n_pieces, piece_samples).all(axis=1)
    return AmplitudeRanges(pieces[usable].min(axis=1), pieces[usable].max(axis=1))


def join_ranges(parts: list[AmplitudeRanges]) -> AmplitudeRanges:
    """Put the ranges of consecutive blocks together."""
    return AmplitudeRanges(np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts]))


def check_amplitude(median_mv: float, *, record_name: str, lead: str) -> None:
    """Refuse an amplitude that no surface ECG has: the unit in the file is wrong by a factor of 1000.

    Raises
    ------
    SignalValueError
        If the median peak-to-peak amplitude, in mV, lies outside 0.01-40 mV and is not 0.
    """
    if median_mv == 0 or LOWEST_MV <= median_mv <= HIGHEST_MV:
        return
    likely = "uV" if median_mv > HIGHEST_MV else "V"
    raise SignalValueError(
        f"record '{record_name}', lead '{lead}': the beats measure {median_mv:.3g} mV peak to peak; a surface "
        f"ECG measures {LOWEST_MV:g} to {HIGHEST_MV:g} mV. The unit is probably {likely}: "
        f"say so with unit='{likely}' (--unit {likely}), or unit='mV' if the amplitude is right."
    )
