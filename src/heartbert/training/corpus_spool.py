"""The working folder of a corpus that is being built: what is finished stays there until the corpus is.

::

    .CORPUS-building-FINGERPRINT/
      scaled/00000.u16   amplitudes of the first recordings; .npz: whose they are, their histogram, the R-peaks
      fit-DIGEST/        codebook and tokenizer, fitted on exactly these amplitudes
        00000.ids        tokens of the first recordings; .npz: how many each lead has, the tokens with an R-peak
      corpus/            the corpus, before it is moved to its place

The ``.npz`` of a shard is written last: where it is, the shard is finished.
"""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.files import replacing_file
from heartbert.training.config import Config
from heartbert.training.corpus_planning import Recording

# Bytes of recordings in a shard, one second of work or two; larger where that would make more shards than the most.
SHARD_BYTES, MOST_SHARDS = 4 << 20, 4096
# Libraries that the numbers in a corpus come from.
_LIBRARIES = ("heartbert", "numpy", "scipy", "soxr", "sleepecg", "tokenizers")
# Our own code that they come from.
_SOURCES = (
    "text.py",
    "preprocessing.py",
    "records/*.py",
    "signals/*.py",
    "levels/*.py",
    "tokens/*.py",
    "training/corpus_*.py",
)


@dataclass(frozen=True)
class Shard:
    """Recordings that are worked on together: always the same ones, whoever does it."""

    number: int
    recordings: tuple[Recording, ...]


@dataclass(frozen=True)
class ScaledShard:
    """What the first stage leaves of a shard, beside the amplitudes.

    Attributes
    ----------
    counts : ndarray of int64, shape (n_bins,)
        Histogram of the leads that codebook and tokenizer are fitted on.
    beats : ndarray of int64, shape (n_beats,)
        Positions of the R-peaks in the file of amplitudes, increasing.
    leads : list of (int, str, int)
        Of each lead: its recording in the shard, its name, its number of amplitudes.
    problems : list of (int, str)
        Recordings that cannot be read, and why.
    """

    counts: npt.NDArray[np.int64]
    beats: npt.NDArray[np.int64]
    leads: list[tuple[int, str, int]]
    problems: list[tuple[int, str]]


@dataclass(frozen=True)
class EncodedShard:
    """What the second stage leaves of a shard, beside the tokens.

    Attributes
    ----------
    lengths : ndarray of int64, shape (n_leads,)
        Tokens of each lead.
    beats : ndarray of int64, shape (n_beats,)
        Positions of the tokens that cover an R-peak in the file of tokens, strictly increasing.
    """

    lengths: npt.NDArray[np.int64]
    beats: npt.NDArray[np.int64]


def cut_shards(recordings: Sequence[Recording]) -> list[Shard]:
    """Group recordings, in their order, by the size of their files."""
    limit = max(SHARD_BYTES, sum(one.n_bytes for one in recordings) // MOST_SHARDS)
    groups: list[list[Recording]] = []
    n_bytes = limit
    for recording in recordings:
        if n_bytes >= limit:
            groups.append([])
            n_bytes = 0
        groups[-1].append(recording)
        n_bytes += recording.n_bytes
    return [Shard(number, tuple(group)) for number, group in enumerate(groups)]


def fingerprint(recordings: Sequence[Recording], config: Config) -> str:
    """Return a name for all that a corpus follows from: recordings, settings, our code, the libraries."""
    content = {
        "recordings": [{**asdict(one), "path": str(one.path.resolve())} for one in recordings],
        "settings": [asdict(part) for part in (config.signal, config.codebook, config.tokenizer)],
        "code": _code_digest(),
        "libraries": library_versions(),
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that the numbers in a corpus come from."""
    return {name: version(name) for name in _LIBRARIES}


def _code_digest() -> str:
    """Return a digest of the code that a corpus follows from; it changes more often than its version."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _SOURCES for path in package.glob(pattern)):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def working_folder(target: Path, name: str) -> Path:
    """Return the folder beside a corpus in which it is built."""
    return target.parent / f".{target.name}-building-{name}"


def samples_file(folder: Path, shard: Shard) -> Path:
    """Return the file of a shard's amplitudes: uint16, in steps of 1 / `N_BINS`."""
    return folder / f"{shard.number:05d}.u16"


def tokens_file(folder: Path, shard: Shard) -> Path:
    """Return the file of a shard's tokens."""
    return folder / f"{shard.number:05d}.ids"


def save_scaled(found: ScaledShard, folder: Path, shard: Shard) -> None:
    """Finish the first stage of a shard."""
    text = json.dumps([found.leads, found.problems]).encode()
    _save(folder, shard, counts=found.counts, beats=found.beats, text=np.frombuffer(text, dtype=np.uint8))


def load_scaled(folder: Path, shard: Shard) -> ScaledShard | None:
    """Return what the first stage left of a shard; None if it is not finished."""
    stored = _load(folder, shard)
    if stored is None:
        return None
    leads, problems = json.loads(stored["text"].tobytes())
    found = ScaledShard(
        stored["counts"], stored["beats"], [tuple(lead) for lead in leads], [tuple(one) for one in problems]
    )
    n_bytes = 2 * sum(n_samples for _, _, n_samples in found.leads)
    return found if _has_size(samples_file(folder, shard), n_bytes) else None


def save_encoded(found: EncodedShard, folder: Path, shard: Shard) -> None:
    """Finish the second stage of a shard."""
    _save(folder, shard, lengths=found.lengths, beats=found.beats)


def load_encoded(folder: Path, shard: Shard, dtype: npt.DTypeLike) -> EncodedShard | None:
    """Return what the second stage left of a shard; None if it is not finished."""
    stored = _load(folder, shard)
    if stored is None:
        return None
    found = EncodedShard(stored["lengths"], stored["beats"])
    n_bytes = int(found.lengths.sum()) * np.dtype(dtype).itemsize
    return found if _has_size(tokens_file(folder, shard), n_bytes) else None


def _save(folder: Path, shard: Shard, **arrays: npt.NDArray[Any]) -> None:
    with replacing_file(_index_file(folder, shard)) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def _load(folder: Path, shard: Shard) -> dict[str, npt.NDArray[Any]] | None:
    try:
        with np.load(_index_file(folder, shard)) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _index_file(folder: Path, shard: Shard) -> Path:
    return folder / f"{shard.number:05d}.npz"


def _has_size(path: Path, n_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == n_bytes
