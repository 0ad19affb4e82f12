"""Labelled units -> training, validation and test, no person on two sides, and the guard that proves it."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.databases import DATABASES
from heartbert.errors import ConfigError
from heartbert.evaluation.leakage import Examples, LeakKind, bundle_parts, refuse_leaks
from heartbert.training.label_tables import SIDES, LabelTable, Side

# Splits of the persons that are drawn to choose the most even one from.
_N_DRAWS = 300
# What a class counts that a side lacks, above all other unevenness.
_LACKING = 1e6
# Share of the persons in validation, and in test.
_SHARE = 0.2

Sides = dict[Side, npt.NDArray[np.int64]]
"""Numbers of the units on each side; a side without any is left out."""


def split_units(table: LabelTable, *, seed: int, manifest: Mapping[str, Any]) -> tuple[Sides, list[str]]:
    """Put the units of a table on sides, by its column or by drawing persons, and refuse leaks.

    Parameters
    ----------
    table : LabelTable
    seed : int
        Of the draw.
    manifest : mapping
        Of the bundle whose encoder is used.

    Returns
    -------
    sides : dict of str to ndarray of int64
    leaks : list of str
        What is allowed and must be said: the encoder may have seen the unlabelled signal of a test person.

    Raises
    ------
    ConfigError
        If there are too few persons, or a class is missing on a side.
    LeakageError
        If a person or a recording is on two sides.
    """
    if table.sides is None:
        persons = persons_of(table)
        of_person = _draw(persons, table, seed)
        named: Sequence[Side] = [of_person[person] for person in persons]
    else:
        named = table.sides
    sides: Sides = {side: np.flatnonzero(np.array(named) == side) for side in SIDES}
    sides = {side: rows for side, rows in sides.items() if rows.size}
    _check_sides(sides, table)
    return sides, _guard({side: _examples(table, rows) for side, rows in sides.items()}, manifest)


def persons_of(table: LabelTable) -> list[str]:
    """Return the person of each unit, as the guard names them."""
    subjects: Sequence[str | None] = table.subjects or (None,) * len(table)
    keys = list(zip(table.paths, subjects, strict=True))
    person = {key: Examples(database_of(key[0]), _record_name(key[0]), key[1]).person for key in dict.fromkeys(keys)}
    return [person[key] for key in keys]


def _examples(table: LabelTable, units: npt.NDArray[np.int64]) -> list[Examples]:
    """Return some units as the guard knows them, one entry a recording."""
    rows_of: dict[Path, list[int]] = {}
    for row in units.tolist():
        rows_of.setdefault(table.paths[row], []).append(row)
    placed = table.unit in ("window", "epoch")
    return [
        Examples(
            database_of(path),
            _record_name(path),
            table.subjects[rows[0]] if table.subjects else None,
            starts_s=table.starts_s[rows] if placed else None,
            stops_s=table.stops_s[rows] if placed else None,
        )
        for path, rows in rows_of.items()
    ]


def database_of(path: Path) -> str:
    """Name the database of a recording: its published slug if a folder above is named so, else the path of its folder.

    Examples
    --------
    >>> database_of(Path("/data/ptb-xl/records500/00000/00001_hr")), database_of(Path("ours/ecg/a.csv"))
    ('ptb-xl', 'ours/ecg')
    """
    slugs = {name: database.slug for database in DATABASES for name in (database.slug, *database.also_named)}
    for folder in path.parents:
        if folder.name.casefold() in slugs:
            return slugs[folder.name.casefold()]
    return path.parent.as_posix()


def _record_name(path: Path) -> str:
    return path.stem if path.is_file() else path.name


def _draw(persons: Sequence[str], table: LabelTable, seed: int) -> dict[str, Side]:
    """Draw sides of persons: of many draws, the one whose sides resemble each other most in their targets."""
    names, number = np.unique(np.array(persons), return_inverse=True)
    if names.size < len(SIDES):
        what = "subjects" if table.subjects else "recordings, each taken for a person"
        raise ConfigError(
            f"the table has {names.size} {what}; at least 3 are needed, one each for training, for stopping in time "
            "and for the test. Label more persons."
        )
    columns = _columns(table)
    sums = np.zeros((names.size, columns.shape[1]))
    np.add.at(sums, number, columns)
    counts, rng = np.bincount(number), np.random.default_rng(seed)
    side_of = np.zeros(names.size, dtype=np.int64)
    # A fifth of few persons may be too few to show every class: then up to a third are held out for each purpose.
    for n_held in range(max(1, round(_SHARE * names.size)), max(1, names.size // len(SIDES)) + 1):
        side_of[:n_held], side_of[n_held : 2 * n_held] = SIDES.index("test"), SIDES.index("validation")
        drawn = [rng.permutation(side_of) for _ in range(_N_DRAWS)]
        values = [_unevenness(one, sums, counts) for one in drawn]
        best = drawn[int(np.argmin(values))]
        if min(values) < _LACKING or table.kind == "number":
            break
    return {str(name): SIDES[side] for name, side in zip(names, best, strict=True)}


def _columns(table: LabelTable) -> npt.NDArray[np.float64]:
    """Return what sides should agree in, shape (n_units, n_columns): which class, which labels, or the number."""
    if table.kind == "single":
        return np.asarray(np.eye(len(table.classes))[table.targets.astype(np.int64)])
    if table.kind == "multi":
        return table.targets.astype(np.float64)
    numbers = np.asarray(table.targets, dtype=np.float64)[:, None]
    standard: npt.NDArray[np.float64] = (numbers - numbers.mean()) / numbers.std()
    return standard


def _unevenness(side_of: npt.NDArray[np.int64], sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> float:
    """Return how far the sides are from the mean of all; a class that a side lacks counts most."""
    overall = sums.sum(axis=0) / counts.sum()
    value = 0.0
    for side in range(len(SIDES)):
        inside = side_of == side
        mean = sums[inside].sum(axis=0) / counts[inside].sum()
        value += float(np.abs(mean - overall).sum()) + _LACKING * float((mean == 0).sum())
    return value


def _check_sides(sides: Sides, table: LabelTable) -> None:
    """Refuse sides that cannot be trained on or scored."""
    for side in ("train", "validation"):
        if side not in sides:
            raise ConfigError(
                f"no row of the table is on the side '{side}'; training needs some, and persons held out to stop in "
                "time. Correct the column 'split', or remove it to have persons drawn."
            )
    if table.kind == "number":
        return
    columns = _columns(table)
    for side, rows in sides.items():
        lacking = np.flatnonzero(columns[rows].sum(axis=0) == 0)
        if lacking.size:
            name = table.classes[int(lacking[0])]
            shown = sorted({p for p, has in zip(persons_of(table), columns[:, lacking[0]] > 0, strict=True) if has})
            raise ConfigError(
                f"class '{name}' is missing in the {_IN_WORDS[side]}: {_number(len(shown), 'person')} of the table "
                f"{'shows' if len(shown) == 1 else 'show'} it, and each side needs one. Label more persons with it, "
                "leave the class out, or choose who is on which side with a column 'split'."
            )


_IN_WORDS: dict[Side, str] = {"train": "training", "validation": "validation", "test": "test"}


def _guard(sides: Mapping[Side, Sequence[Examples]], manifest: Mapping[str, Any]) -> list[str]:
    """Refuse a person or recording on two sides; returns the leaks that are allowed, in words."""
    fitted = bundle_parts(manifest, with_head=False)
    slugs = {database.slug for database in DATABASES}
    # What is known of open databases holds whatever the table says of its persons.
    known = {
        side: [Examples(one.database, one.record) for one in examples if one.database in slugs]
        for side, examples in sides.items()
    }
    found: set[str] = set()
    for first, second in combinations(sides, 2):
        seen = fitted if second == "test" else ()
        leaks = refuse_leaks(sides[first], sides[second], fitted=seen, allowed=(LeakKind.TRANSDUCTIVE,))
        refuse_leaks(known[first], known[second])
        found |= {leak.what for leak in leaks}
    return sorted(found)


def _number(n_found: int, what: str) -> str:
    return f"{n_found} {what}{'' if n_found == 1 else 's'}"
