"""What one recording adds to the measurements of a codec: counts of amplitudes, and the ratios of its leads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.evaluation.codec import Amplitudes, SignalPath
from heartbert.levels import Codebook
from heartbert.preprocessing import BLOCK_S
from heartbert.records import Channel, read_record
from heartbert.signals.filtering import BandPass
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.scaling import PIECE_S, AmplitudeRanges, join_ranges, piece_ranges
from heartbert.signals.streaming import stream_blocks

Codebooks = Mapping[SignalPath, Sequence[Codebook]]
"""The codebooks that are tried on each path."""


@dataclass(frozen=True)
class RecordMeasurement:
    """One recording on several signal paths; every tuple has one item a path.

    Attributes
    ----------
    n_leads : int
        ECG leads measured.
    n_left_out : int
        ECG leads without two scorable seconds in a row.
    n_unknown_unit : int
        Measured leads whose unit is not known; they have no part in a scaling to fixed millivolts.
    amplitudes : tuple of Amplitudes
        Scorable samples of all leads together.
    ratios_db : tuple of ndarray of float64, each shape (n_leads, n_codebooks)
        Signal-to-noise ratio of each lead under each codebook of the path.
    """

    n_leads: int
    n_left_out: int
    n_unknown_unit: int
    amplitudes: tuple[Amplitudes, ...]
    ratios_db: tuple[npt.NDArray[np.float64], ...]


def measure_record(path: Path, codebooks: Codebooks) -> RecordMeasurement:
    """Count the scaled amplitudes of a recording's ECG leads, and what codebooks make of each lead.

    Parameters
    ----------
    path : Path
        As `read_record` takes it.
    codebooks : mapping of SignalPath to sequence of Codebook
        Paths to measure; a path with an empty sequence is only counted.
    """
    totals = {signal_path: Amplitudes() for signal_path in codebooks}
    ratios: dict[SignalPath, list[list[float]]] = {signal_path: [] for signal_path in codebooks}
    n_leads, n_left_out, n_unknown_unit = 0, 0, 0
    for channel in ecg_leads(path):
        found = count_lead(channel, tuple(codebooks))
        n_left_out += not found
        n_leads += bool(found)
        n_unknown_unit += bool(found) and channel.unit != "mV"
        for signal_path, amplitudes in found.items():
            totals[signal_path].join(amplitudes)
            ratios[signal_path].append([amplitudes.snr_db(codebook) for codebook in codebooks[signal_path]])
    tables = (np.array(rows).reshape(len(rows), len(codebooks[one])) for one, rows in ratios.items())
    return RecordMeasurement(n_leads, n_left_out, n_unknown_unit, tuple(totals.values()), tuple(tables))


def count_lead(channel: Channel, paths: Sequence[SignalPath]) -> dict[SignalPath, Amplitudes]:
    """Count the scorable samples of one lead on several paths.

    Returns
    -------
    amplitudes : dict of SignalPath to Amplitudes
        Empty for a lead without two scorable seconds in a row; without the paths of fixed millivolts for a lead of
        unknown unit.
    """
    found: dict[SignalPath, Amplitudes] = {}
    for band in dict.fromkeys(path.band for path in paths):
        ranges = lead_ranges(channel, band)
        if ranges.low.size == 0:
            return {}
        mine = [path for path in paths if path.band == band and (path.rule.method != "fixed" or channel.unit == "mV")]
        scalings = {path: path.rule.fit(ranges) for path in mine}
        found |= {path: Amplitudes() for path in mine}
        for block in stream_blocks(channel, band, block_samples=round(BLOCK_S * TARGET_FS)):
            signal = block.inner_signal[block.inner_codes == 0]
            for path in mine:
                found[path].add(signal, scalings[path])
    return {path: found[path] for path in paths if path in found}


def lead_ranges(channel: Channel, band: BandPass) -> AmplitudeRanges:
    """Measure the amplitude of each scorable 2-s piece of a lead, filtered."""
    blocks = stream_blocks(channel, band, block_samples=round(BLOCK_S * TARGET_FS))
    piece_samples = round(PIECE_S * TARGET_FS)
    return join_ranges([piece_ranges(block.inner_signal, block.inner_codes == 0, piece_samples) for block in blocks])


def ecg_leads(path: Path) -> Iterator[Channel]:
    """Yield the channels of a recording that are named like ECG leads, as a corpus takes them."""
    return (channel for channel in read_record(path).channels if channel.kind == "ecg")
