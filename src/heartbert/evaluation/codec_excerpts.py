"""A few seconds of a real lead, before and after codecs: what a loss in dB looks like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.evaluation.codec_records import lead_ranges
from heartbert.preprocessing import Preprocessing
from heartbert.records import Channel, read_record
from heartbert.signals.resampling import TARGET_FS

Signal = npt.NDArray[np.float32]
# Long enough for three beats at 60 a minute.
EXCERPT_S = 3.0


@dataclass(frozen=True)
class Excerpt:
    """Seconds from the middle of one lead, at 360 Hz.

    Attributes
    ----------
    database, record, lead, unit : str
    start_s : float
        From the start of the recording.
    signals : mapping of str to (ndarray, ndarray)
        By the name of the codec: what it was given (filtered if it filters) and what it decodes to, in `unit`.
    """

    database: str
    record: str
    lead: str
    unit: str
    start_s: float
    signals: Mapping[str, tuple[Signal, Signal]]


def take_excerpt(database: str, path: Path, codecs: Mapping[str, Preprocessing]) -> Excerpt | None:
    """Take an excerpt of a recording's usual lead.

    Parameters
    ----------
    database : str
    path : Path
        As `read_record` takes it.
    codecs : mapping of str to Preprocessing

    Returns
    -------
    excerpt : Excerpt or None
        None if there is no ECG lead, or its middle has no `EXCERPT_S` scorable seconds in a row.
    """
    record = read_record(path)
    if not any(channel.kind == "ecg" for channel in record.channels):
        return None
    channel = record.lead()
    middle = round(channel.duration_s * TARGET_FS / 2)
    signals: dict[str, tuple[Signal, Signal]] = {}
    start = 0
    for name, codec in codecs.items():
        cut = _cut(channel, codec, middle)
        if cut is None:
            return None
        start, signal = cut
        scaling = codec.scaling_rule.fit(lead_ranges(channel, codec.band))
        decoded = codec.codebook.dequantize(codec.codebook.quantize(scaling.apply(signal)))
        signals[name] = signal, scaling.undo(decoded)
    return Excerpt(database, record.name, channel.name, channel.unit, start / TARGET_FS, signals)


def _cut(channel: Channel, codec: Preprocessing, middle: int) -> tuple[int, Signal] | None:
    """Return start and signal of the scorable seconds that begin next to the middle of a lead, in its block."""
    length = round(EXCERPT_S * TARGET_FS)
    for block in codec.stream(channel):
        if block.start <= middle < block.stop:
            starts = block.start + _scorable_starts(block.inner_codes == 0, length)
            if starts.size == 0:
                return None
            start = int(starts[np.argmin(np.abs(starts - (middle - length // 2)))])
            return start, block.inner_signal[start - block.start :][:length].copy()
    return None


def _scorable_starts(scorable: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.int64]:
    """Return where `length` scorable samples in a row begin."""
    n_before = np.concatenate(([0], np.cumsum(scorable)))
    return np.flatnonzero(n_before[length:] - n_before[:-length] == length)


def take_excerpts(
    databases: Sequence[tuple[str, Sequence[Path]]], codecs: Mapping[str, Preprocessing], n_excerpts: int
) -> tuple[Excerpt, ...]:
    """Take up to `n_excerpts` excerpts, one a database in turn, from recordings spread over each.

    Parameters
    ----------
    databases : sequence of (str, sequence of Path)
        Name and recordings.
    codecs : mapping of str to Preprocessing
    n_excerpts : int
    """
    found: list[Excerpt] = []
    n_rounds = -(-n_excerpts // len(databases))
    for turn in range(n_rounds):
        for name, paths in databases:
            # The middle recording first, then at a quarter and at three quarters, so a round adds other people.
            share = (0.5, 0.25, 0.75, 0.125)[turn % 4]
            excerpt = take_excerpt(name, paths[int(share * len(paths))], codecs)
            if excerpt is not None and len(found) < n_excerpts:
                found.append(excerpt)
    return tuple(found)
