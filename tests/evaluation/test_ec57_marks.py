"""What an annotator marked, in samples of the reference."""

import numpy as np

from heartbert.evaluation.ec57_marks import LABEL_OF_SYMBOL, NEVER, Clock, Marks, Stretch, follow_marks
from heartbert.predictions.labels import BEAT_CLASS_OF_SYMBOL
from heartbert.records.record import Annotations

CLOCK = Clock(360.0, 54)


def marks_of(samples: list[int], symbols: str, subtypes: list[int], fs: float = 360.0) -> Marks:
    """Return marks with one character as the symbol of each."""
    annotations = Annotations(np.array(samples, dtype=np.int64), tuple(symbols), ("",) * len(symbols), fs)
    return Marks(annotations, np.array(subtypes, dtype=np.int64))


def test_clock_takes_the_nearest_sample() -> None:
    """250 Hz to 360 Hz: 101 samples are 145.44, 102 are 146.88, and halves go up."""
    annotations = Annotations(np.array([0, 101, 102], dtype=np.int64), ("N", "N", "N"), ("", "", ""), 250.0)

    assert CLOCK.samples_of(annotations).tolist() == [0, 145, 147]
    assert Clock(125.0, 19).samples_of(annotations).tolist() == [0, 51, 51]


def test_marks_become_beats_fibrillation_and_shutdown() -> None:
    """One of each, and two that are none of them."""
    marks = marks_of([10, 20, 30, 40, 50, 60, 70, 80], "N[V]~~+A", [0, 0, 0, 0, 48, 0, 0, 0])

    track = follow_marks(marks, CLOCK, "aami")

    assert (track.samples, track.labels) == ((10, 80), ("N", "S"))
    assert (track.fibrillation, track.shutdown) == ((Stretch(20, 40),), (Stretch(50, 60),))


def test_consecutive_shutdown_marks_are_each_taken_by_themselves() -> None:
    """The first ends a window before the second, which the plain noise mark ends."""
    marks = marks_of([1000, 2000, 3000, 4000], "N~~~", [0, 48, 48, 0])

    track = follow_marks(marks, CLOCK, "aami")

    assert track.shutdown == (Stretch(1054, 2946), Stretch(3000, 4000))


def test_open_stretches_never_end() -> None:
    """The files may stop in the middle of them."""
    assert follow_marks(marks_of([10, 20], "[N", [0, 0]), CLOCK, "aami").fibrillation == (Stretch(10, NEVER),)
    assert follow_marks(marks_of([10], "~", [-1]), CLOCK, "aami").shutdown == (Stretch(10, NEVER),)


def test_rr_intervals_are_zero_where_there_is_none() -> None:
    """Before the first beat, after one at sample 0, and where a stretch began in between."""
    track = follow_marks(marks_of([0, 100, 300, 310, 320, 600], "NNN[]N", [0] * 6), CLOCK, "aami")

    assert track.rr_samples() == [0, 0, 200, 0]


def test_labels_cover_the_symbols_of_the_classes_and_the_flutter_wave() -> None:
    """A new symbol must not be a beat to the classifier and nothing to the scorer."""
    for labels in LABEL_OF_SYMBOL.values():
        assert set(labels) == {*BEAT_CLASS_OF_SYMBOL, "!"}
