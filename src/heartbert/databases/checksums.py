"""The list of a database's files with their SHA-256, as PhysioNet publishes it in SHA256SUMS.txt."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from heartbert.errors import ConfigError, DatabaseError
from heartbert.files import replacing_file

SUMS_FILE = "SHA256SUMS.txt"

_LINE = re.compile(r"([0-9a-fA-F]{64})[ \t]+\*?(.+)")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\:]")
_N_LISTED = 3


def read_sums(path: Path) -> dict[str, str]:
    """Read a list of checksums: SHA-256 in lower case by path inside the database.

    Raises
    ------
    DatabaseError
        If a line is none of checksum and path, or a path leaves the folder.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise DatabaseError(
                f"line {number} of {path.name} is '{line[:80]}'; 64 hexadecimal digits and a path are allowed. "
                "Check the address, or download it again"
            )
        sums[checked_name(match[2], f"line {number} of {path.name}")] = match[1].lower()
    return sums


def write_sums(path: Path, sums: Mapping[str, str]) -> None:
    """Write a list of checksums, sorted by path."""
    with replacing_file(path) as temporary:
        text = "".join(f"{sums[name]} {name}\n" for name in sorted(sums))
        temporary.write_text(text, encoding="utf-8")


def checked_name(name: str, where: str) -> str:
    """Return a path in its shortest form if it stays inside the folder of the database.

    Raises
    ------
    DatabaseError
        If it is absolute, goes up, or has characters that no published file has.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or _UNSAFE.search(name) or not path.parts:
        raise DatabaseError(
            f"{where} names the file '{name[:80]}'; only paths inside the database's folder are allowed. "
            "Nothing was written there; do not trust this source"
        )
    return str(path)


def place_of(folder: Path, name: str) -> Path:
    """Return where a file of the database lies in `folder`, links in the folder resolved.

    Raises
    ------
    DatabaseError
        If a link leads out of the folder.
    """
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise DatabaseError(
            f"'{target}' leads out of '{folder}' through a link; files are only kept inside. Remove the link"
        )
    return target


def select(names: Iterable[str], only: str | None) -> list[str]:
    """Choose paths by a pattern such as ``*.hea`` or ``p00/p00000/*``, matched with the path and with the name alone.

    Raises
    ------
    ConfigError
        If none matches.
    """
    listed = list(names)
    if only is None:
        return listed
    chosen = [name for name in listed if fnmatchcase(name, only) or fnmatchcase(PurePosixPath(name).name, only)]
    if not chosen:
        examples = ", ".join(listed[:_N_LISTED]) or "nothing"
        raise ConfigError(
            f"no file matches '{only}' (--only); there are {len(listed)}: {examples}, ... "
            "Use * for any characters, and quotes around the pattern."
        )
    return chosen
