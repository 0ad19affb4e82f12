"""A corpus folder: the token ids of many leads on disk, and the codebook and tokenizer that made them.

Needs numpy alone, so that it is read on machines that have an accelerator and little else. Opening maps three files
into memory and reads none of them, so it takes a millisecond however large they are.
"""

import mmap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from heartbert.errors import BundleError

TOKENS_FILE, BEATS_FILE, LEADS_FILE, MANIFEST_FILE = "tokens.npy", "beats.npy", "leads.npy", "corpus.json"
TokenIds = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

_NAMES = ("record", "subject_id", "lead", "database")
_NUMBERS = (("held_out", np.bool_), ("first", np.int64), ("length", np.int64), ("n_samples", np.int64))
_COLUMNS = (*_NAMES, *(name for name, _ in _NUMBERS))
# Rows turned into objects at a time when a table is walked through.
_ROWS_AT_A_TIME = 4096
# A file of the corpora that were built before the table of leads was mapped into memory.
_EARLIER_FILE = "leads.json"


@dataclass(frozen=True)
class Lead:
    """One lead of the corpus and where its tokens lie.

    Attributes
    ----------
    record : str
        Name of the recording, unique within its folder.
    subject_id : str
        The person, by the same name in all recordings and databases that are known to show them.
    lead : str
    database : str
        Published slug, or name of the folder.
    held_out : bool
        True where the person is for validation only: nothing is fitted on them.
    first, length : int
        Position of the lead's first token in the file, and the number of its tokens.
    n_samples : int
        Scorable samples at 360 Hz that the tokens stand for.
    """

    record: str
    subject_id: str
    lead: str
    database: str
    held_out: bool
    first: int
    length: int
    n_samples: int

    def of(self, token_ids: TokenIds) -> TokenIds:
        """Return this lead's part of the file."""
        return token_ids[self.first : self.first + self.length]


class LeadTable(Sequence[Lead]):
    """The leads of a corpus: a sequence of `Lead`, made when asked for, and their columns as arrays.

    Parameters
    ----------
    rows : structured ndarray, shape (n_leads,)
        As `lead_rows` makes it, in memory or in a file.
    """

    def __init__(self, rows: npt.NDArray[np.void]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return int(self._rows.size)

    @overload
    def __getitem__(self, index: int) -> Lead: ...

    @overload
    def __getitem__(self, index: slice) -> "LeadTable": ...

    def __getitem__(self, index: int | slice) -> "Lead | LeadTable":
        return LeadTable(self._rows[index]) if isinstance(index, slice) else _lead_of(self._rows[index].item())

    def __iter__(self) -> Iterator[Lead]:
        for start in range(0, len(self), _ROWS_AT_A_TIME):
            yield from map(_lead_of, self._rows[start : start + _ROWS_AT_A_TIME].tolist())

    @property
    def record(self) -> npt.NDArray[np.str_]:
        """Name of each lead's recording."""
        return self._names("record")

    @property
    def subject_id(self) -> npt.NDArray[np.str_]:
        """Person of each lead."""
        return self._names("subject_id")

    @property
    def lead(self) -> npt.NDArray[np.str_]:
        """Name of each lead."""
        return self._names("lead")

    @property
    def database(self) -> npt.NDArray[np.str_]:
        """Database of each lead."""
        return self._names("database")

    @property
    def held_out(self) -> npt.NDArray[np.bool_]:
        """True where the person is for validation only."""
        return np.asarray(self._rows["held_out"])

    @property
    def first(self) -> npt.NDArray[np.int64]:
        """Position of each lead's first token, increasing."""
        return np.asarray(self._rows["first"])

    @property
    def length(self) -> npt.NDArray[np.int64]:
        """Tokens of each lead."""
        return np.asarray(self._rows["length"])

    @property
    def n_samples(self) -> npt.NDArray[np.int64]:
        """Scorable samples at 360 Hz of each lead."""
        return np.asarray(self._rows["n_samples"])

    def _names(self, column: str) -> npt.NDArray[np.str_]:
        return np.char.decode(self._rows[column], "utf-8")


def lead_rows(leads: Iterable[Lead]) -> npt.NDArray[np.void]:
    """Return the rows of a `LeadTable`; names are stored as UTF-8, as wide as the longest of them."""
    rows = [astuple(lead) for lead in leads]
    names = [[str(name).encode() for name in row[: len(_NAMES)]] for row in rows]
    widths = [max((len(name) for name in column), default=1) for column in zip(*names, strict=True)] or [1] * len(
        _NAMES
    )
    columns = [(name, f"S{max(width, 1)}") for name, width in zip(_NAMES, widths, strict=True)]
    encoded = [(*some, *row[len(_NAMES) :]) for some, row in zip(names, rows, strict=True)]
    return np.array(encoded, dtype=[*columns, *_NUMBERS])


def _lead_of(row: tuple[bytes | int, ...]) -> Lead:
    record, subject_id, lead, database = (str(name, "utf-8") for name in row[: len(_NAMES)])  # type: ignore[arg-type]
    held_out, first, length, n_samples = row[len(_NAMES) :]
    return Lead(record, subject_id, lead, database, bool(held_out), int(first), int(length), int(n_samples))


@dataclass(frozen=True)
class Corpus:
    """An opened corpus: its arrays stay on disk.

    Attributes
    ----------
    folder : Path
    token_ids : ndarray of uint16, or of uint32 for more than 65,536 tokens, shape (n_tokens,)
        All leads one after the other, without special tokens.
    beats : ndarray of int64, shape (n_beats,)
        Positions in `token_ids` of the tokens that cover an R-peak found by our detector, strictly increasing.
    leads : LeadTable
    """

    folder: Path
    token_ids: TokenIds
    beats: npt.NDArray[np.int64]
    leads: LeadTable

    def release(self) -> None:
        """Let go of the memory that tokens read so far take; they are read from disk again when they are wanted."""
        pages = self.token_ids.base
        if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)


def open_corpus(folder: Path) -> Corpus:
    """Open a corpus folder without reading its tokens.

    Raises
    ------
    BundleError
        If a file is missing or damaged, or the corpus was built by an earlier version.
    """
    if (folder / _EARLIER_FILE).is_file():
        raise BundleError(
            f"corpus '{folder}' was built by an earlier version of heartbert ({_EARLIER_FILE}); this one reads "
            f"{LEADS_FILE} and {BEATS_FILE}. Build it again with 'heartbert corpus build'."
        )
    try:
        token_ids, beats, rows = (_map(folder / name) for name in (TOKENS_FILE, BEATS_FILE, LEADS_FILE))
    except (OSError, ValueError) as error:
        raise BundleError(f"'{folder}' is no corpus ({error}); build it with 'heartbert corpus build'.") from error
    wanted = int(rows[-1]["first"] + rows[-1]["length"]) if rows.dtype.names == _COLUMNS and rows.size else 0
    if wanted != token_ids.size or token_ids.dtype not in (np.uint16, np.uint32) or beats.dtype != np.int64:
        raise BundleError(
            f"corpus '{folder}': {TOKENS_FILE} has {token_ids.size} tokens, {LEADS_FILE} {wanted}. Build it again "
            "with 'heartbert corpus build'."
        )
    return Corpus(folder, token_ids, beats, LeadTable(rows))


def _map(path: Path) -> npt.NDArray[Any]:
    """Map a ``.npy`` file into memory; its size is checked, its content is not read."""
    return np.lib.format.open_memmap(path, mode="r")
