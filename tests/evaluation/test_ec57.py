"""Each rule of the beat-by-beat comparison on beats whose pairs were worked out by hand."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError
from heartbert.evaluation.ec57 import LABELS, Comparison, Rules, compare_annotators
from heartbert.evaluation.ec57_marks import Marks
from heartbert.records.record import Annotations

FS = 1000.0  # a sample is a millisecond
FROM_START = Rules(start_s=0)
SHUTDOWN = 0x30
PAIR = ((0, "["), (100, "]"))
Mark = tuple[int, str] | tuple[int, str, int]


def marks_of(*marks: Mark, fs: float = FS) -> Marks:
    """Return marks at samples, with subtype 0 where none is given."""
    samples, symbols = np.array([mark[0] for mark in marks], dtype=np.int64), tuple(mark[1] for mark in marks)
    subtypes = np.array([mark[2] if len(mark) > 2 else 0 for mark in marks], dtype=np.int64)
    return Marks(Annotations(samples, symbols, ("",) * len(symbols), fs), subtypes)


def compare(reference: Marks, test: Marks, rules: Rules = FROM_START, duration_s: float | None = 1000.0) -> Comparison:
    """Compare two annotators from the first sample of a long record."""
    return compare_annotators(reference, test, duration_s=duration_s, rules=rules)


def pairs_of(comparison: Comparison) -> dict[str, int]:
    """Return the pairs that occur, as in ``{"Nv": 2}``."""
    rows, columns = np.nonzero(comparison.counts)
    return {
        LABELS[row] + LABELS[column].lower(): int(comparison.counts[row, column])
        for row, column in zip(rows, columns, strict=True)
    }


def count(reference: list[Mark], test: list[Mark], rules: Rules = FROM_START) -> dict[str, int]:
    """Return the pairs of two lists of marks."""
    return pairs_of(compare(marks_of(*reference), marks_of(*test), rules))


@pytest.mark.parametrize(
    ("found", "pairs"),
    [
        (5150, {"Nn": 1}),
        (4850, {"Nn": 1}),
        (5151, {"No": 1, "On": 1}),
        (4849, {"No": 1, "On": 1}),
    ],
)
def test_marks_150_ms_apart_are_one_beat_and_151_ms_are_not(found: int, pairs: dict[str, int]) -> None:
    """The border belongs to the window, on both sides."""
    assert count([(5000, "N")], [(found, "N")]) == pairs


@pytest.mark.parametrize(("fs", "window_samples"), [(360.0, 54), (250.0, 38), (128.0, 19)])
def test_window_is_rounded_to_whole_samples_of_the_reference(fs: float, window_samples: int) -> None:
    """The WFDB library rounds 37.5 samples to 38 (152 ms), so bxb does."""
    reference = marks_of((5000, "N"), fs=fs)

    for distance, pairs in ((window_samples, {"Nn": 1}), (window_samples + 1, {"No": 1, "On": 1})):
        assert pairs_of(compare(reference, marks_of((5000 + distance, "N"), fs=fs))) == pairs


def test_rates_may_differ() -> None:
    """5.1 s is sample 5100 of the reference and 1836 of a test annotator at 360 Hz."""
    reference = marks_of((5000, "N"), (6000, "V"))
    test = marks_of((1836, "N"), (2160 + 55, "V"), fs=360.0)

    assert pairs_of(compare(reference, test)) == {"Nn": 1, "Vo": 1, "Ov": 1}


def test_the_nearer_of_two_test_beats_is_the_beat() -> None:
    """A T wave taken for a beat is an extra beat."""
    assert count([(5000, "N")], [(4900, "V"), (5020, "N")]) == {"Nn": 1, "Ov": 1}
    assert count([(5000, "N")], [(5020, "N"), (5100, "V")]) == {"Nn": 1, "Ov": 1}


def test_the_nearer_of_two_reference_beats_is_the_beat() -> None:
    """One test beat cannot be two beats."""
    assert count([(5000, "V"), (5200, "N")], [(5120, "N")]) == {"Vo": 1, "Nn": 1}


def test_beats_at_equal_distance_are_paired_in_order_where_the_next_pair_fits_better() -> None:
    """The case that changed bxb in 2002: 96, 160 and 128, 185 at a window of 37 samples are two pairs."""
    rules = Rules(start_s=0, window_s=0.037)

    assert count([(96, "N"), (160, "V")], [(128, "N"), (185, "V")], rules) == {"Nn": 1, "Vv": 1}
    assert count([(128, "N"), (185, "V")], [(96, "N"), (160, "V")], rules) == {"Nn": 1, "Vv": 1}


@pytest.mark.parametrize(
    ("symbols", "label", "label_of_bxb"),
    [("NLRB", "N", "N"), ("ej", "N", "S"), ("AaJSn", "S", "S"), ("VEr", "V", "V"), ("F", "F", "F"), ("/fQ?", "Q", "Q")],
)
def test_labels_are_those_of_the_chosen_table(symbols: str, label: str, label_of_bxb: str) -> None:
    """Escape beats are N after de Chazal and S in bxb; all else is the same."""
    for symbol in symbols:
        for labelling, wanted in (("aami", label), ("bxb", label_of_bxb)):
            rules = Rules(start_s=0, labelling=labelling)  # type: ignore[arg-type]
            assert count([(5000, symbol)], [(5000, symbol)], rules) == {wanted + wanted.lower(): 1}


def test_marks_that_are_no_beats_take_no_part() -> None:
    """Rhythm changes, notes, noise, P waves and artefacts stand between beats."""
    others: list[Mark] = [(4990 + 10 * n, symbol) for n, symbol in enumerate('+"|~xpts')]

    assert count([*others, (5100, "N")], [(5100, "N")]) == {"Nn": 1}


def test_learning_period_ends_at_its_last_sample() -> None:
    """A beat at exactly 300 s is scored, one a sample earlier is not."""
    beats: list[Mark] = [(299_999, "V"), (300_000, "N"), (301_000, "N")]

    assert count(beats, beats, Rules()) == {"Nn": 2}


def test_first_scored_beat_may_be_found_in_the_learning_period() -> None:
    """Its partner is 100 ms early, so before the border."""
    assert count([(299_000, "N"), (300_050, "V")], [(299_000, "N"), (299_950, "V"), (301_000, "N")], Rules()) == {
        "Vv": 1,
        "On": 1,
    }


def test_partner_of_a_beat_in_the_learning_period_is_not_extra() -> None:
    """The reference beat is 50 ms before the border and its partner 50 ms behind it."""
    assert count([(299_950, "N"), (301_000, "V")], [(300_050, "N"), (301_000, "V")], Rules()) == {"Vv": 1}


def test_an_extra_beat_soon_after_the_border_counts_where_it_is_the_nearest() -> None:
    """Only a beat with a better one behind it is taken for a partner from the learning period."""
    assert count([(300_400, "V")], [(300_100, "N")], Rules()) == {"Vo": 1, "On": 1}


def test_beats_after_the_end_are_not_scored() -> None:
    """The end itself is scored; a pair counts if its earlier beat does."""
    rules = Rules(start_s=0, stop_s=10)

    assert count([(10_000, "N"), (11_000, "N")], [(10_050, "N"), (11_000, "N")], rules) == {"Nn": 1}
    assert count([(10_001, "N")], [(10_002, "N")], rules) == {}


def test_without_a_known_end_the_last_reference_beat_is_the_end() -> None:
    """An annotation file alone does not say how long the record is."""
    comparison = compare(marks_of((5000, "N")), marks_of((5000, "N"), (9000, "V")), duration_s=None)

    assert pairs_of(comparison) == {"Nn": 1}


def test_test_beats_in_fibrillation_of_the_reference_do_not_count() -> None:
    """Both borders belong to it; what was found there is neither right nor wrong."""
    reference: list[Mark] = [(4000, "N"), (5000, "["), (5500, "!"), (6000, "!"), (7000, "]"), (8000, "N")]

    pairs = count(reference, [(4000, "N"), (5000, "V"), (5500, "V"), (7000, "V"), (7001, "V"), (8000, "N")])

    assert pairs == {"Nn": 2, "Ov": 1}


def test_fibrillation_that_nothing_ends_reaches_to_the_end() -> None:
    """Some records stop in fibrillation."""
    assert count([(4000, "N"), (5000, "["), (5500, "N")], [(4000, "N"), (5500, "V"), (9000, "V")]) == {"Nn": 1}


def test_no_stretch_of_fibrillation_is_forgotten() -> None:
    """Unlike bxb, which knows the last two alone, and whether the first one has ended."""
    stretches: list[Mark] = [(start + offset, symbol) for start in (5000, 6000, 7000) for offset, symbol in PAIR]

    assert count([(4000, "N"), *stretches, (9000, "N")], [(4000, "N"), (5050, "V"), (9000, "N")]) == {"Nn": 2}


def test_fibrillation_of_the_test_annotator_excuses_nothing() -> None:
    """What it marks there does not count as found either."""
    pairs = count([(4000, "N"), (5500, "N")], [(4000, "N"), (5000, "["), (5500, "N"), (7000, "]")])

    assert pairs == {"Nn": 1, "No": 1}


def test_flutter_waves_outside_fibrillation_are_beats_of_no_class() -> None:
    """They use up their partner: it is an extra beat, or a missed one."""
    assert count([(5000, "!")], [(5000, "V")]) == {"Ov": 1}
    assert count([(5000, "V")], [(5000, "!")]) == {"Vo": 1}
    assert count([(5000, "!")], [(8000, "!")]) == {}


def test_beats_missed_in_shutdown_of_the_test_annotator_are_x() -> None:
    """They are missed all the same, but one knows why; both borders belong to it."""
    reference: list[Mark] = [(sample, "N") for sample in (4999, 5000, 6000, 7000, 7001)]
    test: list[Mark] = [(5000, "~", SHUTDOWN), (7000, "~", 0x10)]

    comparison = compare(marks_of(*reference), marks_of(*test))

    assert pairs_of(comparison) == {"No": 2, "Nx": 3}
    assert comparison.shutdown_s == 2


def test_beats_found_in_shutdown_of_the_reference_are_in_row_x() -> None:
    """The reference could not read the signal there."""
    reference: list[Mark] = [(4000, "N"), (5000, "~", -1), (7000, "~", 0), (8000, "N")]

    assert count(reference, [(4000, "N"), (6000, "V"), (7500, "S"), (8000, "N")]) == {"Nn": 2, "Xv": 1, "Os": 1}


@pytest.mark.parametrize("subtype", [0, 1, 0x10, 0x20])
def test_noise_in_which_a_signal_is_readable_is_no_shutdown(subtype: int) -> None:
    """Both bits of the subtype are needed."""
    assert count([(6000, "N")], [(5000, "~", subtype), (7000, "~", 0)]) == {"No": 1}


def test_a_single_shutdown_mark_covers_the_time_between_its_neighbours() -> None:
    """AHA database: from 150 ms after the last beat to 150 ms before the next annotation."""
    reference: list[Mark] = [(sample, "N") for sample in (4000, 4500, 4149 + 1000, 8849, 8851)]
    test: list[Mark] = [(5000, "V"), (6500, "~", SHUTDOWN), (9000, "V")]

    comparison = compare(marks_of(*reference), marks_of(*test))

    # 5149 pairs with 5000, and 8851 with 9000; 8849 lies in 5150 to 8850.
    assert pairs_of(comparison) == {"Nv": 2, "No": 2, "Nx": 1}
    assert comparison.shutdown_s == 3.7


def test_a_single_shutdown_mark_after_fibrillation_starts_at_its_end() -> None:
    """The last beat lies before the fibrillation."""
    test = marks_of((4000, "N"), (5000, "["), (7000, "]"), (8000, "~", SHUTDOWN), (9000, "N"))

    assert compare(marks_of(), test).shutdown_s == pytest.approx(9 - 7 - 2 * 0.15)


def test_a_single_shutdown_mark_without_room_is_empty() -> None:
    """The borders must not cross."""
    test = marks_of((4000, "N"), (4100, "~", SHUTDOWN), (4200, "N"))

    assert compare(marks_of(), test).shutdown_s == 0


def test_shutdown_that_nothing_ends_reaches_to_the_end() -> None:
    """A test annotator may stop there."""
    reference, test = marks_of((4000, "N"), (9000, "N")), marks_of((4000, "N"), (6000, "~", SHUTDOWN))

    known, unknown = compare(reference, test, duration_s=10.0), compare(reference, test, duration_s=None)

    assert pairs_of(known) == pairs_of(unknown) == {"Nn": 1, "Nx": 1}
    assert (known.shutdown_s, unknown.shutdown_s) == (4, 0)


def test_every_beat_is_missed_if_none_is_found_and_extra_if_there_is_none() -> None:
    """A failed detection must not look like a perfect record."""
    beats: list[Mark] = [(5000, "N"), (6000, "V"), (7000, "V")]

    assert count(beats, []) == {"No": 1, "Vo": 2}
    assert count([], beats) == {"On": 1, "Ov": 2}
    assert count(beats, [], Rules(start_s=4)) == {"No": 1, "Vo": 2}
    assert count([], beats, Rules(start_s=4)) == {"On": 1, "Ov": 2}
    assert count([], []) == {}


def test_one_beat_at_the_first_sample_is_scored() -> None:
    """Without a learning period nothing is left out."""
    assert count([(0, "N")], [(0, "N")]) == {"Nn": 1}


def test_rr_error_is_that_worked_out_by_hand() -> None:
    """Intervals of 1000 and 1000 ms against 1010 and 970 ms; the first beat has none."""
    comparison = compare(
        marks_of((5000, "N"), (6000, "N"), (7000, "N")), marks_of((5000, "N"), (6010, "N"), (6980, "N"))
    )

    assert comparison.rr_error_ms == pytest.approx(np.sqrt((10**2 + 30**2) / 2))


def test_rr_error_leaves_out_intervals_with_fibrillation_or_shutdown() -> None:
    """No beat was looked for in them."""
    reference = marks_of((5000, "N"), (5500, "["), (8000, "]"), (9000, "N"))

    assert compare(reference, marks_of((5000, "N"), (9100, "N"))).rr_error_ms is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start_s": -1.0}, "start is -1 s; scoring starts at 0 s or later"),
        ({"start_s": float("nan")}, "start is nan s"),
        ({"stop_s": 300.0}, "stop is 300 s; it must come after start, 300 s"),
        ({"window_s": 0.0}, "the match window is 0 ms; it must be above 0 and at most 1000 ms"),
        ({"labelling": "AHA"}, "the labelling is 'AHA'; choose one of aami, bxb"),
    ],
)
def test_rules_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    """A typing error must not score nothing and look perfect."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        Rules(**arguments)  # type: ignore[arg-type]


def test_a_record_that_ends_in_the_learning_period_is_refused() -> None:
    """It would have no beats and no scores."""
    with pytest.raises(ConfigError, match=r"the record ends at 60\.0 s; scoring starts at 300 s"):
        compare_annotators(marks_of(), marks_of(), duration_s=60)


def test_only_the_prescribed_rules_are_standard() -> None:
    """The labelling is no rule of the standard's."""
    assert Rules().is_standard
    assert Rules(labelling="bxb").is_standard
    assert not Rules(start_s=0).is_standard
    assert not Rules(window_s=0.1).is_standard


BEATS = st.lists(
    st.tuples(st.integers(1, 20_000), st.sampled_from("NASVEFQ/ej")), max_size=60, unique_by=lambda beat: beat[0]
).map(sorted)
ANY_MARKS = st.lists(
    st.tuples(st.integers(1, 20_000), st.sampled_from("NNNAVFQ![]~+"), st.sampled_from([0, SHUTDOWN])),
    max_size=60,
    unique_by=lambda mark: mark[0],
).map(sorted)


@settings(max_examples=100, deadline=None)
@given(ANY_MARKS, st.sampled_from([0.0, 3.0, 10.0]))
def test_any_annotator_agrees_with_itself(marks: list[Mark], start_s: float) -> None:
    """Whatever is marked, nothing lies off the diagonal."""
    comparison = compare(marks_of(*marks), marks_of(*marks), Rules(start_s=start_s))

    assert comparison.counts.sum() == np.trace(comparison.counts)
    assert comparison.rr_error_ms in {None, 0.0}


@settings(max_examples=100, deadline=None)
@given(BEATS, BEATS)
def test_exchanged_annotators_transpose_the_counts(reference: list[Mark], test: list[Mark]) -> None:
    """The rules of pairing do not prefer a side, as long as there is neither fibrillation nor learning period."""
    one, other = (compare(marks_of(*a), marks_of(*b)).counts for a, b in pairwise((reference, test, reference)))

    assert one.tolist() == other.T.tolist()


@settings(max_examples=100, deadline=None)
@given(BEATS, BEATS)
def test_every_beat_counts_once(reference: list[Mark], test: list[Mark]) -> None:
    """Rows add up to the reference beats, columns to the test beats."""
    counts = compare(marks_of(*reference), marks_of(*test)).counts

    assert int(counts[:5].sum()) == len(reference)
    assert int(counts[:, :5].sum()) == len(test)
    assert not counts[5:, 5:].any()
