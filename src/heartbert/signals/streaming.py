"""Stage 2 of 7: Record -> signal. A lead of any length at 360 Hz, filtered, in blocks, in constant memory."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from heartbert.records.record import Channel
from heartbert.signals.filtering import BandPass
from heartbert.signals.quality import FLAT_S, SPREAD_S, find_unscorable, spread
from heartbert.signals.resampling import TARGET_FS, n_resampled, rate_ratio, resample_padded, support_samples

# Context in seconds that a block brings on both sides, beyond what the filters need: the beat detector
# settles in it.
CONTEXT_S = 5.0
# Longest gap in seconds that a straight line bridges. Both ends of a longer one need not lie in the same block's
# context, so there each end is held: a scorable sample is filtered alike in every block.
_LONGEST_BRIDGED_S = CONTEXT_S
# Seconds that the pass for the range keeps: an hour is decoded once, and memory stays bounded.
_KEPT_S = 3600.0


@dataclass(frozen=True)
class Block:
    """A part of a lead at 360 Hz with context on both sides.

    Attributes
    ----------
    start : int
        Index at 360 Hz of the first sample of the block itself, without context.
    stop : int
        Index at 360 Hz after its last sample.
    context_samples : int
        Samples before `start` and after `stop` that `signal` and `codes` also hold.
    signal : ndarray of float32, shape (stop - start + 2 * context_samples,)
        Filtered amplitude in the channel's unit; finite everywhere.
    codes : ndarray of uint8, same shape
        0 scorable, else why not: see `heartbert.signals.quality.REASONS`.
    """

    start: int
    stop: int
    context_samples: int
    signal: npt.NDArray[np.float32]
    codes: npt.NDArray[np.uint8]

    @property
    def inner_signal(self) -> npt.NDArray[np.float32]:
        """Samples ``start <= index < stop``, without context."""
        return self.signal[self.context_samples : self.context_samples + self.stop - self.start]

    @property
    def inner_codes(self) -> npt.NDArray[np.uint8]:
        """Codes of `inner_signal`."""
        return self.codes[self.context_samples : self.context_samples + self.stop - self.start]


class MeasuredChannel:
    """A channel after a first pass over it: its range is known, and its first hour is not decoded again.

    Parameters
    ----------
    channel : Channel
    part_samples : int
        Samples read at a time.

    Attributes
    ----------
    low, high : float
        Lowest and highest finite sample; 0 if there is none.
    """

    def __init__(self, channel: Channel, part_samples: int) -> None:
        self.channel = channel
        self._kept = np.empty(min(channel.n_samples, math.ceil(_KEPT_S * channel.fs)), dtype=np.float32)
        low, high = np.inf, -np.inf
        for start in range(0, channel.n_samples, part_samples):
            signal = channel.read(start, min(start + part_samples, channel.n_samples))
            self._kept[start : start + part_samples] = signal[: max(0, self._kept.size - start)]
            lowest, highest = _finite_range(signal)
            low, high = min(low, lowest), max(high, highest)
        self.low, self.high = (low, high) if low <= high else (0.0, 0.0)

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop``; not to be changed in place."""
        return self._kept[start:stop] if stop <= self._kept.size else self.channel.read(start, stop)


def _finite_range(signal: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return lowest and highest finite sample; infinities in the wrong order if there is none."""
    low, high = float(signal.min(initial=np.inf)), float(signal.max(initial=-np.inf))
    if math.isfinite(low) and math.isfinite(high):  # a missing sample would have shown
        return low, high
    finite = signal[np.isfinite(signal)]
    return float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf))


def stream_blocks(channel: Channel, band: BandPass, *, block_samples: int, first: int = 0) -> Iterator[Block]:
    """Yield a lead at 360 Hz, filtered, in blocks that join exactly: the result does not depend on their size.

    Parameters
    ----------
    channel : Channel
        One lead at any sampling frequency.
    band : BandPass
    block_samples : int
        Samples of a block at 360 Hz; only memory depends on it.
    first : int
        Number of the block to begin with.

    Yields
    ------
    block : Block
        In time order; together, from block 0 on, they cover ``round(n_samples * 360 / fs)`` samples.
    """
    ratio = rate_ratio(channel.fs)
    n_out = n_resampled(channel.n_samples, ratio)
    if first * block_samples >= n_out:
        return
    measured = MeasuredChannel(channel, block_samples)
    context = round(CONTEXT_S * TARGET_FS)
    margin_out = context + band.margin_samples
    up, down = ratio.numerator, ratio.denominator
    margin_in = support_samples(ratio) + math.ceil(max(FLAT_S, SPREAD_S) * channel.fs)
    for start in range(first * block_samples, n_out, block_samples):
        stop = min(start + block_samples, n_out)
        # The first sample read lies on both sampling grids: input `origin * down` is output `origin * up`.
        origin = (start - margin_out) // up - -(-margin_in // down)
        last_in = math.ceil((stop + margin_out) / ratio) + margin_in
        raw, codes = _read_extended(measured, origin * down, last_in)
        skip = start - margin_out - origin * up
        resampled = resample_padded(raw, ratio)[skip : skip + stop - start + 2 * margin_out]
        filtered = band.apply_padded(resampled)
        first_out = start - context - origin * up
        yield Block(start, stop, context, filtered, _codes_at(codes, first_out, filtered.size, 1 / ratio))


def _codes_at(codes: npt.NDArray[np.uint8], first: int, n_samples: int, step: Fraction) -> npt.NDArray[np.uint8]:
    """Give samples ``first``, ``first + 1``, ... of the resampled signal the code of the input sample before them."""
    if not codes.any():
        return np.zeros(n_samples, dtype=np.uint8)
    return codes[np.arange(first, first + n_samples) * step.numerator // step.denominator]


def _read_extended(
    measured: MeasuredChannel, start: int, stop: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Read samples, beyond both ends by odd reflection, with gaps filled, and the code of each sample."""
    n_samples, fs = measured.channel.n_samples, measured.channel.fs
    # Read as much inside the channel as reflection at either end will need.
    inside_start = max(0, min(start, n_samples - 1 - max(stop - n_samples + 1, 0)))
    inside_stop = min(n_samples, max(stop, -start + 1))
    raw = measured.read(inside_start, inside_stop)
    codes = find_unscorable(raw, fs, low=measured.low, high=measured.high)
    widened = spread(codes == 1, round(SPREAD_S * fs))
    codes[widened & (codes == 0)] = 1
    signal = _fill_gaps(raw, round(_LONGEST_BRIDGED_S * fs))
    before, after = max(0, inside_start - start), max(0, stop - inside_stop)
    if not before and not after:
        inside = slice(start - inside_start, stop - inside_start)
        return signal[inside], codes[inside]
    if signal.size > 1:
        signal = np.pad(signal, (before, after), mode="reflect", reflect_type="odd")
    else:
        signal = np.pad(signal, (before, after), mode="edge")
    codes = np.pad(codes, (before, after), mode="edge")
    offset = start - (inside_start - before)
    return signal[offset : offset + stop - start], codes[offset : offset + stop - start]


def _fill_gaps(signal: npt.NDArray[np.float32], n_bridged: int) -> npt.NDArray[np.float32]:
    """Replace missing samples: by a straight line in gaps up to `n_bridged`, else by the nearest sample, or 0."""
    finite = np.isfinite(signal)
    if finite.all():
        return signal
    if not finite.any():
        return np.zeros_like(signal)
    present, missing = np.flatnonzero(finite), np.flatnonzero(~finite)
    after = np.searchsorted(present, missing)
    right = present[np.minimum(after, present.size - 1)]
    left = present[np.maximum(after - 1, 0)]
    nearest = np.where(missing - left <= right - missing, left, right)
    line = np.interp(missing, present, signal[present])
    filled = signal.copy()
    filled[missing] = np.where(right - left <= n_bridged, line, signal[nearest])
    return filled
