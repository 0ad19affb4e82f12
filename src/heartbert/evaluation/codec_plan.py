"""What of a codec is measured: databases without shared people, and the signal paths that are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heartbert.errors import ConfigError
from heartbert.evaluation.codec import PUBLISHED_PATH, SignalPath
from heartbert.evaluation.splits import person_of
from heartbert.levels import Method
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import ScalingRule
from heartbert.tokens import SPECIAL_TOKENS

# Scalings that are compared beside that of the settings: the span of the shipped weights, and in mV the range of
# MIT-BIH's recorders.
_ROBUST_SPAN, _FIXED_SPAN_MV = 1.5, 5.0
OPTIMUM: Method = "lloyd-max"
"""The quantiser of least error."""
PUBLISHED: Method = "quantile"
"""Cells of equal probability, which the published code calls Lloyd-Max."""
SHIPPED = "shipped"
"""The codebook and the tokenizer of a bundle."""


@dataclass(frozen=True)
class Database:
    """Recordings that are measured together.

    Attributes
    ----------
    name : str
    paths : tuple of Path
    n_shared : int
        Recordings left out because they show people of the first database, which everything is fitted on.
    """

    name: str
    paths: tuple[Path, ...]
    n_shared: int = 0


@dataclass(frozen=True)
class CodecPlan:
    """What is measured.

    Attributes
    ----------
    databases : tuple of Database
        Codebooks and tokenizers are fitted on the first one only.
    path : SignalPath
        The path of the settings; measured beside the published one and other scalings.
    n_levels, window_samples : int
    vocabularies : tuple of int
        Tokenizers of these sizes are trained.
    training_samples : int
        Samples that tokenizers are trained on, about.
    n_workers : int
        Processes that read recordings; no result depends on their number.

    Raises
    ------
    ConfigError
        If a vocabulary has no room for the letters and special tokens.
    """

    databases: tuple[Database, ...]
    path: SignalPath
    n_levels: int
    window_samples: int
    vocabularies: tuple[int, ...]
    training_samples: int
    n_workers: int = 1

    def __post_init__(self) -> None:
        least = self.n_levels + len(SPECIAL_TOKENS)
        if self.vocabularies and min(self.vocabularies) < least:
            raise ConfigError(
                f"a vocabulary of {min(self.vocabularies)} tokens is asked for; {self.n_levels} letters and "
                f"{len(SPECIAL_TOKENS)} special tokens need at least {least}. Ask for a larger one."
            )


def choose_records(
    folders: Sequence[tuple[str, Sequence[Path]]], *, excluded: frozenset[str] = frozenset(), most: int | None = None
) -> tuple[Database, ...]:
    """Choose the recordings of each database.

    Parameters
    ----------
    folders : sequence of (str, sequence of Path)
        Name of each database, its published slug, and its recordings. People of the first one are left out of the
        others.
    excluded : frozenset of str
        Names of records that are left out altogether.
    most : int, optional
        Recordings a database at most, evenly spread; all by default.

    Raises
    ------
    ConfigError
        If a name comes twice, or a database has no recording left.
    """
    databases: list[Database] = []
    fitted_people: set[str] = set()
    for name, found in folders:
        if any(name == database.name for database in databases):
            raise ConfigError(f"two folders are called '{name}'; give each database once, under its published name.")
        wanted = [path for path in found if path.stem not in excluded]
        apart = [path for path in wanted if person_of(name, path.stem) not in fitted_people]
        n_chosen = min(len(apart), most or len(apart))
        if n_chosen == 0:
            raise ConfigError(f"'{name}' has no recording left of {len(found)}; exclude fewer, or leave it out.")
        chosen = tuple(apart[index * len(apart) // n_chosen] for index in range(n_chosen))
        fitted_people = fitted_people or {person_of(name, path.stem) for path in chosen}
        databases.append(Database(name, chosen, len(wanted) - len(apart)))
    return tuple(databases)


def compared_paths(path: SignalPath, shipped: SignalPath) -> tuple[SignalPath, ...]:
    """Return the published path, three scalings with and without the filter of `path`, and that of a bundle."""
    spans = {"record-range": 1.0, "robust": _ROBUST_SPAN, "fixed": _FIXED_SPAN_MV, path.rule.method: path.rule.span}
    rules = (
        PUBLISHED_PATH.rule,
        ScalingRule("robust", spans["robust"]),
        ScalingRule("fixed", spans["fixed"]),
    )
    bands = (PUBLISHED_PATH.band, path.band if path.is_filtered else BandPass(0.5, 40.0))
    compared = [SignalPath(band, rule) for band in bands for rule in rules]
    return tuple(dict.fromkeys([*compared, path, shipped]))
