"""Predictions -> scores: beat-by-beat comparison of two annotators after ANSI/AAMI EC57.

The rules are those of ``bxb``, which the standard names as its reference implementation: file ``app/bxb.c`` of the
WFDB software package (G. B. Moody, 27 April 2020). They are written anew here, and stated where they are applied.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError
from heartbert.evaluation.ec57_marks import (
    LABEL_OF_SYMBOL,
    NEVER,
    Clock,
    Labelling,
    Marks,
    Stretch,
    Track,
    follow_marks,
)

# Order of the rows and columns of a table. O: no beat there; X: no beat there, in a shutdown of the other annotator.
LABELS = "NSVFQOX"
N_CLASSES = 5
# What the standard prescribes: a learning period of five minutes, and a match window of 150 ms.
LEARNING_PERIOD_S = 300.0
WINDOW_S = 0.15


@dataclass(frozen=True)
class Rules:
    """How annotators are compared; anything but the defaults is not what EC57 prescribes.

    Attributes
    ----------
    start_s : float
        Beats before this time are not scored: the learning period.
    stop_s : float or None
        Beats after this time are not scored; None for the end of the record.
    window_s : float
        Two marks at most this far apart, rounded to whole samples of the reference, may be the same beat.
    labelling : {"aami", "bxb"}
        See `LABEL_OF_SYMBOL`.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    start_s: float = LEARNING_PERIOD_S
    stop_s: float | None = None
    window_s: float = WINDOW_S
    labelling: Labelling = "aami"

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < math.inf:
            raise ConfigError(f"start is {self.start_s:g} s; scoring starts at 0 s or later. Give another start")
        if self.stop_s is not None and not self.start_s < self.stop_s < math.inf:
            raise ConfigError(
                f"stop is {self.stop_s:g} s; it must come after start, {self.start_s:g} s. Give another start or stop"
            )
        if not 0 < self.window_s <= 1:
            raise ConfigError(
                f"the match window is {self.window_s * 1000:g} ms; it must be above 0 and at most 1000 ms. "
                f"EC57 prescribes {WINDOW_S * 1000:g} ms"
            )
        if self.labelling not in LABEL_OF_SYMBOL:
            raise ConfigError(f"the labelling is '{self.labelling}'; choose one of {', '.join(LABEL_OF_SYMBOL)}")

    @property
    def is_standard(self) -> bool:
        """True where learning period, end and window are those of the standard."""
        return (self.start_s, self.stop_s, self.window_s) == (LEARNING_PERIOD_S, None, WINDOW_S)


STANDARD = Rules()


@dataclass(frozen=True)
class Comparison:
    """Two annotators of one record, compared beat by beat.

    Attributes
    ----------
    counts : ndarray of int64, shape (7, 7)
        Pairs by label of the reference (row) and of the test annotator (column), in the order of `LABELS`.
    rr_error_ms : float or None
        Root mean square difference of the RR intervals before the beats; None if there is none to compare.
    shutdown_s : float
        Time that the test annotator marked as unreadable, the learning period included.
    """

    counts: npt.NDArray[np.int64]
    rr_error_ms: float | None
    shutdown_s: float


def compare_annotators(
    reference: Marks, test: Marks, *, duration_s: float | None = None, rules: Rules = STANDARD
) -> Comparison:
    """Pair the beats of a test annotator with those of the reference and count the pairs by their labels.

    Times are whole samples of the reference, as in bxb: those of a test annotator at another rate and the window are
    rounded to them. A test beat without partner counts in row O, or in row X during a shutdown of the reference; in
    a stretch of fibrillation of the reference it does not count. A reference beat without partner counts in column O,
    or in column X during a shutdown of the test annotator, whose marks of fibrillation excuse nothing.

    Parameters
    ----------
    reference, test : Marks
    duration_s : float or None
        Duration of the record; if neither this nor ``rules.stop_s`` is known, the last reference beat is the end.
    rules : Rules

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    ConfigError
        If the record ends before scoring starts.

    References
    ----------
    ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm and ST segment measurement
    algorithms. G. B. Moody, bxb(1), WFDB Applications Guide.

    Examples
    --------
    >>> from heartbert.records.record import Annotations
    >>> def marks(samples, symbols):
    ...     return Marks(Annotations(np.array(samples), symbols, ("", "", ""), 360.0), np.zeros(3, dtype=int))
    >>> reference = marks([360, 720, 1080], ("N", "V", "N"))
    >>> test = marks([362, 725, 1200], ("N", "N", "V"))
    >>> compare_annotators(reference, test, duration_s=5, rules=Rules(start_s=0)).counts[0].tolist()  # N: n s v f q o x
    [1, 0, 0, 0, 0, 1, 0]
    """
    fs = reference.annotations.fs
    clock = Clock(fs, _whole(rules.window_s * fs))
    end_s = rules.stop_s if rules.stop_s is not None else duration_s
    if end_s is not None and end_s < rules.start_s:
        raise ConfigError(
            f"the record ends at {end_s:.1f} s; scoring starts at {rules.start_s:g} s. Give an earlier start"
        )
    period = _Period(_whole(rules.start_s * fs), None if end_s is None else _whole(end_s * fs), clock.window_samples)
    tracks = follow_marks(reference, clock, rules.labelling), follow_marks(test, clock, rules.labelling)
    pairs = list(_pairs(tracks[0].samples, tracks[1].samples, period))
    return Comparison(
        _count(pairs, *tracks), _rr_error_ms(pairs, *tracks, fs), _shutdown_samples(tracks[1], period.stop) / fs
    )


class _Kind(Enum):
    """What a step of the comparison found."""

    MATCH = "match"
    MISSED = "missed"
    EXTRA = "extra"


@dataclass(frozen=True)
class _Pair:
    """A step of the comparison: what it found, and the beats it had reached in both tracks."""

    kind: _Kind
    reference: int
    test: int


@dataclass(frozen=True)
class _Period:
    """What is scored, and the match window, in samples; without `stop`, to the last reference beat."""

    start: int
    stop: int | None
    window: int

    def goes_on(self, reference: int, test: int) -> bool:
        """Return whether the earlier of the next two beats is to be scored."""
        return reference != NEVER if self.stop is None else min(reference, test) <= self.stop


def _pairs(reference: Sequence[int], test: Sequence[int], period: _Period) -> Iterator[_Pair]:
    """Walk through both tracks at once; each step pairs or passes the earlier of the next two beats."""
    reference, test = [*reference, NEVER, NEVER], [*test, NEVER, NEVER]
    at, found = bisect_left(reference, period.start), bisect_left(test, period.start)
    if period.start:
        beat, last, following = reference[at], test[found - 1] if found else -NEVER, test[found]
        if beat - last <= period.window and beat - last < abs(beat - following):
            # The partner of the first beat may be the last one of the learning period.
            yield _Pair(_Kind.MATCH, at, found - 1)
            at += 1
        elif following - period.start <= period.window and abs(beat - test[found + 1]) < abs(beat - following):
            # The first test beat may have its partner in the learning period; it is not scored.
            found += 1
    while period.goes_on(reference[at], test[found]):
        next_reference, next_test = reference[at : at + 2], test[found : found + 2]
        if next_test[0] < next_reference[0]:
            matched = _is_match(next_test, next_reference, period.window)
            kind = _Kind.MATCH if matched else _Kind.EXTRA
        else:
            matched = _is_match(next_reference, next_test, period.window)
            kind = _Kind.MATCH if matched else _Kind.MISSED
        yield _Pair(kind, at, found)
        at += kind is not _Kind.EXTRA
        found += kind is not _Kind.MISSED


def _is_match(earlier: Sequence[int], later: Sequence[int], window: int) -> bool:
    """Return whether the next beats of two tracks are one.

    They are if they are at most a window apart, and the later one is nearer to the earlier one than to the beat that
    follows that, or the beat following it is nearer to that beat than it is.
    """
    distance, distance_to_following = later[0] - earlier[0], abs(later[0] - earlier[1])
    return distance <= window and (
        distance < distance_to_following or abs(later[1] - earlier[1]) < distance_to_following
    )


def _count(pairs: Sequence[_Pair], reference: Track, test: Track) -> npt.NDArray[np.int64]:
    """Count pairs by their labels; two pseudo-labels O or X make no pair."""
    counts = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
    for pair in pairs:
        labels: tuple[str, str] | None
        if pair.kind is _Kind.MATCH:
            labels = reference.labels[pair.reference], test.labels[pair.test]
        elif pair.kind is _Kind.MISSED:
            sample = reference.samples[pair.reference]
            labels = reference.labels[pair.reference], _absent(sample, test.shutdown)
        else:
            sample = test.samples[pair.test]
            in_fibrillation = any(stretch.holds(sample) for stretch in reference.fibrillation)
            labels = None if in_fibrillation else (_absent(sample, reference.shutdown), test.labels[pair.test])
        if labels:
            counts[LABELS.index(labels[0]), LABELS.index(labels[1])] += 1
    counts[N_CLASSES:, N_CLASSES:] = 0
    return counts


def _absent(sample: int, shutdown: Sequence[Stretch]) -> str:
    """Return the label of a beat that the other annotator does not have."""
    return "X" if any(stretch.holds(sample) for stretch in shutdown) else "O"


def _rr_error_ms(pairs: Sequence[_Pair], reference: Track, test: Track, fs: float) -> float | None:
    """Compare the intervals before the beats reached at each step, missed and extra ones included, as bxb does."""
    # A zero behind the end: the beat that never comes has no interval.
    reference_rr, test_rr = [*reference.rr_samples(), 0], [*test.rr_samples(), 0]
    both = [(reference_rr[pair.reference], test_rr[pair.test]) for pair in pairs]
    errors = np.array([one - other for one, other in both if one > 0 and other > 0], dtype=np.float64)
    return float(np.sqrt(np.mean(errors**2))) * 1000 / fs if errors.size else None


def _shutdown_samples(track: Track, end: int | None) -> int:
    """Return the duration of all shutdowns up to `end`; one that nothing ends counts only where `end` is known."""
    stretches = [(stretch.start, stretch.stop if end is None else min(stretch.stop, end)) for stretch in track.shutdown]
    return sum(max(stop - start, 0) for start, stop in stretches if stop != NEVER)


def _whole(samples: float) -> int:
    """Round to whole samples, halves upwards, as `strtim` of the WFDB library does."""
    return math.floor(samples + 0.5)
