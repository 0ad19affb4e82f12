"""Stage 2 of 7: Record -> signal. One pass over a lead: amplitude, R-peaks, and what cannot be scored."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.signals.beats import REFRACTORY_S, detect_r_peaks, drop_repeats
from heartbert.signals.quality import Stretch, join_stretches, stretches_from_codes
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.scaling import PIECE_S, AmplitudeRanges, join_ranges, piece_ranges
from heartbert.signals.streaming import Block


@dataclass(frozen=True)
class Survey:
    """What a first pass over a lead found.

    Attributes
    ----------
    n_samples : int
        Samples of the lead at 360 Hz.
    ranges : AmplitudeRanges
    r_peaks : ndarray of int64, shape (n_beats,)
        At 360 Hz, none of them in an unscorable stretch.
    unscorable : tuple of Stretch
    """

    n_samples: int
    ranges: AmplitudeRanges
    r_peaks: npt.NDArray[np.int64]
    unscorable: tuple[Stretch, ...]


def survey_lead(blocks: Iterable[Block]) -> Survey:
    """Survey a lead block by block.

    Parameters
    ----------
    blocks : iterable of Block
        In time order, as made by `stream_blocks`.
    """
    ranges: list[AmplitudeRanges] = []
    r_peaks: list[npt.NDArray[np.int64]] = []
    stretches: list[Stretch] = []
    n_samples = 0
    for block in blocks:
        n_samples = block.stop
        ranges.append(piece_ranges(block.inner_signal, block.inner_codes == 0, round(PIECE_S * TARGET_FS)))
        r_peaks.append(_r_peaks_of(block))
        stretches += stretches_from_codes(block.inner_codes, TARGET_FS, start_s=block.start / TARGET_FS)
    found = np.unique(np.concatenate(r_peaks))
    found = drop_repeats(found[(found >= 0) & (found < n_samples)])
    return Survey(n_samples, join_ranges(ranges), found, join_stretches(stretches))


# The same beat may be found some samples apart in two blocks. Near a border both are taken, and one is dropped
# later: else a beat that each block finds on the other's side would be lost.
_BORDER_SAMPLES = round(REFRACTORY_S * TARGET_FS / 2)
# The detector adapts its thresholds to the signal. It does not recover from a long rest without any: on MIT-BIH
# records with a flat lead at the start of a block it then found up to 60 T waves. So it starts afresh after one.
_REST_SAMPLES = round(1.0 * TARGET_FS)


def _r_peaks_of(block: Block) -> npt.NDArray[np.int64]:
    """Find the scorable R-peaks of the block itself; its context only helps the detector to settle."""
    pieces = [detect_r_peaks(block.signal[start:stop]) + start for start, stop in _pieces(block.codes)]
    found = np.concatenate([np.empty(0, dtype=np.int64), *pieces])
    found = found[block.codes[found] == 0] + block.start - block.context_samples
    inside = (found >= block.start - _BORDER_SAMPLES) & (found < block.stop + _BORDER_SAMPLES)
    return np.asarray(found[inside])


def _pieces(codes: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Cut a block at unscorable rests of a second and more; returns start and stop of what lies between."""
    edges = np.flatnonzero(np.diff(codes != 0, prepend=False, append=False)).reshape(-1, 2)
    rests = edges[edges[:, 1] - edges[:, 0] >= _REST_SAMPLES]
    bounds = np.concatenate(([0], rests.ravel(), [codes.size])).reshape(-1, 2)
    return [(start, stop) for start, stop in bounds.tolist() if stop > start]
