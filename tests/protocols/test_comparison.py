"""Draws of subjects and labels, intervals over persons and seeds, and runs that are kept."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbert.errors import ConfigError
from heartbert.protocols.comparison import (
    Draw,
    DrawnLabels,
    draw_stretch,
    draw_subjects,
    estimate,
    estimate_difference,
    keep_outcomes,
)
from tests.claiming import SUBJECTS, KnownTask

TASK = KnownTask({"ours": lambda draw: 0.5})
shares = st.floats(0.001, 1.0)


@given(share=shares, other=shares, seed=st.integers(0, 100))
def test_a_larger_share_holds_all_subjects_of_a_smaller_one(share: float, other: float, seed: int) -> None:
    """Else a curve could fall because the people became harder."""
    small, large = (draw_subjects(SUBJECTS, one, seed) for one in sorted((share, other)))

    assert set(small) <= set(large)
    assert len(small) >= 1
    assert len(set(large)) == len(large)


def test_seeds_draw_other_subjects() -> None:
    """The spread over seeds must show what luck in choosing people is worth."""
    assert len({draw_subjects(SUBJECTS, 0.3, seed) for seed in range(5)}) > 1


@given(n_units=st.integers(1, 500), share=shares, seed=st.integers(0, 100))
def test_a_stretch_lies_inside_and_has_the_share_asked_for(n_units: int, share: float, seed: int) -> None:
    """Labels beyond the recording do not exist, and too many would be unfair."""
    stretch = draw_stretch(n_units, share, (seed, 1), at_least=10)

    length = stretch.stop - stretch.start
    assert 0 <= stretch.start < stretch.stop <= n_units
    assert length == min(n_units, max(10, round(share * n_units)))


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_a_draw_refuses_a_share_that_is_none(share: float) -> None:
    """A share of nothing would train on nothing."""
    with pytest.raises(ConfigError, match=f"label_share is {share}"):
        Draw(label_share=share)


def test_missing_classes_are_named() -> None:
    """What was not drawn cannot be learnt, and the result must say so."""
    assert DrawnLabels(("a",), {"N": 3, "S": 0, "V": 1}).missing == ("S",)


def test_interval_knows_persons_and_seeds() -> None:
    """With equal persons only seeds differ, and with equal seeds only persons do; either must widen the interval."""
    by_seed = [np.array([[right, 10.0]] * 4) for right in (2, 4, 6)]
    by_person = [np.array([[right, 10.0] for right in (2, 4, 6, 8)])] * 3

    seeds, persons, none = (estimate(TASK, runs) for runs in (by_seed, by_person, [by_seed[0]] * 3))

    assert seeds.by_seed == pytest.approx((0.2, 0.4, 0.6))
    assert seeds.mean == pytest.approx(0.4)
    assert seeds.high - seeds.low > 0.2
    assert persons.high - persons.low > 0.2
    assert (none.low, none.high) == (pytest.approx(0.2), pytest.approx(0.2))


def test_difference_is_taken_seed_by_seed_on_the_same_persons() -> None:
    """A row that is better by the same amount everywhere is better for certain, however much the persons differ."""
    ours = [np.array([[right + 1, 10.0] for right in (1, 4, 8)]) for _ in range(2)]
    other = [np.array([[right, 10.0] for right in (1, 4, 8)]) for _ in range(3)]

    found = estimate_difference(TASK, ours, other)

    assert (found.low, found.mean, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert len(found.by_seed) == 2


def test_a_run_is_trained_once(tmp_path: Path) -> None:
    """An interrupted benchmark continues, and gives the same numbers."""
    task = KnownTask({"ours": lambda draw: 0.25})

    first = keep_outcomes(task, tmp_path).outcome(task, "ours", Draw(seed=1))
    second = keep_outcomes(task, tmp_path).outcome(task, "ours", Draw(seed=1))

    assert first.tolist() == second.tolist() == [[25.0, 100.0]] * 4
    assert len(task.trained) == 1


def test_runs_of_other_data_are_refused(tmp_path: Path) -> None:
    """Mixed runs would be a result of nothing."""
    keep_outcomes(TASK, tmp_path)

    with pytest.raises(ConfigError, match="'database' was known, now other"):
        keep_outcomes(KnownTask(TASK.accuracies, database="other"), tmp_path)


def test_a_damaged_run_names_its_file(tmp_path: Path) -> None:
    """The message says which file to remove."""
    store = keep_outcomes(TASK, tmp_path)
    store.outcome(TASK, "ours", Draw(seed=1))
    (path,) = (one for one in tmp_path.iterdir() if one.name != "settings.json")
    path.write_text("{}", encoding="utf-8")

    with pytest.raises(ConfigError, match=rf"{path.name}' holds no run \('made'\); remove it"):
        store.outcome(TASK, "ours", Draw(seed=1))
