"""Scores of heartbeats equal tables worked out by hand."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.evaluation.heartbeats import (
    NO_BEAT,
    ClassScores,
    class_scores,
    compare_beats,
    confusion_matrix,
    macro_f1,
    match_beats,
    reference_beats,
    score_tables,
    summarise,
    table_of_pairs,
)
from heartbert.predictions.labels import AamiClass
from heartbert.records.record import Annotations

N, S, V, F, Q = (int(aami_class) for aami_class in AamiClass)


def _match(reference: list[float], found: list[float]) -> list[tuple[int, int]]:
    reference_index, found_index = match_beats(np.array(reference, dtype=float), np.array(found, dtype=float))
    return list(zip(reference_index.tolist(), found_index.tolist(), strict=True))


def test_match_takes_the_nearest_of_two_found_beats() -> None:
    """A T wave taken for a beat is an extra beat, not the beat."""
    assert _match([1.0, 2.0], [0.9, 1.05, 2.01]) == [(0, 1), (1, 2)]


def test_match_takes_the_nearest_of_two_reference_beats() -> None:
    """Two reference beats may lie within one window of a found beat."""
    assert _match([1.0, 1.2], [1.12]) == [(1, 0)]


def test_match_uses_each_reference_beat_once() -> None:
    """A beat found twice is one hit and one false detection."""
    assert _match([1.0], [0.95, 1.05]) == [(0, 0)]


def test_match_includes_its_border_at_any_place_of_a_recording() -> None:
    """150 ms are 54 samples at 360 Hz; the difference of two such times is not exactly 0.15."""
    reference_s = np.arange(1000, 600_000, 997) / 360.0

    matched = [match_beats(reference_s, reference_s + shift / 360.0)[0].size for shift in (54, -54, 55, -55)]

    assert matched == [reference_s.size, reference_s.size, 0, 0]


@pytest.mark.parametrize(("reference", "found"), [([], []), ([1.0], []), ([], [1.0])])
def test_match_accepts_no_beats(reference: list[float], found: list[float]) -> None:
    """A record may have no beat, or none may be found."""
    assert _match(reference, found) == []


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 20), max_size=30, unique=True).map(sorted),
    st.lists(st.floats(0, 20), max_size=30, unique=True).map(sorted),
)
def test_match_never_uses_a_beat_twice_or_beyond_the_border(reference: list[float], found: list[float]) -> None:
    """Counts of hits, misses and extras add up only then."""
    pairs = _match(reference, found)

    assert len({index for index, _ in pairs}) == len({index for _, index in pairs}) == len(pairs)
    assert all(abs(reference[i] - found[k]) <= 0.15 + 1e-9 for i, k in pairs)


def _beats(*pairs: tuple[float, int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    return np.array([time for time, _ in pairs]), np.array([beat for _, beat in pairs], dtype=np.int64)


def test_compare_counts_hits_confusions_missed_and_extra_beats() -> None:
    """The table is worked out by hand: one beat each of every kind."""
    reference = _beats((1.0, N), (2.0, V), (3.0, S), (4.0, N))
    found = _beats((1.01, N), (2.02, N), (3.5, V), (4.1, N))

    counts = compare_beats(reference, found)

    wanted = np.zeros((6, 6), dtype=int)
    wanted[N, N], wanted[V, N], wanted[S, NO_BEAT], wanted[NO_BEAT, V] = 2, 1, 1, 1
    assert counts.tolist() == wanted.tolist()


def test_compare_counts_everything_as_missed_when_nothing_is_found() -> None:
    """A failed detection must not look like a perfect record."""
    counts = compare_beats(_beats((1.0, N), (2.0, V)), _beats())

    assert counts[:, NO_BEAT].tolist() == [1, 0, 1, 0, 0, 0]
    assert counts.sum() == 2


def test_confusion_matrix_has_the_reference_in_rows() -> None:
    """Exchanged axes exchange sensitivity and predictivity."""
    counts = confusion_matrix(np.array([N, V]), np.array([S, V]))

    assert counts[N, S] == counts[V, V] == 1
    assert counts.sum() == 2


def test_class_scores_equal_those_worked_out_by_hand() -> None:
    """8 of 10 reference beats hit, 8 of 16 found ones right: 0.8, 0.5 and 16 / 26."""
    counts = np.zeros((6, 6), dtype=np.int64)
    counts[V, V], counts[V, N], counts[V, NO_BEAT], counts[N, V], counts[NO_BEAT, V] = 8, 1, 1, 5, 3

    scores = class_scores(counts, AamiClass.V)

    assert (scores.sensitivity, scores.positive_predictivity, scores.f1) == pytest.approx((0.8, 0.5, 16 / 26))


def test_class_scores_are_zero_for_a_class_that_does_not_occur() -> None:
    """Zero over zero must not become NaN in an average."""
    assert class_scores(np.zeros((6, 6), dtype=np.int64), AamiClass.F) == ClassScores(0.0, 0.0, 0.0)


def test_summary_equals_the_one_worked_out_by_hand() -> None:
    """Accuracy counts missed beats, the macro average leaves Q out."""
    counts = np.zeros((6, 6), dtype=np.int64)
    counts[N, N], counts[S, S], counts[V, V], counts[Q, Q] = 6, 1, 1, 1
    counts[N, NO_BEAT], counts[NO_BEAT, N] = 2, 2

    summary = summarise(counts)

    assert summary == pytest.approx(
        {"accuracy": 9 / 11, "macro_f1": (0.75 + 1 + 1 + 0) / 4, "f1_N": 0.75, "f1_S": 1, "f1_V": 1, "f1_F": 0}
    )


def test_summary_of_nothing_is_zero() -> None:
    """A record without beats has no score, and no division by zero."""
    assert set(summarise(np.zeros((6, 6), dtype=np.int64)).values()) == {0.0}


def test_reference_beats_leave_out_what_is_no_beat() -> None:
    """Rhythm changes and noise marks stand between the beats of an annotation file."""
    annotations = Annotations(np.array([5, 9, 20, 31]), ("+", "N", "~", "V"), ("(N", "", "", ""), 360.0)

    samples, classes = reference_beats(annotations)

    assert samples.tolist() == [9, 31]
    assert classes.tolist() == [N, V]


def test_reference_beats_of_a_file_without_beats_are_empty() -> None:
    """Sleep annotations hold stages only."""
    samples, classes = reference_beats(Annotations(np.array([5]), ('"',), ("W",), 360.0))

    assert samples.size == classes.size == 0


def _random_table(seed: int) -> npt.NDArray[np.int64]:
    counts = np.random.default_rng(seed).integers(0, 20, (6, 6))
    counts[NO_BEAT, NO_BEAT] = 0
    return counts


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_scores_of_many_tables_equal_those_of_each(seed: int) -> None:
    """The bootstrap scores thousands of tables at once and must score them alike."""
    table = _random_table(seed)

    scores = score_tables(np.stack([np.zeros((6, 6)), table.astype(np.float64)]))

    summary = summarise(table)
    assert scores["accuracy"][1] == pytest.approx(summary["accuracy"])
    if all(table[aami_class].any() for aami_class in (N, S, V, F)):
        assert scores["macro_f1"][1] == pytest.approx(summary["macro_f1"])
        for name in "NSVF":
            one = class_scores(table, AamiClass[name])
            found = [scores[f"{key}.{name}"][1] for key in ("sensitivity", "positive_predictivity", "f1")]
            assert found == pytest.approx([one.sensitivity, one.positive_predictivity, one.f1])
    assert scores["macro_f1"][0] == 0
    assert np.isnan(scores["f1.N"][0])


def test_macro_f1_of_tables_leaves_out_classes_that_the_reference_has_not() -> None:
    """Icentia11k has no F; a class that cannot be found must not pull the mean down."""
    table = np.zeros((6, 6))
    table[N, N], table[V, V], table[N, F] = 8, 2, 2

    scores = score_tables(table)

    assert scores["macro_f1"] == pytest.approx((16 / 18 + 1) / 2)
    assert np.isnan(scores["positive_predictivity.F"])


def test_pairs_of_ec57_become_a_table_with_one_kind_of_no_beat() -> None:
    """A beat missed in a shutdown is missed all the same."""
    pairs = np.zeros((7, 7), dtype=np.int64)
    pairs[V, V], pairs[N, 5], pairs[N, 6], pairs[5, S], pairs[6, S] = 5, 1, 2, 3, 4

    table = table_of_pairs(pairs)

    assert (table[V, V], table[N, NO_BEAT], table[NO_BEAT, S]) == (5, 3, 7)
    assert table.sum() == 15


def test_macro_f1_counts_by_hand() -> None:
    """N: 2 of 3 found and 1 too many; V: 1 of 1 and 1 too many; S and F have none."""
    reference, found = np.array([0, 0, 0, 2]), np.array([0, 0, 2, 2])

    assert macro_f1(reference, found) == pytest.approx((4 / 5 + 2 / 3) / 4)
