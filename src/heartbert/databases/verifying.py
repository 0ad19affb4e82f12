"""Are the files of a database whole? Compared with its list of checksums, else with those in its headers."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heartbert.databases.checksums import SUMS_FILE, place_of, read_sums, select
from heartbert.errors import ConfigError, RecordFormatError
from heartbert.files import sha256_of
from heartbert.progress import Progress, no_progress
from heartbert.records.wfdb_header import NO_FILE, read_header
from heartbert.records.wfdb_library import wfdb

_LONGEST_TEXT_BYTES = 1 << 20
_SIGNAL_SUFFIXES = frozenset({".dat", ".mat"})


@dataclass(frozen=True)
class Damage:
    """A file that is not what it should be.

    Attributes
    ----------
    name : str
        Path inside the folder.
    expected, found : str
        Checksums, or what takes their place.
    """

    name: str
    expected: str
    found: str


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    Attributes
    ----------
    method : str
        ``"SHA256SUMS.txt"`` or ``"WFDB headers"``.
    n_listed : int
        Files that should be there.
    n_good : int
        Files that are there and right.
    missing : tuple of str
    damaged : tuple of Damage
    extra : tuple of str
        Files that nothing names; they may be anybody's and are no fault.
    n_unstated : int
        Files that are there, but for which no checksum is stated.
    """

    method: str
    n_listed: int
    n_good: int
    missing: tuple[str, ...]
    damaged: tuple[Damage, ...]
    extra: tuple[str, ...]
    n_unstated: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not (self.missing or self.damaged)


def verify(folder: Path, *, only: str | None = None, progress: Progress = no_progress) -> Verification:
    """Compare the files of a folder with ``SHA256SUMS.txt`` in it, else with the checksums in its WFDB headers.

    A header states 16 bits for each signal: damage by chance escapes once in 65,536 times, and annotations are not
    covered.

    Parameters
    ----------
    folder : Path
    only : str, optional
        Pattern such as ``*.dat`` that chooses files by path or name.
    progress : callable
        Told the stage and the fraction done.

    Raises
    ------
    ConfigError
        If it is no folder, no file matches, or there is neither list nor header.
    DatabaseError
        If the list is damaged or names files outside the folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"'{folder}' is no folder; a folder of recordings is needed. Check the path.")
    if (folder / SUMS_FILE).is_file():
        return _verify_sums(folder, only, progress)
    return _verify_headers(folder, only, progress)


def _verify_sums(folder: Path, only: str | None, progress: Progress) -> Verification:
    sums = read_sums(folder / SUMS_FILE)
    names = select(sorted(name for name in sums if name != SUMS_FILE), only)
    missing, damaged = [], []
    for index, name in enumerate(names):
        progress("verifying", index / len(names))
        path = place_of(folder, name)
        if not path.is_file():
            missing.append(name)
        elif (found := sha256_of(path)) != sums[name]:
            damaged.append(Damage(name, sums[name], found + _reason(path, sums[name])))
    extra = sorted(set(_present(folder)) - {*sums, SUMS_FILE}) if only is None else []
    n_good = len(names) - len(missing) - len(damaged)
    return Verification(SUMS_FILE, len(names), n_good, tuple(missing), tuple(damaged), tuple(extra))


def _reason(path: Path, expected: str) -> str:
    """Say it where a text differs in its line ends only, as after a transfer in text mode."""
    if path.stat().st_size > _LONGEST_TEXT_BYTES:
        return ""
    text = path.read_bytes().replace(b"\r\n", b"\n")
    versions = (text, text.replace(b"\n", b"\r\n"))
    same = any(hashlib.sha256(version).hexdigest() == expected for version in versions)
    return " (only the line ends differ)" if same else ""


def _verify_headers(folder: Path, only: str | None, progress: Progress) -> Verification:
    headers = sorted(name for name in _present(folder) if name.endswith(".hea"))
    if not headers:
        raise ConfigError(
            f"'{folder}' holds neither {SUMS_FILE} nor WFDB headers (.hea); nothing says what its files should be. "
            f"Put {SUMS_FILE} there, or give a folder that has it."
        )
    outcomes: dict[str, Damage | str] = {}
    chosen = select(headers, only)
    for index, name in enumerate(chosen):
        progress("verifying", index / len(chosen))
        outcomes |= _check_record(folder, name)
    signals = {name for name in _present(folder) if Path(name).suffix in _SIGNAL_SUFFIXES}
    kinds = list(outcomes.values())
    return Verification(
        method="WFDB headers",
        n_listed=len(outcomes),
        n_good=kinds.count("good"),
        missing=tuple(name for name, found in outcomes.items() if found == "missing"),
        damaged=tuple(found for found in kinds if isinstance(found, Damage)),
        extra=tuple(sorted(signals - set(outcomes))) if only is None else (),
        n_unstated=kinds.count("unstated"),
    )


def _check_record(folder: Path, name: str) -> dict[str, Damage | str]:
    """Compare the signal files of one header with it; returns what became of the header and of each of them."""
    path = folder / name
    try:
        header = read_header(path, fs=None, needs_samples=False)
    except RecordFormatError as error:
        return {name: Damage(name, "a WFDB header", str(error))}
    of_file: dict[str, list[int]] = {}
    for number, line in enumerate(header.signals):
        if line.file_name != NO_FILE:
            of_file.setdefault(line.file_name, []).append(number)
    outcomes: dict[str, Damage | str] = {name: "good"}
    for file_name, numbers in of_file.items():
        place = str(Path(name).with_name(file_name).as_posix())
        is_there = path.with_name(file_name).is_file()
        outcomes[place] = _compare(header.record_path, place, numbers) if is_there else "missing"
    return outcomes


def _compare(record_path: str, name: str, numbers: Sequence[int]) -> Damage | str:
    """Compare the sums over the stored samples of some signals with those stated, modulo 65,536."""
    header: Any = wfdb.rdheader(record_path)
    stated = [header.checksum[number] for number in numbers]
    try:
        record: Any = wfdb.rdrecord(
            record_path, channels=list(numbers), physical=False, smooth_frames=False, ignore_skew=True
        )
    except Exception as error:  # wfdb raises bare exceptions of many kinds
        return Damage(name, "samples as the header describes them", f"{type(error).__name__}: {error}")
    if None in stated:
        return "unstated"
    found = [int(np.sum(signal, dtype=np.int64)) & 0xFFFF for signal in record.e_d_signal]
    expected = [int(each) & 0xFFFF for each in stated]
    if found == expected:
        return "good"
    return Damage(name, "checksums " + " ".join(map(str, expected)), " ".join(map(str, found)))


def _present(folder: Path) -> Iterator[str]:
    """Yield the files in a folder by their path inside it, without hidden ones."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in inside.parts):
            yield inside.as_posix()
