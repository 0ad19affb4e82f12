"""Persons are dealt to sides so that none is on two, and leaks are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError, LeakageError
from heartbert.training.finetune_sides import database_of, persons_of, split_units
from heartbert.training.label_tables import LabelTable

MANIFEST: dict[str, Any] = {"name": "test", "corpus": {"records": ["ours/r0", "mitdb/101"]}}


def _table(targets: Any, subjects: Any, *, kind: Any = "single", unit: Any = "record", **changes: Any) -> LabelTable:
    n = len(targets)
    given = {
        "unit": unit,
        "kind": kind,
        "paths": tuple(Path("ours") / f"r{number}" for number in range(n)),
        "subjects": tuple(subjects) if subjects is not None else None,
        "starts_s": np.full(n, np.nan),
        "stops_s": np.full(n, np.nan),
        "samples": np.full(n, -1),
        "leads": (None,) * n,
        "classes": ("value",) if kind == "number" else ("x", "y", "z")[: int(np.max(targets)) + 1],
        "targets": np.asarray(targets),
        "sides": None,
    }
    return LabelTable(**(given | changes))


@given(seed=st.integers(0, 1000), n_persons=st.integers(9, 20))
@settings(max_examples=10, deadline=None)
def test_no_person_is_on_two_sides_and_every_class_on_each(seed: int, n_persons: int) -> None:
    """A score on known persons says nothing about new ones."""
    subjects = [f"p{number}" for number in np.repeat(np.arange(n_persons), 3)]
    targets = np.repeat(np.arange(n_persons) % 2, 3)
    table = _table(targets, subjects)

    sides, _ = split_units(table, seed=seed, manifest=MANIFEST)

    of_side = {side: {subjects[row] for row in rows} for side, rows in sides.items()}
    assert sum(len(persons) for persons in of_side.values()) == n_persons
    assert sorted(np.concatenate(list(sides.values()))) == list(range(3 * n_persons))
    assert all(set(targets[rows]) == {0, 1} for rows in sides.values())


def test_same_seed_draws_the_same_persons() -> None:
    """A result must be possible to repeat."""
    table = _table(np.arange(12) % 2, [f"p{number}" for number in range(12)])

    first, second, other = (split_units(table, seed=seed, manifest=MANIFEST)[0] for seed in (0, 0, 1))

    assert all(np.array_equal(first[side], second[side]) for side in first)
    assert any(not np.array_equal(first[side], other[side]) for side in first)


def test_few_persons_are_held_out_so_that_each_side_shows_every_class() -> None:
    """A fifth of six persons would be one, who shows one class."""
    table = _table([0, 1, 0, 1, 0, 1], [f"p{number}" for number in range(6)])

    sides, _ = split_units(table, seed=0, manifest=MANIFEST)

    assert [rows.size for rows in sides.values()] == [2, 2, 2]


def test_numbers_are_dealt_evenly() -> None:
    """Old people in training and young ones in the test would measure something else."""
    values = np.linspace(20, 80, 20, dtype=np.float32)
    table = _table(values, [f"p{number}" for number in range(20)], kind="number")

    sides, _ = split_units(table, seed=0, manifest=MANIFEST)

    assert all(abs(values[rows].mean() - values.mean()) < 10 for rows in sides.values())


@pytest.mark.parametrize(
    ("subjects", "said"), [(["p"] * 4, "1 subjects; at least 3"), (["p", "p", "q", "q"], "2 subjects; at least 3")]
)
def test_too_few_persons_are_refused(subjects: list[str], said: str) -> None:
    """With one person there is nobody to score on."""
    with pytest.raises(ConfigError, match=said):
        split_units(_table([0, 1, 0, 1], subjects), seed=0, manifest=MANIFEST)


def test_waived_subjects_make_each_record_a_person() -> None:
    """Except where an open database is known to show one person twice."""
    table = _table([0, 1, 0, 1], None, paths=tuple(Path("mitdb") / name for name in ("201", "202", "203", "205")))

    assert persons_of(table)[0] == persons_of(table)[1]
    with pytest.raises(ConfigError, match="2 recordings, each taken for a person"):
        split_units(_table([0, 1], None), seed=0, manifest=MANIFEST)


def test_class_of_too_few_persons_is_named() -> None:
    """It cannot be learnt and tested at once."""
    table = _table([0, 0, 0, 0, 0, 1], [f"p{number}" for number in range(6)])

    with pytest.raises(ConfigError, match=r"class 'y' is missing in the \w+: 1 person of the table shows it"):
        split_units(table, seed=0, manifest=MANIFEST)


@pytest.mark.parametrize("side", ["train", "validation"])
def test_split_without_training_or_validation_is_refused(side: str) -> None:
    """Both are needed; a test is not."""
    other = "validation" if side == "train" else "train"
    table = _table([0, 1], ["p", "q"], sides=(other, other))

    with pytest.raises(ConfigError, match=f"no row of the table is on the side '{side}'"):
        split_units(table, seed=0, manifest=MANIFEST)


def test_split_without_test_is_taken() -> None:
    """Somebody with few persons keeps the test elsewhere."""
    table = _table([0, 1, 0, 1], list("ppqq"), sides=("train", "train", "validation", "validation"))

    assert set(split_units(table, seed=0, manifest=MANIFEST)[0]) == {"train", "validation"}


def test_person_on_two_sides_of_a_given_split_is_refused() -> None:
    """The column of the table is believed only as far as it does not leak."""
    table = _table([0, 1, 0, 1], list("pppq"), sides=("train", "train", "validation", "validation"))

    with pytest.raises(LeakageError, match="1 person in training and test, first 'p'"):
        split_units(table, seed=0, manifest=MANIFEST)


def test_windows_of_one_recording_on_two_sides_are_refused() -> None:
    """Neighbouring windows look alike."""
    table = _table(
        [0, 1, 0, 1],
        list("pppp"),
        unit="window",
        paths=(Path("ours/r"),) * 4,
        starts_s=np.array([0.0, 5.0, 2.0, 7.0]),
        stops_s=np.array([4.0, 9.0, 6.0, 11.0]),
        sides=("train", "train", "validation", "validation"),
    )

    with pytest.raises(LeakageError, match="overlap 2 test windows"):
        split_units(table, seed=0, manifest=MANIFEST)


def test_known_person_of_an_open_database_is_found_under_two_names() -> None:
    """Records 201 and 202 of MIT-BIH show one man, whatever the table calls him."""
    paths = tuple(Path("mitdb") / name for name in ("201", "203", "202", "205"))
    table = _table([0, 1, 0, 1], list("abcd"), paths=paths, sides=("train", "train", "validation", "validation"))

    with pytest.raises(LeakageError, match="mitdb/201"):
        split_units(table, seed=0, manifest=MANIFEST)


def test_encoder_that_saw_a_test_recording_is_said() -> None:
    """It saw no label; the result must state it."""
    sides = ("test", "test", "train", "train", "validation", "validation")
    table = _table([0, 1] * 3, list("abcdef"), sides=sides)

    _, leaks = split_units(table, seed=0, manifest=MANIFEST)

    assert leaks == ["the encoder has seen the unlabelled signal of 1 test person, first 'a'"]


def test_labels_of_several_are_needed_on_each_side() -> None:
    """A label that nobody in the test has cannot be scored."""
    targets = np.array([[1, 0], [0, 0], [0, 1], [0, 0]], dtype=np.float32)
    table = _table(targets, list("abcd"), kind="multi", classes=("x", "y"))

    with pytest.raises(ConfigError, match="is missing in the"):
        split_units(table, seed=0, manifest=MANIFEST)


@pytest.mark.parametrize(
    ("path", "name"), [("/d/mitdb/100", "mitdb"), ("/d/ptb-xl/records500/0/1_hr", "ptb-xl"), ("a/b/c.npz", "a/b")]
)
def test_database_is_named_by_the_nearest_known_folder(path: str, name: str) -> None:
    """So that what is known of its persons is used."""
    assert database_of(Path(path)) == name
