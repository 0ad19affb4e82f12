"""What a person reads: the analysed lead and its beats as a WFDB record, for any viewer of that format.

The layout follows the WFDB manual pages ``header(5)``, ``signal(5)`` (format 16) and ``annot(5)``.
"""

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.analysis import Analysis
from heartbert.files import replacing_file
from heartbert.predictions.labels import AamiClass
from heartbert.records.record import Channel

# Samples read at a time: 4 MB of float32, whatever the length of the recording.
BLOCK_SAMPLES = 1 << 20
# Format 16 stores -32768 for a missing sample.
_INVALID, _LARGEST = -32768, 32767
# Smallest amplitude range worth 16 bits, as a share of the amplitude itself: the resolution of float32.
_FLOAT32_RESOLUTION = 1e-7

# annot(5): codes of the symbols used here, and of the entries that carry no beat.
_CODE_OF_SYMBOL = {"N": 1, "V": 5, "F": 6, "S": 9, "Q": 13, "~": 14}
_NOTE, _SKIP, _SUB, _AUX = 22, 59, 61, 63
# Subtypes of a noise mark: no signal can be read (EC57 and bxb call it a shutdown), signal 0 cannot, all can.
_SHUTDOWN, _UNREADABLE, _READABLE = 0x30, 0x10, 0x00
_LONGEST_INTERVAL = 1023
_LONGEST_SKIP = 2**31 - 1


@dataclass(frozen=True)
class Digitisation:
    """How amplitudes become 16-bit integers: ``digital = round(amplitude * gain) + baseline``."""

    gain: float
    baseline: int

    def apply(self, signal: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
        """Return the samples as 16-bit integers; NaN and infinite ones become the invalid value."""
        finite = np.isfinite(signal)
        digital = np.rint(np.where(finite, signal, 0).astype(np.float64) * self.gain) + self.baseline
        return np.where(finite, np.clip(digital, -_LARGEST, _LARGEST), _INVALID).astype(np.int16)


def write_wfdb(analysis: Analysis, folder: Path, name: str = "beats") -> list[Path]:
    """Write the analysed lead with its beats and unscorable stretches as a WFDB record.

    Beats carry the symbol of their AAMI class and a note like ``p=0.93``; a beat that is Q because no class is
    probable enough has a note like ``p=0.41 below 0.60``. ``~`` marks where an unscorable stretch starts (note: the
    reason, or the reasons of stretches that touch) and where it ends (note: ``scorable``). Its subtype is 0x30 at the
    start, which EC57 and ``bxb`` read as a shutdown, or 0x10 where beats that were given lie in the stretch, and 0 at
    the end. All samples are at the recording's own sampling frequency. The files appear together, once all of them are
    written.

    Parameters
    ----------
    analysis : Analysis
    folder : Path
        Created if needed.
    name : str, default "beats"
        Name of the record: letters, digits, hyphens and underscores.

    Returns
    -------
    paths : list of Path
        The ``.dat``, ``.hea`` and ``.atr`` file.
    """
    paths = [folder / f"{name}.{suffix}" for suffix in ("dat", "hea", "atr")]
    with ExitStack() as renames:
        signal, header, annotations = (renames.enter_context(replacing_file(path)) for path in paths)
        digitisation = fit_digitisation(analysis.channel)
        first, checksum = _write_signal(analysis.channel, digitisation, signal)
        signal_line = _signal_line(analysis.channel, digitisation, first, checksum)
        lines = [
            _record_line(analysis, name),
            f"{name}.dat {signal_line}",
            f"# bundle: {_ascii(analysis.bundle_name)}",
        ]
        header.write_text("\n".join(lines) + "\n", encoding="ascii")
        marks = sorted([*_beat_marks(analysis), *_stretch_marks(analysis)], key=lambda mark: mark.sample)
        annotations.write_bytes(annotation_bytes(marks, analysis.channel.fs))
    return paths


def fit_digitisation(channel: Channel) -> Digitisation:
    """Return the finest round gain (1, 2 or 5 times a power of ten) at which a channel fits into 16 bits."""
    low, high = np.inf, -np.inf
    for block in _blocks(channel):
        finite = block[np.isfinite(block)]
        low, high = min(low, float(finite.min(initial=np.inf))), max(high, float(finite.max(initial=-np.inf)))
    if low > high:
        return Digitisation(1000.0, 0)  # no sample to fit
    largest = max(abs(low), abs(high), 1e-6)
    half_range = max((high - low) / 2, largest * _FLOAT32_RESOLUTION)
    finest = (_LARGEST - 1) / half_range
    decade = 10.0 ** np.floor(np.log10(finest))
    gain = float(decade * max(step for step in (1, 2, 5) if step * decade <= finest))
    return Digitisation(gain, -round((low + high) / 2 * gain))


@dataclass(frozen=True)
class Mark:
    """One annotation: sample index, symbol, note (ASCII, at most 255 characters) and subtype (0 to 127)."""

    sample: int
    symbol: str
    note: str
    subtype: int = 0


def annotation_bytes(marks: list[Mark], fs: float) -> bytes:
    """Encode annotations in the MIT format; without any, the result is an empty annotation file.

    Parameters
    ----------
    marks : list of Mark
        In time order; symbols N, S, V, F, Q or ~.
    fs : float
        Sampling frequency in Hz of the sample indices, stored in the file.
    """
    end_of_file = b"\0\0"
    if not marks:
        return end_of_file
    encoded = bytearray(_entry(_NOTE, 0) + _aux(f"## time resolution: {_plain(fs)}"))
    previous = 0
    for mark in marks:
        encoded += _interval_entry(_CODE_OF_SYMBOL[mark.symbol], mark.sample - previous)
        encoded += (_entry(_SUB, mark.subtype) if mark.subtype else b"") + _aux(mark.note)
        previous = mark.sample
    return bytes(encoded) + end_of_file


def _interval_entry(code: int, interval: int) -> bytes:
    """Return the entry of one annotation, with as many skips before it as its interval needs."""
    skips = b""
    while interval > _LONGEST_INTERVAL:
        skip = min(interval, _LONGEST_SKIP)
        skips += _entry(_SKIP, 0) + struct.pack("<HH", skip >> 16, skip & 0xFFFF)  # high word first, as in PDP-11
        interval -= skip
    return skips + _entry(code, interval)


def _entry(code: int, low_bits: int) -> bytes:
    return struct.pack("<H", code << 10 | low_bits)


def _aux(note: str) -> bytes:
    """Return a note as an entry of its length followed by its characters, padded to whole 16-bit words."""
    characters = note.encode("ascii")
    return _entry(_AUX, len(characters)) + characters + b"\0" * (len(characters) % 2)


def _beat_marks(analysis: Analysis) -> Iterator[Mark]:
    beats = analysis.beats
    rows = zip(beats.samples, beats.classes, beats.confidences, beats.abstained, strict=True)
    for sample, aami_class, confidence, abstained in rows:
        why = f" below {beats.min_confidence:.2f}" if abstained else ""
        yield Mark(int(sample), AamiClass(aami_class).name, f"p={confidence:.2f}{why}")


def _stretch_marks(analysis: Analysis) -> Iterator[Mark]:
    """Mark where each run of stretches that touch starts, and where it ends unless the recording ends there."""
    n_samples, samples = analysis.channel.n_samples, analysis.beats.samples
    for start, stop, reasons in _joined_stretches(analysis):
        with_beats = np.searchsorted(samples, stop) > np.searchsorted(samples, start)
        yield Mark(start, "~", reasons, _UNREADABLE if with_beats else _SHUTDOWN)
        if stop < n_samples:
            yield Mark(stop, "~", "scorable", _READABLE)


def _joined_stretches(analysis: Analysis) -> list[tuple[int, int, str]]:
    """Return first sample, sample after the last and reasons of each run of stretches with nothing between them."""
    fs = analysis.channel.fs
    joined: list[tuple[int, int, str]] = []
    for stretch in analysis.unscorable:
        start, stop = round(stretch.start_s * fs), round(stretch.stop_s * fs)
        if joined and start <= joined[-1][1]:
            first, _, reasons = joined.pop()
            shown = reasons if stretch.reason in reasons.split(", ") else f"{reasons}, {stretch.reason}"
            joined.append((first, stop, shown))
        else:
            joined.append((start, stop, stretch.reason))
    return joined


def _write_signal(channel: Channel, digitisation: Digitisation, path: Path) -> tuple[int, int]:
    """Write format 16 block by block; return the first value and the 16-bit checksum."""
    first, total = 0, 0
    with path.open("wb") as file:
        for i, block in enumerate(_blocks(channel)):
            digital = digitisation.apply(block)
            first = int(digital[0]) if i == 0 else first
            total += int(digital.sum(dtype=np.int64))
            file.write(digital.astype("<i2").tobytes())
    return first, (total + 0x8000) % 0x10000 - 0x8000


def _blocks(channel: Channel) -> Iterator[npt.NDArray[np.float32]]:
    for start in range(0, channel.n_samples, BLOCK_SAMPLES):
        yield channel.read(start, start + BLOCK_SAMPLES)


def _record_line(analysis: Analysis, name: str) -> str:
    line = f"{name} 1 {_plain(analysis.channel.fs)} {analysis.channel.n_samples}"
    start = analysis.record.start
    return f"{line} {start:%H:%M:%S.%f %d/%m/%Y}" if start else line


def _signal_line(channel: Channel, digitisation: Digitisation, first: int, checksum: int) -> str:
    unit = "".join(_ascii(channel.unit).split()) or "NU"
    scale = f"{_plain(digitisation.gain)}({digitisation.baseline})/{unit}"
    return f"16 {scale} 16 0 {first} {checksum} 0 {_ascii(channel.name)}"


def _plain(value: float) -> str:
    """Write a number without an exponent, which WFDB headers do not know."""
    return np.format_float_positional(value, trim="-")


def _ascii(text: str) -> str:
    """Return `text` on one line in ASCII, with ? for every other character."""
    return " ".join(text.encode("ascii", "replace").decode("ascii").split())
