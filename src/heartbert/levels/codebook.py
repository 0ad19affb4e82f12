"""Stage 3 of 7: signal -> levels, and back. Where the cells of a quantiser end, and what each decodes to."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from heartbert.compiled import has_numba
from heartbert.errors import ConfigError, SignalValueError


@dataclass(frozen=True)
class Codebook:
    """A scalar quantiser of [0, 1]: where the cells end, and what each cell decodes to.

    Attributes
    ----------
    thresholds : tuple of float, length n_levels - 1
        Decision thresholds, strictly increasing, unitless (amplitude after scaling).
    values : tuple of float, length n_levels
        Reconstruction value of each cell, strictly increasing; in a fitted codebook the mean of the training
        samples in the cell, except for the methods that say otherwise.
    """

    thresholds: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.values) <= 256 or len(self.thresholds) != len(self.values) - 1:
            raise ConfigError(
                f"codebook has {len(self.values)} values and {len(self.thresholds)} thresholds; it needs 2 "
                "to 256 values and one threshold fewer. Fit it again."
            )
        for numbers in (self.thresholds, self.values):
            if not np.isfinite(numbers).all() or not (np.diff(numbers) > 0).all():
                raise ConfigError(
                    "codebook thresholds and values must be finite, and must be strictly increasing. Fit it again."
                )

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.values)

    @cached_property
    def _thresholds(self) -> npt.NDArray[np.float32]:
        return np.asarray(self.thresholds, dtype=np.float32)

    @cached_property
    def _values(self) -> npt.NDArray[np.float32]:
        return np.asarray(self.values, dtype=np.float32)

    def quantize(self, signal: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """Give each sample of a scaled signal the index of its cell; see `quantize`."""
        return quantize(signal, self._thresholds)

    def dequantize(self, levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Decode levels to amplitudes in [0, 1]; see `dequantize`."""
        return dequantize(levels, self._values)


def quantize(signal: npt.NDArray[np.float32], thresholds: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Give each sample of a scaled signal the index of its quantiser cell.

    Level ``k`` covers ``thresholds[k - 1] <= x < thresholds[k]``; the outermost cells are open, so every
    finite sample has a level. The comparison is exact, in float32. The thresholds come from a codebook fitted
    once on training records, never from the signal being quantised.

    Parameters
    ----------
    signal : ndarray of float32, any shape
        Amplitude after scaling, unitless, nominally in [0, 1]. Other types are rounded to float32.
    thresholds : ndarray of float32, shape (n_levels - 1,)
        Decision thresholds, finite, increasing; ``2 <= n_levels <= 256``.

    Returns
    -------
    levels : ndarray of uint8, same shape as `signal`

    Raises
    ------
    SignalValueError
        If `signal` contains NaN or infinite samples; the message gives the first position.
    ConfigError
        If the number of thresholds is out of range.

    References
    ----------
    S. P. Lloyd, IEEE Trans. Inf. Theory 28(2):129-137, 1982. J. Max, IRE Trans. 6(1):7-12, 1960.

    Examples
    --------
    >>> quantize(np.array([0.1, 0.5, 0.9], dtype=np.float32), np.array([0.25, 0.75], dtype=np.float32))
    array([0, 1, 2], dtype=uint8)
    """
    if not 1 <= thresholds.size <= 255:
        raise ConfigError(f"{thresholds.size} thresholds given; a codebook has 1 to 255. Fit it again.")
    samples = np.ascontiguousarray(signal, dtype=np.float32).ravel()
    thresholds = np.asarray(thresholds, dtype=np.float32)
    levels, position = (_quantize_compiled if has_numba() else _quantize_plain)(samples, thresholds)
    if position >= 0:
        raise SignalValueError(
            f"the signal is {samples[position]} first at sample {position}; only finite samples "
            "have a level. Interpolate or cut it before quantising."
        )
    return levels.reshape(np.shape(signal))


def _quantize_compiled(
    samples: npt.NDArray[np.float32], thresholds: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.uint8], int]:
    """Return levels and the position of the first sample that is not finite, or -1."""
    from heartbert.levels import kernels

    levels = np.empty(samples.size, dtype=np.uint8)
    return levels, kernels.quantize_samples(samples, thresholds, levels)


def _quantize_plain(
    samples: npt.NDArray[np.float32], thresholds: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.uint8], int]:
    """Do the same without a compiler."""
    finite = np.isfinite(samples)
    position = -1 if finite.all() else int(np.argmin(finite))
    return np.searchsorted(thresholds, samples, side="right").astype(np.uint8), position


def dequantize(levels: npt.NDArray[np.uint8], values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Decode levels to the reconstruction values of their cells.

    Parameters
    ----------
    levels : ndarray of uint8, any shape
    values : ndarray of float32, shape (n_levels,)

    Returns
    -------
    signal : ndarray of float32, same shape as `levels`

    Raises
    ------
    SignalValueError
        If a level is not below `n_levels`.

    Examples
    --------
    >>> dequantize(np.array([0, 2], dtype=np.uint8), np.array([0.1, 0.5, 0.9], dtype=np.float32))
    array([0.1, 0.9], dtype=float32)
    """
    if levels.size and int(levels.max()) >= values.size:
        raise SignalValueError(
            f"level {int(levels.max())} found; the codebook has levels 0 to {values.size - 1}. "
            "Use the codebook that made them."
        )
    return values.take(levels)  # half the time of values[levels]
