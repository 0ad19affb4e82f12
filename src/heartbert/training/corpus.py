"""A corpus folder: the token ids of many leads on disk, and the codebook and tokenizer that made them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.errors import BundleError

TOKENS_FILE, LEADS_FILE, MANIFEST_FILE = "tokens.u16", "leads.json", "corpus.json"


@dataclass(frozen=True)
class Lead:
    """One lead of the corpus and where its part of a file lies.

    Attributes
    ----------
    record, subject_id, lead : str
    held_out : bool
        True where the record is for validation only: nothing is fitted on it.
    first, length : int
        Position of the lead's first item (sample or token) in the file, and the number of its items.
    n_samples : int
        Scorable samples at 360 Hz.
    """

    record: str
    subject_id: str
    lead: str
    held_out: bool
    first: int
    length: int
    n_samples: int

    def of(self, items: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        """Return this lead's part of the file."""
        return items[self.first : self.first + self.length]


@dataclass(frozen=True)
class Corpus:
    """An opened corpus: token ids stay on disk.

    Attributes
    ----------
    folder : Path
    token_ids : ndarray of uint16, shape (n_tokens,)
        Memory map of all leads one after the other, without special tokens.
    leads : tuple of Lead
        Their `first` and `length` count tokens.
    """

    folder: Path
    token_ids: npt.NDArray[np.uint16]
    leads: tuple[Lead, ...]


def open_corpus(folder: Path) -> Corpus:
    """Open a corpus folder without reading its tokens.

    Raises
    ------
    BundleError
        If a file is missing or of the wrong size.
    """
    try:
        leads = tuple(Lead(**row) for row in json.loads((folder / LEADS_FILE).read_text(encoding="utf-8")))
        token_ids = np.memmap(folder / TOKENS_FILE, dtype=np.uint16, mode="r")
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(f"'{folder}' is no corpus ({error}); build it with 'heartbert corpus build'.") from error
    wanted = sum(lead.length for lead in leads)
    if wanted != token_ids.size:
        raise BundleError(
            f"corpus '{folder}': {TOKENS_FILE} has {token_ids.size} tokens, {LEADS_FILE} {wanted}. Build it again."
        )
    return Corpus(folder, token_ids, leads)
