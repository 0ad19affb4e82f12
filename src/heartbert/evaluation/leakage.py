"""Predictions -> scores: the leakage guard. It refuses a split in which training knows what the test asks.

Every protocol and every command that trains or scores calls `refuse_leaks` before it starts. What is found is an error;
what a protocol allows on purpose is returned, to be written into its result.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, LeakageError
from heartbert.evaluation.splits import person_of, persons_named, recording_of


class LeakKind(StrEnum):
    """How training can know what the test asks."""

    PERSON = "person"
    """One person is on both sides."""
    RECORDING = "recording"
    """One recording is on both sides."""
    OVERLAP = "overlap"
    """Windows of one recording that overlap are on both sides."""
    EPOCH = "epoch"
    """Slices of one sleep epoch are on both sides."""
    FITTED = "fitted"
    """A part was fitted on labelled recordings of a test person."""
    CHOSEN = "chosen"
    """A setting or a training epoch was chosen on recordings of a test person."""
    TRANSDUCTIVE = "transductive"
    """A part was fitted on unlabelled recordings of a test person."""


# Of a fitted part, in words.
_DONE_WITH = {
    LeakKind.FITTED: "was fitted on",
    LeakKind.CHOSEN: "was chosen on",
    LeakKind.TRANSDUCTIVE: "has seen the unlabelled signal of",
}
# What to do about each.
_ADVICE = {
    LeakKind.PERSON: "Put all recordings of a person on one side, or leave them out.",
    LeakKind.RECORDING: "Put all of a recording on one side.",
    LeakKind.OVERLAP: "Put all of a recording on one side.",
    LeakKind.EPOCH: "Put all of a recording on one side.",
    LeakKind.FITTED: "Fit it without them, or take them out of the test.",
    LeakKind.CHOSEN: "Choose it on training recordings, or take them out of the test.",
    LeakKind.TRANSDUCTIVE: "Use one that has not seen them, or allow it; the result will say so.",
}


@dataclass(frozen=True)
class Examples:
    """The examples that one recording gives to one side of a split.

    Attributes
    ----------
    database, record : str
        Published slug or name of the folder, and name of the recording.
    subject : str or None
        The person; None for what `person_of` knows.
    starts_s, stops_s : ndarray of float64, shape (n_examples,), or None
        Each example is made of the signal from start to before stop; None where all of the recording was used.
    epochs : ndarray of int64, shape (n_examples,), or None
        Number of the sleep epoch that each example is cut from; None where examples are not parts of epochs.

    Raises
    ------
    ConfigError
        If the arrays differ in length, or an example ends before it starts.

    Examples
    --------
    >>> Examples("mitdb", "202").person
    'mitdb/201'
    """

    database: str
    record: str
    subject: str | None = None
    starts_s: npt.NDArray[np.float64] | None = None
    stops_s: npt.NDArray[np.float64] | None = None
    epochs: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        sizes = {array.size for array in (self.starts_s, self.stops_s, self.epochs) if array is not None}
        if len(sizes) > 1 or (self.starts_s is None) != (self.stops_s is None):
            raise ConfigError(
                f"recording '{self.name}': starts, stops and epochs of its examples differ in number; give one of each "
                "for every example, or leave out an array as a whole"
            )
        if self.starts_s is not None and self.stops_s is not None and not np.all(self.starts_s < self.stops_s):
            first = int(np.argmin(self.starts_s < self.stops_s))
            raise ConfigError(
                f"recording '{self.name}': example {first} starts at {self.starts_s[first]:g} s and stops at "
                f"{self.stops_s[first]:g} s; it must stop after it starts. Correct its times"
            )

    @property
    def name(self) -> str:
        """``"database/recording"``, the same for copies of one recording."""
        return f"{self.database}/{recording_of(self.database, self.record)}"

    @property
    def person(self) -> str:
        """The person, the same for all recordings of that person in all databases."""
        return self.subject if self.subject is not None else person_of(self.database, self.record)

    def windows(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return starts and stops in seconds; one window without ends where all of the recording was used."""
        if self.starts_s is None or self.stops_s is None:
            return np.array([-np.inf]), np.array([np.inf])
        return self.starts_s, self.stops_s


@dataclass(frozen=True)
class FittedPart:
    """Something that was fitted before: scaling, codebook, tokenizer, encoder, head.

    Attributes
    ----------
    name : str
        For messages.
    records : tuple of str
        What it was fitted on: ``"database/record"`` or the name of a person; a name without database may be a recording
        of any database.
    kind : LeakKind
        `FITTED` with labels, `CHOSEN` if only a setting was, `TRANSDUCTIVE` without labels.
    """

    name: str
    records: tuple[str, ...]
    kind: LeakKind = LeakKind.FITTED

    def __post_init__(self) -> None:
        if self.kind not in _DONE_WITH:
            raise ConfigError(
                f"part '{self.name}' is of kind '{self.kind}'; a fitted part is one of {', '.join(_DONE_WITH)}"
            )


@dataclass(frozen=True)
class Leak:
    """One way in which training knows what the test asks.

    Attributes
    ----------
    kind : LeakKind
    persons : tuple of str
        Those concerned.
    recordings : tuple of str
        Those that are on both sides themselves, as ``"database/recording"``; empty if only the person is.
    what : str
        The leak in words, for the message and for the result.
    """

    kind: LeakKind
    persons: tuple[str, ...]
    recordings: tuple[str, ...]
    what: str


def refuse_leaks(
    training: Iterable[Examples],
    test: Iterable[Examples],
    *,
    fitted: Iterable[FittedPart] = (),
    allowed: Collection[LeakKind] = (),
    allowed_persons: Collection[str] = (),
) -> tuple[Leak, ...]:
    """Refuse a split that leaks.

    Parameters
    ----------
    training, test : iterable of Examples
        One for each recording of each side; a recording may occur several times.
    fitted : iterable of FittedPart
        Everything that is used and was fitted before, the pre-trained encoder above all.
    allowed : collection of LeakKind
        Leaks that are wanted, for example to measure what they are worth.
    allowed_persons : collection of str
        Persons who may be on both sides with different recordings, as the published split of MIT-BIH has it.

    Returns
    -------
    leaks : tuple of Leak
        Those that were found and allowed; a result made with them must state them.

    Raises
    ------
    LeakageError
        If there is a leak that was not allowed.

    Examples
    --------
    >>> refuse_leaks([Examples("mitdb", "201")], [Examples("mitdb", "202")])
    Traceback (most recent call last):
        ...
    heartbert.errors.LeakageError: 1 person in training and test, first 'mitdb/201'; a score on them says nothing \
about new people. Put all recordings of a person on one side, or leave them out.
    """
    leaks = find_leaks(training, test, fitted=fitted)
    refused = [leak for leak in leaks if not _is_allowed(leak, allowed, allowed_persons)]
    if refused:
        more = f" ({len(refused) - 1} further kinds of leak)" if len(refused) > 1 else ""
        raise LeakageError(
            f"{refused[0].what}{more}; a score on them says nothing about new people. {_ADVICE[refused[0].kind]}"
        )
    return leaks


def find_leaks(
    training: Iterable[Examples], test: Iterable[Examples], *, fitted: Iterable[FittedPart] = ()
) -> tuple[Leak, ...]:
    """Return every kind of leak of a split, the gravest first; see `refuse_leaks`."""
    training, test = tuple(training), tuple(test)
    recordings_tested: dict[str, list[Examples]] = {}
    for examples in test:
        recordings_tested.setdefault(examples.name, []).append(examples)
    shared = [(one, other) for one in training for other in recordings_tested.get(one.name, ())]
    found = [_shared_epochs(shared), _overlapping(shared), _shared_recordings(shared), _shared_persons(training, test)]
    return tuple(leak for leak in [*found, *(_fitted_on(part, test) for part in fitted)] if leak is not None)


def bundle_parts(manifest: Mapping[str, Any], *, with_head: bool) -> tuple[FittedPart, ...]:
    """Return what a bundle's parts were fitted on, by its manifest.

    Parameters
    ----------
    manifest : mapping
    with_head : bool
        Whether the heartbeat head of the bundle is used too.

    Raises
    ------
    LeakageError
        If the manifest does not say on which recordings a part was fitted.
    """
    parts = [FittedPart("encoder", _told(manifest, "corpus", "records"), LeakKind.TRANSDUCTIVE)]
    if with_head:
        parts.append(FittedPart("heartbeat head", _told(manifest, "heartbeats", "trained_on")))
        parts.append(FittedPart("heartbeat head", _told(manifest, "heartbeats", "validated_on"), LeakKind.CHOSEN))
    return tuple(parts)


def _told(manifest: Mapping[str, Any], table: str, key: str) -> tuple[str, ...]:
    names = manifest.get(table, {}).get(key)
    if names is None:
        raise LeakageError(
            f"the manifest of bundle '{manifest.get('name')}' does not say what it was fitted on: '{table}.{key}' is "
            "missing. Make the bundle again from its corpus and run"
        )
    return tuple(names)


def _is_allowed(leak: Leak, allowed: Collection[LeakKind], allowed_persons: Collection[str]) -> bool:
    return leak.kind in allowed or (not leak.recordings and set(leak.persons) <= set(allowed_persons))


def _shared_persons(training: Sequence[Examples], test: Sequence[Examples]) -> Leak | None:
    persons = tuple(sorted({one.person for one in training} & {one.person for one in test}))
    what = f"{_number(len(persons), 'person')} in training and test, first '{persons[0]}'" if persons else ""
    return Leak(LeakKind.PERSON, persons, (), what) if persons else None


def _shared_recordings(shared: Sequence[tuple[Examples, Examples]]) -> Leak | None:
    recordings = _names(shared)
    if not shared:
        return None
    what = f"{_number(len(recordings), 'recording')} in training and test, first '{recordings[0]}'"
    return Leak(LeakKind.RECORDING, _persons(shared), recordings, what)


def _overlapping(shared: Sequence[tuple[Examples, Examples]]) -> Leak | None:
    """Find windows of the test that overlap a window of the training."""
    found = [(one, other, overlapping_windows(one.windows(), other.windows())) for one, other in shared]
    concerned = [(one, other) for one, other, overlaps in found if overlaps.any()]
    if not concerned:
        return None
    recordings = _names(concerned)
    n_windows = sum(int(overlaps.sum()) for *_, overlaps in found)
    what = f"training windows overlap {_number(n_windows, 'test window')} of one recording, first of '{recordings[0]}'"
    return Leak(LeakKind.OVERLAP, _persons(concerned), recordings, what)


def overlapping_windows(
    training: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    test: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
) -> npt.NDArray[np.bool_]:
    """Return which windows of the test overlap one of the training; windows that only touch do not.

    Parameters
    ----------
    training, test : (starts_s, stops_s)
        Of one recording, in any order; shapes (n_training,) and (n_test,).

    Returns
    -------
    overlaps : ndarray of bool, shape (n_test,)

    Examples
    --------
    >>> windows = np.array([0.0, 6.0]), np.array([3.0, 9.0])
    >>> overlapping_windows(windows, (np.array([3.0, 5.0]), np.array([6.0, 8.0])))
    array([False,  True])
    """
    order = np.argsort(training[0])
    # Of all training windows that start before a test window stops, the one that stops last decides.
    last_stop = np.concatenate(([-np.inf], np.maximum.accumulate(training[1][order])))
    return np.asarray(last_stop[np.searchsorted(training[0][order], test[1])] > test[0])


def _shared_epochs(shared: Sequence[tuple[Examples, Examples]]) -> Leak | None:
    """Find sleep epochs with slices on both sides."""
    found = [
        (one, other, np.intersect1d(one.epochs, other.epochs))
        for one, other in shared
        if one.epochs is not None and other.epochs is not None
    ]
    concerned = [(one, other) for one, other, epochs in found if epochs.size]
    if not concerned:
        return None
    recordings = _names(concerned)
    n_epochs = sum(epochs.size for *_, epochs in found)
    what = f"slices of {_number(n_epochs, 'sleep epoch')} in training and test, first of '{recordings[0]}'"
    return Leak(LeakKind.EPOCH, _persons(concerned), recordings, what)


def _fitted_on(part: FittedPart, test: Sequence[Examples]) -> Leak | None:
    """Find test persons on whose recordings a part was fitted."""
    databases = {one.database for one in test}
    fitted = {person for name in part.records for person in persons_named(name, databases)}
    concerned = [one for one in test if one.person in fitted or one.name in fitted]
    if not concerned:
        return None
    persons = tuple(sorted({one.person for one in concerned}))
    named = {f"{database}/{recording_of(database, name)}" for name in part.records for database in databases}
    recordings = tuple(sorted({one.name for one in concerned if one.name in named or one.name in part.records}))
    what = f"the {part.name} {_DONE_WITH[part.kind]} {_number(len(persons), 'test person')}, first '{persons[0]}'"
    return Leak(part.kind, persons, recordings, what)


def _names(shared: Sequence[tuple[Examples, Examples]]) -> tuple[str, ...]:
    return tuple(sorted({one.name for one, _ in shared}))


def _persons(shared: Sequence[tuple[Examples, Examples]]) -> tuple[str, ...]:
    return tuple(sorted({one.person for one, _ in shared}))


def _number(n_found: int, what: str) -> str:
    return f"{n_found} {what}{'' if n_found == 1 else 's'}"
