"""Every kind of leak is planted and refused; a score with a leak is worth nothing."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError, LeakageError
from heartbert.evaluation.leakage import (
    Examples,
    FittedPart,
    LeakKind,
    bundle_parts,
    find_leaks,
    overlapping_windows,
    refuse_leaks,
)
from heartbert.evaluation.splits import MITDB_DS1, MITDB_DS2


def windows(record: str, *starts_s: float, length_s: float = 3.0) -> Examples:
    """Return windows of one recording of mitdb."""
    starts = np.array(starts_s, dtype=np.float64)
    return Examples("mitdb", record, starts_s=starts, stops_s=starts + length_s)


def epochs(record: str, *numbers: int) -> Examples:
    """Return one slice of each of some sleep epochs, all slices apart from each other."""
    return Examples("slpdb", record, epochs=np.array(numbers, dtype=np.int64))


def kinds(training: list[Examples], test: list[Examples], *fitted: FittedPart) -> list[LeakKind]:
    """Return the kinds of leak of a split."""
    return [leak.kind for leak in find_leaks(training, test, fitted=fitted)]


def test_split_by_person_passes_and_states_nothing() -> None:
    """A proper split must cost no more than the call."""
    fitted = FittedPart("encoder", ("mitdb/101", "106", "ptb-xl/patient-7"))

    assert refuse_leaks([Examples("mitdb", "101")], [Examples("mitdb", "100")], fitted=[fitted]) == ()


@pytest.mark.parametrize(
    ("one", "other", "person"),
    [
        (("mitdb", "201"), ("mitdb", "202"), "mitdb/201"),
        (("slpdb", "slp01a"), ("slpdb", "slp01b"), "slpdb/slp01a"),
        (("slpdb", "slp02b"), ("slpdb", "slp02a"), "slpdb/slp02a"),
        (("qtdb", "sel100"), ("mitdb", "100"), "mitdb/100"),
        (("qtdb", "sele0121"), ("edb", "e0118"), "edb/e0118"),
        (("icentia11k-continuous-ecg", "p00007_s00"), ("icentia11k-continuous-ecg", "p00007_s31"), "p00007"),
    ],
)
def test_one_person_under_two_names_is_refused(one: tuple[str, str], other: tuple[str, str], person: str) -> None:
    """The file names do not tell, so a split by record leaks."""
    with pytest.raises(LeakageError, match=rf"1 person in training and test, first '.*{person}'.*Put all recordings"):
        refuse_leaks([Examples(*one)], [Examples(*other)])


def test_person_that_the_caller_names_is_refused() -> None:
    """PTB-XL keeps its patients in a table, which the caller has read."""
    sides = [Examples("ptb-xl", "00001_hr", subject="patient-5")], [Examples("ptb-xl", "00002_hr", subject="patient-5")]

    assert kinds(*sides) == [LeakKind.PERSON]


@pytest.mark.parametrize(
    ("database", "record", "copy"),
    [("mitdb", "100", "100"), ("mitdb", "100", "x_100"), ("ptb-xl", "00001_hr", "00001_lr")],
)
def test_one_recording_on_both_sides_is_refused(database: str, record: str, copy: str) -> None:
    """The coarsest mistake, also by a copy or an excerpt of the recording."""
    with pytest.raises(LeakageError, match="training windows overlap 1 test window of one recording, first of"):
        refuse_leaks([Examples(database, record)], [Examples(database, copy)])


def test_windows_of_one_recording_are_refused_where_they_do_not_overlap() -> None:
    """The next window shows the same heart with the same electrodes."""
    with pytest.raises(LeakageError, match=r"1 recording in training and test, first 'mitdb/101' \(1 further kinds"):
        refuse_leaks([windows("101", 0, 6)], [windows("101", 3)])


def test_overlapping_windows_are_refused_where_the_recording_may_be_shared() -> None:
    """A protocol that shares recordings on purpose must still not share samples."""
    allowed = {LeakKind.PERSON, LeakKind.RECORDING}

    with pytest.raises(LeakageError, match="training windows overlap 2 test windows of one recording"):
        refuse_leaks([windows("101", 0, 6)], [windows("101", 3, 5, 8)], allowed=allowed)


def test_slices_of_one_sleep_epoch_are_refused() -> None:
    """Ten slices of an epoch have one label and one signal: siblings give the answer away."""
    with pytest.raises(LeakageError, match=r"slices of 2 sleep epochs in training and test, first of 'slpdb/slp03'"):
        refuse_leaks([epochs("slp03", 1, 1, 2, 3)], [epochs("slp03", 2, 2, 3, 4)])


def test_slices_of_different_epochs_share_the_recording_only() -> None:
    """The kinds tell what exactly leaked."""
    split = [epochs("slp03", 1, 2)], [epochs("slp03", 3)]

    assert LeakKind.EPOCH not in kinds(*split)
    assert LeakKind.RECORDING in kinds(*split)


@pytest.mark.parametrize("name", ["100", "mitdb/100", "sel100", "qtdb/sel100", "x_100"])
@pytest.mark.parametrize("kind", [LeakKind.FITTED, LeakKind.CHOSEN, LeakKind.TRANSDUCTIVE])
def test_part_fitted_on_a_test_person_is_refused(name: str, kind: LeakKind) -> None:
    """A manifest names records without their database, and excerpts by other names."""
    split = [Examples("mitdb", "101")], [Examples("mitdb", "100")]

    with pytest.raises(LeakageError, match=r"the codebook .* 1 test person, first 'mitdb/100'"):
        refuse_leaks(*split, fitted=[FittedPart("codebook", (name, "106"), kind)])


def test_part_fitted_on_a_person_of_the_file_is_refused() -> None:
    """In a folder of no known database, the recording's name is all that the manifest has."""
    test = [Examples("mine", "a", subject="Jane")]

    assert kinds([], test, FittedPart("head", ("a",))) == [LeakKind.FITTED]
    assert kinds([], test, FittedPart("head", ("Jane",))) == []  # a bare name is a recording
    assert kinds([], test, FittedPart("head", ("mine/a",))) == [LeakKind.FITTED]


def test_unlabelled_signals_are_refused_by_default_and_stated_when_allowed() -> None:
    """HeartBERT's encoder had seen its test records; such a score must carry that sentence."""
    split = [Examples("mitdb", "101")], [Examples("mitdb", "100")]
    encoder = FittedPart("encoder", ("100",), LeakKind.TRANSDUCTIVE)

    leaks = refuse_leaks(*split, fitted=[encoder], allowed={LeakKind.TRANSDUCTIVE})

    assert [leak.what for leak in leaks] == [
        "the encoder has seen the unlabelled signal of 1 test person, first 'mitdb/100'"
    ]
    with pytest.raises(LeakageError, match="Use one that has not seen them, or allow it"):
        refuse_leaks(*split, fitted=[encoder])


def test_published_split_of_mitdb_needs_its_shared_person_allowed() -> None:
    """De Chazal's split has one man on both sides; the published number must say so."""
    split = [Examples("mitdb", record) for record in MITDB_DS1], [Examples("mitdb", record) for record in MITDB_DS2]

    leaks = refuse_leaks(*split, allowed_persons={"mitdb/201"})

    assert [(leak.kind, leak.persons, leak.recordings) for leak in leaks] == [(LeakKind.PERSON, ("mitdb/201",), ())]
    with pytest.raises(LeakageError, match="1 person in training and test, first 'mitdb/201'"):
        refuse_leaks(*split)


def test_person_that_is_allowed_may_not_share_a_recording() -> None:
    """Allowing one man in two recordings does not allow to test on what was trained on."""
    with pytest.raises(LeakageError, match="overlap"):
        refuse_leaks([Examples("mitdb", "202")], [Examples("mitdb", "202")], allowed_persons={"mitdb/201"})
    with pytest.raises(LeakageError, match="the head was fitted on 1 test person"):
        refuse_leaks(
            [], [Examples("mitdb", "202")], fitted=[FittedPart("head", ("202",))], allowed_persons={"mitdb/201"}
        )


def test_bundle_parts_are_read_from_the_manifest() -> None:
    """What each part was fitted on travels with the bundle."""
    heartbeats = {"trained_on": ["101"], "validated_on": ["114"]}
    manifest: dict[str, Any] = {"name": "b", "corpus": {"records": ["101", "00001_hr"]}, "heartbeats": heartbeats}

    parts = bundle_parts(manifest, with_head=True)

    assert [(part.records, part.kind) for part in parts] == [
        (("101", "00001_hr"), LeakKind.TRANSDUCTIVE),
        (("101",), LeakKind.FITTED),
        (("114",), LeakKind.CHOSEN),
    ]
    assert bundle_parts(manifest, with_head=False) == parts[:1]


def test_bundle_that_does_not_say_what_it_was_fitted_on_is_refused() -> None:
    """Silence is no proof of a clean split."""
    with pytest.raises(LeakageError, match=r"bundle 'old' does not say what it was fitted on: 'corpus.records' is"):
        bundle_parts({"name": "old"}, with_head=False)


def test_fitted_part_refuses_a_kind_that_says_nothing_of_fitting() -> None:
    """A person shared between the sides is no property of a part."""
    with pytest.raises(ConfigError, match="part 'head' is of kind 'person'; a fitted part is one of fitted, chosen"):
        FittedPart("head", (), LeakKind.PERSON)


def test_examples_refuse_arrays_of_different_length() -> None:
    """A start without its stop compares wrong windows."""
    with pytest.raises(ConfigError, match="recording 'mitdb/101': starts, stops and epochs of its examples differ"):
        Examples("mitdb", "101", starts_s=np.zeros(2), stops_s=np.ones(3))
    with pytest.raises(ConfigError, match="differ in number"):
        Examples("mitdb", "101", starts_s=np.zeros(2))


def test_examples_refuse_a_window_that_ends_before_it_starts() -> None:
    """Such a window would overlap nothing and hide a leak."""
    with pytest.raises(ConfigError, match=r"recording 'mitdb/101': example 1 starts at 2 s and stops at 1 s"):
        Examples("mitdb", "101", starts_s=np.array([0.0, 2.0]), stops_s=np.array([1.0, 1.0]))


SOME_WINDOWS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12)
Times = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _times(pairs: list[tuple[int, int]]) -> Times:
    starts = np.array([start for start, _ in pairs], dtype=np.float64)
    return starts, starts + np.array([length for _, length in pairs], dtype=np.float64)


@settings(max_examples=200, deadline=None)
@given(SOME_WINDOWS, SOME_WINDOWS)
def test_overlaps_are_those_of_comparing_every_pair(
    training: list[tuple[int, int]], test: list[tuple[int, int]]
) -> None:
    """The fast comparison finds what the obvious one finds, in any order of windows."""
    one, other = _times(training), _times(test)

    obvious = [
        any(start < stop_ and start_ < stop for start_, stop_ in zip(*one, strict=True))
        for start, stop in zip(*other, strict=True)
    ]

    assert overlapping_windows(one, other).tolist() == obvious


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 10_000), min_size=2, max_size=40, unique=True), st.integers(0, 999), st.floats(-2.9, 2.9)
)
def test_planted_overlap_is_found_among_windows_that_do_not_overlap(
    numbers: list[int], seed: int, shift_s: float
) -> None:
    """One window moved over its neighbour's border is enough."""
    starts_s = np.random.default_rng(seed).permutation(np.array(numbers) * 3.0)
    training, test = starts_s[1:], starts_s[:1]

    clean = kinds([windows("101", *training)], [windows("101", *test)])
    planted = kinds([windows("101", *training)], [windows("101", *test, training[0] + shift_s)])

    assert LeakKind.OVERLAP not in clean
    assert LeakKind.OVERLAP in planted


def test_a_million_windows_are_compared() -> None:
    """Icentia11k gives millions; every pair would be too many to compare."""
    starts_s = np.arange(1_000_000) * 3.0

    overlaps = overlapping_windows((starts_s, starts_s + 3.0), (starts_s + 1.5, starts_s + 4.5))

    assert overlaps.all()
