"""Stage 1 of 7: record file -> Record. Samples of WFDB formats 16 and 212, straight from the signal file.

`wfdb` parses the header again for every part that is read, which takes longer than the samples of five minutes. Nearly
all of PhysioNet is stored in these two formats; the others are read through `wfdb`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.compiled import has_numba
from heartbert.errors import RecordFormatError
from heartbert.records.record import as_samples

# Stored value that means "no sample", by format; see signal(5).
_MISSING = {"16": -(1 << 15), "212": -(1 << 11)}
DIRECT_FORMATS = frozenset(_MISSING)


@dataclass(frozen=True)
class FrameLayout:
    """Where the samples of one signal lie among the frames of its file."""

    samples_per_frame: int
    n_frames: int
    skew_frames: int

    def read(
        self, start: int, stop: int, frames: Callable[[int, int], npt.NDArray[np.float32]]
    ) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop``, NaN where no frame is; `frames` reads from one frame to another."""
        n_samples = max(stop - start, 0)
        first = start // self.samples_per_frame + self.skew_frames
        last = min(-(-stop // self.samples_per_frame) + self.skew_frames, self.n_frames)
        inside = np.empty(0, dtype=np.float32)
        if n_samples and first < last:
            inside = frames(first, last)[start % self.samples_per_frame :][:n_samples]
        if inside.size == n_samples:
            return inside
        return np.concatenate([inside, np.full(n_samples - inside.size, np.nan, dtype=np.float32)])


@dataclass(frozen=True)
class DirectSource:
    """Samples of one signal, decoded from its file when asked for.

    Attributes
    ----------
    path : Path
        The signal file.
    storage : str
        One of `DIRECT_FORMATS`.
    offset_bytes : int
        Bytes of the file before the first sample.
    frame_samples : int
        Samples of one frame over all signals of the file.
    position : int
        Samples of a frame before those of this signal.
    samples_per_frame : int
    n_frames : int
    skew_frames : int
    baseline, gain : float
        A stored value ``d`` means ``(d - baseline) / gain`` in the unit of the header.
    factor : float
        From the unit of the header to the delivered one.
    """

    path: Path
    storage: str
    offset_bytes: int
    frame_samples: int
    position: int
    samples_per_frame: int
    n_frames: int
    skew_frames: int
    baseline: float
    gain: float
    factor: float

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop`` as float32; missing ones are NaN."""
        layout = FrameLayout(self.samples_per_frame, self.n_frames, self.skew_frames)
        return layout.read(start, stop, self._frames)

    def _frames(self, first: int, last: int) -> npt.NDArray[np.float32]:
        """Return this signal's samples in some frames."""
        columns = slice(self.position, self.position + self.samples_per_frame)
        if self.storage == "16":
            raw = self._bytes(2 * first * self.frame_samples, 2 * (last - first) * self.frame_samples)
            return self._samples(raw.view("<i2").reshape(-1, self.frame_samples)[:, columns].ravel())
        # Two samples share three bytes. Frames are read from an even one on, so that a byte group starts there.
        skipped = first % 2
        n_frames = last - first + skipped
        n_bytes = (3 * n_frames * self.frame_samples + 1) // 2
        packed = self._bytes(3 * (first - skipped) * self.frame_samples // 2, n_bytes)
        if has_numba():
            from heartbert.records.wfdb_kernels import unpack_signal

            signal = np.empty(n_frames * self.samples_per_frame, dtype=np.float32)
            frame = (self.frame_samples, self.position, self.samples_per_frame)
            unpack_signal(packed, frame, self._sample_of_code, signal)
        else:
            codes = _unpack(packed)[: n_frames * self.frame_samples].reshape(-1, self.frame_samples)
            signal = np.take(self._sample_of_code, codes[:, columns].ravel())
        return signal[skipped * self.samples_per_frame :]

    def _bytes(self, start: int, count: int) -> npt.NDArray[np.uint8]:
        try:
            found = np.fromfile(self.path, dtype=np.uint8, count=count, offset=self.offset_bytes + start)
        except OSError as error:
            raise RecordFormatError(
                f"{self.path.name} cannot be read ({error.strerror}); it must stay beside its header. Put it there"
            ) from error
        if found.size < count:
            raise RecordFormatError(
                f"{self.path.name} has become shorter than when it was opened: {found.size} bytes at byte "
                f"{self.offset_bytes + start}, where {count} are needed. Copy it again"
            )
        return found

    def _samples(self, stored: npt.NDArray[np.signedinteger[Any]]) -> npt.NDArray[np.float32]:
        """Convert stored values to the delivered unit."""
        values = (stored.astype(np.float64) - self.baseline) / self.gain
        values[stored == _MISSING[self.storage]] = np.nan
        return as_samples(values, self.factor)

    @cached_property
    def _sample_of_code(self) -> npt.NDArray[np.float32]:
        """Sample of each 12-bit pattern: a look-up is faster than the arithmetic."""
        codes = np.arange(1 << 12)
        return self._samples(np.where(codes < 1 << 11, codes, codes - (1 << 12)))


def _unpack(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Take the 12-bit patterns of format 212 apart: of three bytes, the middle one holds both samples' high bits."""
    if packed.size % 3:
        packed = np.append(packed, np.uint8(0))
    groups = packed.reshape(-1, 3)
    patterns = np.empty((groups.shape[0], 2, 2), dtype=np.uint8)  # (n_groups, sample, low and high byte)
    patterns[:, :, 0] = groups[:, ::2]
    np.bitwise_and(groups[:, 1], 0x0F, out=patterns[:, 0, 1])
    np.right_shift(groups[:, 1], 4, out=patterns[:, 1, 1])
    return patterns.view("<u2").ravel()
