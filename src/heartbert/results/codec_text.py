"""What a person reads: the text of a recording as a file, one window a line, and the signal that a text decodes to.

Lines end in a line feed and nothing else does: the published alphabet holds U+0085, at which `str.splitlines` breaks.
Beside ``FILE`` lies ``FILE.json``, which says what the letters mean; with it a text decodes to the lead's own unit.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, TextError
from heartbert.evaluation.codec_records import lead_ranges
from heartbert.files import replacing_file
from heartbert.preprocessing import Preprocessing
from heartbert.records.record import Record
from heartbert.signals.quality import Stretch, join_stretches, stretches_from_codes
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.scaling import Scaling, check_amplitude
from heartbert.text import ALPHABET, PUBLISHED_ALPHABET, from_text, to_text

AlphabetName = Literal["heartbert", "published"]
ALPHABETS: dict[AlphabetName, str] = {"heartbert": ALPHABET, "published": PUBLISHED_ALPHABET}
"""Alphabets by the name that commands take."""
SUFFIXES = (".csv", ".npy")
"""What a decoded signal can be written as."""


@dataclass(frozen=True)
class TextFacts:
    """What the letters of a text mean: the content of its side file.

    Attributes
    ----------
    record, lead, unit : str
        Where the text comes from; `unit` is mV, or NU where the file does not say.
    fs : float
        Letters a second, in Hz.
    n_samples, window_samples : int
        Letters in all, and on a line; the last line may be shorter.
    scale_low, scale_high : float
        Amplitudes in `unit` that became 0 and 1.
    n_clipped : int
        Samples outside that range.
    alphabet : {"heartbert", "published"}
    values : tuple of float, length n_levels
        What each level decodes to in [0, 1].
    unscorable : tuple of Stretch
        Parts without a usable signal, whose letters mean nothing; gaps hold interpolated samples.
    """

    record: str
    lead: str
    unit: str
    fs: float
    n_samples: int
    window_samples: int
    scale_low: float
    scale_high: float
    n_clipped: int
    alphabet: AlphabetName
    values: tuple[float, ...]
    unscorable: tuple[Stretch, ...]

    @property
    def n_windows(self) -> int:
        """Lines of the text."""
        return -(-self.n_samples // self.window_samples)

    @property
    def unscorable_s(self) -> float:
        """Seconds without a usable signal."""
        return sum(stretch.stop_s - stretch.start_s for stretch in self.unscorable)


def side_file(path: Path) -> Path:
    """Return where the facts about a text are: beside it, with ``.json`` after its name."""
    return path.with_name(path.name + ".json")


def write_text(
    record: Record, codec: Preprocessing, path: Path, *, lead: str | None = None, alphabet: AlphabetName = "heartbert"
) -> TextFacts:
    """Write one lead of a recording as text, one window a line, and its side file.

    Every window has its line, so line and column give the time. Samples that cannot be scored are written as the
    encoder's input has them: gaps interpolated, rails as they are; the side file lists where they lie.

    Parameters
    ----------
    record : Record
    codec : Preprocessing
    path : Path
        File to write, UTF-8; it and its side file are replaced together, when both are complete.
    lead : str, optional
        Name of the lead; by default the first ECG lead in the documented order of preference.
    alphabet : {"heartbert", "published"}

    Returns
    -------
    facts : TextFacts

    Raises
    ------
    ConfigError
        If the alphabet has fewer letters than the codebook has levels.
    LeadNotFoundError, SignalValueError
    """
    letters = _letters(alphabet, codec.codebook.n_levels)
    channel = record.lead(lead)
    ranges = lead_ranges(channel, codec.band)
    if channel.unit == "mV" and not channel.unit_given:
        check_amplitude(ranges.median_amplitude, record_name=record.name, lead=channel.name)
    scaling = codec.scaling_rule.fit(ranges)
    n_samples, n_clipped = 0, 0
    unscorable: list[Stretch] = []
    with ExitStack() as renames:
        side, temporary = (renames.enter_context(replacing_file(target)) for target in (side_file(path), path))
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for block in codec.stream(channel):
                levels = codec.codebook.quantize(scaling.apply(block.inner_signal))
                file.writelines(_lines(levels, codec.window_samples, letters))
                n_samples, n_clipped = block.stop, n_clipped + scaling.n_clipped(block.inner_signal)
                unscorable += stretches_from_codes(block.inner_codes, TARGET_FS, start_s=block.start / TARGET_FS)
        facts = TextFacts(
            record=record.name,
            lead=channel.name,
            unit=channel.unit,
            fs=TARGET_FS,
            n_samples=n_samples,
            window_samples=codec.window_samples,
            scale_low=scaling.low,
            scale_high=scaling.high,
            n_clipped=n_clipped,
            alphabet=alphabet,
            values=codec.codebook.values,
            unscorable=join_stretches(unscorable),
        )
        side.write_text(json.dumps(asdict(facts), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return facts


def read_facts(path: Path) -> TextFacts | None:
    """Read what the letters of a text mean from its side file; None if there is none.

    Raises
    ------
    TextError
        If the side file cannot be understood.
    """
    side = side_file(path)
    if not side.exists():
        return None
    try:
        content = json.loads(side.read_text("utf-8"))
        stretches = tuple(Stretch(**stretch) for stretch in content.pop("unscorable"))
        facts = TextFacts(**{**content, "values": tuple(content["values"]), "unscorable": stretches})
        _letters(facts.alphabet, len(facts.values))
    except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise TextError(
            f"'{side}' does not say what the letters of '{path.name}' mean ({error}). Write the text again, or move "
            "the file away to decode to [0, 1]."
        ) from error
    return facts


@dataclass(frozen=True)
class Decoder:
    """What turns letters back into amplitudes.

    Attributes
    ----------
    values : tuple of float, length n_levels
        What each level decodes to in [0, 1].
    alphabet : {"heartbert", "published"}
    scaling : Scaling
        The range that 0 and 1 stand for.
    column : str
        Name of the decoded lead with its unit.
    """

    values: tuple[float, ...]
    alphabet: AlphabetName
    scaling: Scaling
    column: str


def choose_decoder(facts: TextFacts | None, values: tuple[float, ...] | None, alphabet: AlphabetName | None) -> Decoder:
    """Put a decoder together; what the caller gives wins over the facts in a side file.

    Parameters
    ----------
    facts : TextFacts or None
        Without them, amplitudes are in [0, 1].
    values : tuple of float, optional
        What each level decodes to; needed without facts.
    alphabet : {"heartbert", "published"}, optional
        By default that of the facts, else ``"heartbert"``.

    Raises
    ------
    ConfigError
        If there are neither facts nor values.
    """
    if facts is not None:
        scaling, column = Scaling(facts.scale_low, facts.scale_high), f"{facts.lead} ({facts.unit})"
        return Decoder(values or facts.values, alphabet or facts.alphabet, scaling, column)
    if values is None:
        raise ConfigError("nothing says what the letters decode to; give a bundle, or the text's side file.")
    return Decoder(values, alphabet or "heartbert", Scaling(0.0, 1.0), "amplitude")


def decode_text(path: Path, decoder: Decoder, output: Path) -> int:
    """Write the signal of a text at 360 Hz.

    Parameters
    ----------
    path : Path
        Text in UTF-8, lines ending in a line feed; the lines are joined.
    decoder : Decoder
    output : Path
        ``.csv`` (columns ``time_s`` and the lead with its unit, which `read_record` reads) or ``.npy`` (float32).

    Returns
    -------
    n_samples : int

    Raises
    ------
    ConfigError
        If `output` has another suffix.
    TextError
        If the text is empty, not UTF-8, or has a character that is no letter; the message gives line and position.
    """
    if output.suffix not in SUFFIXES:
        raise ConfigError(f"'{output.name}' ends in '{output.suffix}'; a signal is written as {' or '.join(SUFFIXES)}.")
    n_samples = sum(signal.size for signal in _signals(path, decoder))
    if n_samples == 0:
        raise TextError(f"'{path}' holds no letter; give a text that 'heartbert text' wrote.")
    with replacing_file(output) as temporary:
        if output.suffix == ".csv":
            _write_csv(_signals(path, decoder), temporary, column=decoder.column)
        else:
            _write_npy(_signals(path, decoder), temporary, n_samples=n_samples)
    return n_samples


def _letters(alphabet: AlphabetName, n_levels: int) -> str:
    letters = ALPHABETS.get(alphabet)
    if letters is None or n_levels > len(letters):
        has = f"has {len(letters)} letters" if letters is not None else "is unknown"
        raise ConfigError(
            f"the codebook has {n_levels} levels and the alphabet '{alphabet}' {has}; choose one of "
            f"{', '.join(ALPHABETS)} that has a letter for each level."
        )
    return letters


def _lines(levels: npt.NDArray[np.uint8], window_samples: int, letters: str) -> Iterator[str]:
    for start in range(0, levels.size, window_samples):
        yield to_text(levels[start : start + window_samples], alphabet=letters) + "\n"


def _signals(path: Path, decoder: Decoder) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the amplitudes of each line."""
    values = np.array(decoder.values, dtype=np.float32)
    letters = _letters(decoder.alphabet, values.size)
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                try:
                    levels = from_text(line.removesuffix("\n"), values.size, alphabet=letters)
                except TextError as error:
                    raise TextError(f"'{path}', line {number}: {error}") from error
                yield decoder.scaling.undo(values[levels])
    except UnicodeDecodeError as error:
        raise TextError(f"'{path}' is not UTF-8 ({error}). Save it as UTF-8.") from error


def _write_csv(signals: Iterator[npt.NDArray[np.float32]], path: Path, *, column: str) -> None:
    start = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        quoted = column.replace('"', '""')
        file.write(f'time_s,"{quoted}"\n')
        for signal in signals:
            times_s = (np.arange(start, start + signal.size) / TARGET_FS).tolist()
            rows = zip(times_s, signal.tolist(), strict=True)
            file.writelines(f"{time_s:.6f},{amplitude:.6g}\n" for time_s, amplitude in rows)
            start += signal.size


def _write_npy(signals: Iterator[npt.NDArray[np.float32]], path: Path, *, n_samples: int) -> None:
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_samples,))
    start = 0
    for signal in signals:
        stored[start : start + signal.size] = signal
        start += signal.size
    stored.flush()
