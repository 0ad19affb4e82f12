"""Compiled loop that takes format 212 apart; imported only where numba is installed."""

import numba
import numpy as np
import numpy.typing as npt


@numba.njit(cache=True, nogil=True)
def unpack_signal(  # pragma: no cover - compiled
    packed: npt.NDArray[np.uint8],
    frame: tuple[int, int, int],
    sample_of_code: npt.NDArray[np.float32],
    out: npt.NDArray[np.float32],
) -> None:
    """Look up the samples of one signal: `frame` holds its samples, its position, and the samples of the signal."""
    frame_samples, position, samples_per_frame = frame
    if frame_samples == 2 and samples_per_frame == 1:  # two leads, as in most of PhysioNet: one group of bytes a frame
        if position == 0:
            for index in range(out.size):
                out[index] = sample_of_code[(packed[3 * index + 1] & 0x0F) << 8 | packed[3 * index]]
        else:
            for index in range(out.size):
                out[index] = sample_of_code[(packed[3 * index + 1] & 0xF0) << 4 | packed[3 * index + 2]]
        return
    index = 0
    for first in range(position, out.size // samples_per_frame * frame_samples + position, frame_samples):
        for sample in range(first, first + samples_per_frame):
            byte = sample // 2 * 3
            if sample % 2:
                code = (packed[byte + 1] & 0xF0) << 4 | packed[byte + 2]
            else:
                code = (packed[byte + 1] & 0x0F) << 8 | packed[byte]
            out[index] = sample_of_code[code]
            index += 1
