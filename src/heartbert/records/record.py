"""Stage 1 of 7: record file -> Record. What a recording is, whatever file it came from."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from heartbert.errors import LeadNotFoundError
from heartbert.records.leads import order_of_preference

ChannelKind = Literal["ecg", "other", "unknown"]


class SampleSource(Protocol):
    """Where a channel's samples lie; reads a part without loading the rest."""

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop`` in the channel's unit; missing ones are NaN."""
        ...


def as_samples(values: npt.NDArray[np.generic], factor: float = 1.0) -> npt.NDArray[np.float32]:
    """Return values times `factor` as float32; what is infinite or beyond float32 is missing, so NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        samples = np.asarray(values, dtype=np.float32) * np.float32(factor)
    samples[~np.isfinite(samples)] = np.nan
    return samples


@dataclass(frozen=True)
class ArraySource:
    """Samples held in memory or in a memory map, each multiplied by `factor` when read."""

    values: npt.NDArray[np.generic]
    factor: float = 1.0

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop`` as float32; missing ones are NaN."""
        return as_samples(self.values[start:stop], self.factor)


@dataclass(frozen=True)
class Channel:
    """One column of a recording.

    Attributes
    ----------
    name : str
        Name in the file, for example ``"MLII"``.
    fs : float
        Sampling frequency in Hz.
    unit : str
        ``"mV"`` for an ECG of known amplitude, ``"NU"`` for one of unknown amplitude; other kinds of
        channel keep the unit of their file.
    n_samples : int
    kind : {"ecg", "other", "unknown"}
        What the name says: an ECG lead, something else (pressure, EEG, ...), or nothing.
    source : SampleSource
    unit_given : bool
        True where the caller named the unit, so an amplitude that no ECG has is believed.
    """

    name: str
    fs: float
    unit: str
    n_samples: int
    kind: ChannelKind
    source: SampleSource
    unit_given: bool = False

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return self.n_samples / self.fs

    def read(self, start: int = 0, stop: int | None = None) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop`` (to the end by default), float32, in `unit`."""
        stop = self.n_samples if stop is None else min(stop, self.n_samples)
        return self.source.read(max(start, 0), stop)


@dataclass(frozen=True)
class Annotations:
    """Marks at samples of a recording.

    Attributes
    ----------
    samples : ndarray of int64, shape (n_annotations,)
        Sample indices at `fs`, in time order.
    symbols : tuple of str
        WFDB annotation symbols, one each.
    aux_notes : tuple of str
        Free notes up to their first NUL, one each, often empty.
    fs : float
        Sampling frequency in Hz of the sample indices.
    subtypes : ndarray of int64, shape (n_annotations,)
        Small numbers, -128 to 127, whose meaning depends on the symbol; 0 where not given.
    """

    samples: npt.NDArray[np.int64]
    symbols: tuple[str, ...]
    aux_notes: tuple[str, ...]
    fs: float
    subtypes: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if self.subtypes.size == 0:
            object.__setattr__(self, "subtypes", np.zeros(self.samples.size, dtype=np.int64))


@dataclass(frozen=True)
class Record:
    """One stored recording: channels of possibly different rates, on one clock.

    Attributes
    ----------
    name : str
        Record name, unique inside its database.
    subject_id : str
        The person; the record's name where the file says nothing of the person.
    channels : tuple of Channel
    start : datetime or None
        Wall-clock time of the first sample where the file gives one.
    path : Path
        The file that was opened.
    """

    name: str
    subject_id: str
    channels: tuple[Channel, ...]
    start: datetime | None
    path: Path

    def lead(self, name: str | None = None) -> Channel:
        """Return one ECG lead: by name, else the first by the documented order of preference.

        Raises
        ------
        LeadNotFoundError
            If no channel has that name, or if no name is given and no channel can be an ECG.
        """
        if name is not None:
            for channel in self.channels:
                if channel.name.casefold() == name.casefold():
                    return replace(channel, kind="ecg")
            raise LeadNotFoundError(
                f"record '{self.name}' has no lead '{name}'; it has {self._names()}. Choose one with lead=..."
            )
        candidates = [channel for channel in self.channels if channel.kind == "ecg"]
        candidates = candidates or [channel for channel in self.channels if channel.kind == "unknown"]
        if not candidates:
            raise LeadNotFoundError(
                f"record '{self.name}' has no channel that is named like an ECG lead; it has "
                f"{self._names()}. "
                "If one of them is an ECG, choose it with lead=..."
            )
        return min(candidates, key=lambda channel: order_of_preference(channel.name))

    def other_ecg_leads(self, name: str) -> tuple[Channel, ...]:
        """Return the channels that are named like ECG leads, without the one of that name, in the order of the file."""
        leads = [channel for channel in self.channels if channel.kind == "ecg"]
        same = [index for index, channel in enumerate(leads) if channel.name.casefold() == name.casefold()]
        return tuple(channel for index, channel in enumerate(leads) if index not in same[:1])

    def _names(self) -> str:
        names = [f"'{channel.name}'" for channel in self.channels]
        return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
