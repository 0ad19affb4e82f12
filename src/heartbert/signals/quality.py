"""Stage 2 of 7: Record -> signal. Which stretches of a recording cannot be scored, and why."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Reason = Literal["missing", "flat", "saturated"]

REASONS: tuple[Reason, ...] = ("missing", "flat", "saturated")
"""Code ``k`` of `find_unscorable` stands for ``REASONS[k - 1]``; code 0 is scorable."""

# No change from sample to sample for this long is a loose lead, no ECG: amplifier noise moves the last bit.
FLAT_S = 1.0
# A run at the recording's extreme value for this long is a converter at its rail; a wave's top is shorter.
SATURATED_S = 0.06
_SATURATED_SAMPLES = 6
# What a defect does to its neighbourhood through the filters, in seconds on each side.
SPREAD_S = 0.1


@dataclass(frozen=True)
class Stretch:
    """A part of a recording that is not scored."""

    start_s: float
    stop_s: float
    reason: Reason


def find_unscorable(signal: npt.NDArray[np.float32], fs: float, *, low: float, high: float) -> npt.NDArray[np.uint8]:
    """Say of each sample of a raw signal whether it can be scored.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
        Unfiltered samples; missing ones are NaN or infinite.
    fs : float
        Sampling frequency in Hz.
    low, high : float
        Smallest and largest finite sample of the whole recording, in the unit of `signal`.

    Returns
    -------
    codes : ndarray of uint8, shape (n_samples,)
        0 scorable, 1 missing, 2 flat (no change for `FLAT_S`), 3 saturated (at the recording's lowest or
        highest value for `SATURATED_S`).

    Examples
    --------
    >>> find_unscorable(np.array([0, np.nan, 1], dtype=np.float32), 1.0, low=0, high=1)
    array([0, 1, 0], dtype=uint8)
    """
    codes = np.zeros(signal.size, dtype=np.uint8)
    missing = ~np.isfinite(signal)
    shortest = min(max(FLAT_S * fs, 2), max(SATURATED_S * fs, _SATURATED_SAMPLES))
    if not missing.any() and not _may_rest(signal, math.ceil(shortest)):
        return codes
    changes = np.flatnonzero((signal[1:] != signal[:-1]) | missing[1:]) + 1
    starts = np.concatenate(([0], changes))
    lengths = np.diff(np.append(starts, signal.size))
    values = signal[starts]
    flat = lengths >= max(FLAT_S * fs, 2)
    long_enough = lengths >= max(SATURATED_S * fs, _SATURATED_SAMPLES)
    railed = long_enough & ((values == low) | (values == high)) & ~flat
    codes[:] = np.repeat(np.where(flat, 2, np.where(railed, 3, 0)), lengths)
    codes[missing] = 1
    return codes


def _may_rest(signal: npt.NDArray[np.float32], n_samples: int) -> bool:
    """Return False if no `n_samples` consecutive samples are equal, without a look at most of them."""
    # A run of n samples holds four neighbouring points of a grid with steps of n / 4, and all between them.
    n_points = min(4, n_samples)
    step = n_samples // n_points
    grid = signal[::step]
    equal = grid[1:] == grid[:-1]
    for _ in range(n_points - 2):
        equal = equal[1:] & equal[:-1]
    candidates = np.flatnonzero(equal) * step
    between = signal[candidates[:, None] + np.arange((n_points - 1) * step + 1)]  # (n_candidates, n_between)
    return bool((between == between[:, :1]).all(axis=1).any())


def spread(unscorable: npt.NDArray[np.bool_], n_samples: int) -> npt.NDArray[np.bool_]:
    """Widen each marked run by `n_samples` on both sides; shape is kept."""
    if not unscorable.any():
        return unscorable
    kernel = np.ones(2 * n_samples + 1)
    return np.convolve(unscorable, kernel, mode="full")[n_samples : n_samples + unscorable.size] > 0.5


def stretches_from_codes(codes: npt.NDArray[np.uint8], fs: float, *, start_s: float = 0.0) -> list[Stretch]:
    """Turn runs of equal non-zero codes into stretches, in time order."""
    edges = np.flatnonzero(np.diff(codes)) + 1
    starts = np.concatenate(([0], edges))
    stops = np.append(edges, codes.size)
    return [
        Stretch(start_s + float(start / fs), start_s + float(stop / fs), REASONS[codes[start] - 1])
        for start, stop in zip(starts, stops, strict=True)
        if codes.size and codes[start]
    ]


def join_stretches(stretches: list[Stretch]) -> tuple[Stretch, ...]:
    """Join stretches of one reason that touch, as the two halves on both sides of a block's edge do."""
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and joined[-1].reason == stretch.reason and stretch.start_s - joined[-1].stop_s < 1e-6:
            joined[-1] = Stretch(joined[-1].start_s, stretch.stop_s, stretch.reason)
        else:
            joined.append(stretch)
    return tuple(joined)
