"""Stage 6 of 7: tokens -> embeddings. What a task of one's own is about: recordings, windows, epochs or beats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, LeadNotFoundError, SignalTooShortError
from heartbert.predictions.beat_windows import TokenReader
from heartbert.predictions.heartbeats import beat_intervals
from heartbert.predictions.intervals import embed_intervals, usable_share
from heartbert.preprocessing import Preprocessing
from heartbert.records.record import Channel, Record
from heartbert.signals.beats import RR_FEATURES, rr_features
from heartbert.signals.resampling import TARGET_FS, n_resampled, rate_ratio
from heartbert.signals.survey import survey_lead
from heartbert.tokens.leads import LeadTokens, tokenize_lead

UnitKind = Literal["record", "window", "epoch", "beat"]

# Duration in seconds of an epoch.
EPOCH_S = 30.0
# A stretch is read in parts of about this many seconds, in at most so many; a longer stretch has longer parts.
_PART_S, _MOST_PARTS = 10.0, 32
# Beats closer than this, in seconds, are one beat (EC57).
_SAME_BEAT_S = 0.15
# Beats of a recording that its usual beat is the median of.
_BEATS_OF_MEDIAN = 2000


@dataclass(frozen=True)
class Units:
    """What of one recording is labelled or predicted.

    Attributes
    ----------
    kind : {"record", "window", "epoch", "beat"}
    starts, stops : ndarray of int64, shape (n_units,)
        Samples at 360 Hz; a beat starts at its R-peak and stops after that sample. Beats increase.
    """

    kind: UnitKind
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.starts.size)


@dataclass(frozen=True)
class UnitInput:
    """What a head reads of each unit.

    Attributes
    ----------
    unit : {"record", "window", "epoch", "beat"}
    layer : int
        Encoder layer that is averaged.
    leads : tuple of str
        Leads that are weighed against each other, by name in lower case; empty for one lead, whatever its name.
    lead : str or None
        The one lead; None for the first in the documented order of preference.
    window_s : float or None
        Duration of a window where no other is given, for the unit ``window``.
    """

    unit: UnitKind
    layer: int
    leads: tuple[str, ...] = ()
    lead: str | None = None
    window_s: float | None = None

    @property
    def n_leads(self) -> int:
        """Places of the lead axis."""
        return max(1, len(self.leads))

    def channels(self, record: Record, lead: str | None = None) -> list[tuple[int, Channel]]:
        """Return the leads of a recording that are read, each with its place.

        Raises
        ------
        LeadNotFoundError
            If the recording has none of them.
        ConfigError
            If one lead is asked for where several are read.
        """
        if not self.leads:
            return [(0, record.lead(lead if lead is not None else self.lead))]
        if lead is not None:
            raise ConfigError(f"the task reads {len(self.leads)} leads by name; leave out lead='{lead}'.")
        there = {channel.name.casefold(): channel for channel in ecg_leads(record)}
        found = [(place, there[name]) for place, name in enumerate(self.leads) if name in there]
        if not found:
            raise LeadNotFoundError(
                f"record '{record.name}' has the leads {_listed(there)}; the task reads {_listed(self.leads)}. Give a "
                "recording with one of them, or fine-tune with one lead for any name (--leads one)."
            )
        return found


@dataclass(frozen=True)
class UnitEmbeddings:
    """Embeddings of units, ready for a head.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n_units, n_leads, n_parts, n_embedding)
        0 where nothing is there.
    mask : ndarray of bool, shape (n_units, n_leads, n_parts)
        What is there and can be scored.
    quality : ndarray of float32, shape (n_units,)
        Share of each unit that can be scored, the mean over the leads that were read.
    """

    vectors: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    quality: npt.NDArray[np.float32]


def ecg_leads(record: Record) -> tuple[Channel, ...]:
    """Return the ECG leads of a recording; the only candidate where no channel is named like one."""
    first = record.lead()
    return (first, *record.other_ecg_leads(first.name))


def n_samples_360hz(channel: Channel) -> int:
    """Return how many samples a lead has at 360 Hz."""
    return n_resampled(channel.n_samples, rate_ratio(channel.fs))


def units_of(
    kind: UnitKind, record: Record, channel: Channel, preprocessing: Preprocessing, *, window_s: float | None
) -> Units:
    """Cut a whole recording into units: itself, windows or epochs side by side, or the beats that are detected.

    Windows and epochs are whole; what is left at the end is not predicted.

    Raises
    ------
    SignalTooShortError
        If the recording is shorter than one of them.
    """
    n_samples = n_samples_360hz(channel)
    if kind == "beat":
        r_peaks = survey_lead(preprocessing.stream(channel)).r_peaks
        return Units(kind, r_peaks, r_peaks + 1)
    if kind == "record":
        return Units(kind, np.zeros(1, dtype=np.int64), np.array([n_samples]))
    length_s = EPOCH_S if kind == "epoch" else float(window_s or EPOCH_S)
    starts = np.round(np.arange(int(n_samples / TARGET_FS / length_s)) * length_s * TARGET_FS).astype(np.int64)
    if not starts.size:
        raise SignalTooShortError(
            f"record '{record.name}' lasts {n_samples / TARGET_FS:.1f} s; one {kind} needs {length_s:g} s. Give a "
            "longer recording."
        )
    return Units(kind, starts, starts + round(length_s * TARGET_FS))


def embed_units(
    read: UnitInput, units: Units, channels: Sequence[tuple[int, Channel]], parts: tuple[Preprocessing, TokenReader]
) -> UnitEmbeddings:
    """Embed units of one recording in some of its leads.

    Parameters
    ----------
    read : UnitInput
    units : Units
    channels : sequence of (place, Channel)
        As `UnitInput.channels` gives them.
    parts : (Preprocessing, TokenReader)
        Of the bundle.
    """
    embedded = [(place, embed_lead_units(read, units, channel, parts)) for place, channel in channels]
    return join_leads(embedded, read.n_leads)


def join_leads(embedded: Sequence[tuple[int, UnitEmbeddings]], n_leads: int) -> UnitEmbeddings:
    """Put leads of the same units side by side, each at its place."""
    n_units, _, n_parts, n_embedding = embedded[0][1].vectors.shape
    vectors = np.zeros((n_units, n_leads, n_parts, n_embedding), dtype=np.float32)
    mask = np.zeros((n_units, n_leads, n_parts), dtype=np.bool_)
    for place, one in embedded:
        vectors[:, place], mask[:, place] = one.vectors[:, 0], one.mask[:, 0]
    return UnitEmbeddings(vectors, mask, np.mean([one.quality for _, one in embedded], axis=0, dtype=np.float32))


def embed_lead_units(
    read: UnitInput, units: Units, channel: Channel, parts: tuple[Preprocessing, TokenReader]
) -> UnitEmbeddings:
    """Embed units in one lead; `n_leads` is 1."""
    preprocessing, reader = parts
    lead = tokenize_lead(channel, preprocessing, reader.tokenizer)
    if read.unit == "beat":
        detected = survey_lead(preprocessing.stream(channel)).r_peaks
        return _embed_beats(read, units, lead, (parts, detected))
    starts, stops, there = cut_parts(units)
    vectors = embed_intervals(
        lead, reader, (starts, stops), window_samples=preprocessing.window_samples, layer=read.layer
    )
    mask = there & vectors.any(axis=-1)
    vectors[~mask] = 0
    return UnitEmbeddings(vectors[:, None], mask[:, None], usable_share(lead, units.starts, units.stops))


def cut_parts(
    units: Units,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Cut stretches into equal parts of about ten seconds, at most 32.

    Returns
    -------
    starts, stops : ndarray of int64, shape (n_units, n_parts)
        Samples at 360 Hz. A unit with fewer parts than another repeats its last one.
    there : ndarray of bool, same shape
        False for the repeated ones.
    """
    lengths = units.stops - units.starts
    n_parts = np.clip(np.round(lengths / (_PART_S * TARGET_FS)), 1, _MOST_PARTS).astype(np.int64)
    number = np.arange(n_parts.max(initial=1))
    at = np.minimum(number, n_parts[:, None] - 1)
    starts = units.starts[:, None] + at * lengths[:, None] // n_parts[:, None]
    stops = units.starts[:, None] + (at + 1) * lengths[:, None] // n_parts[:, None]
    return starts, stops, number < n_parts[:, None]


def _embed_beats(
    read: UnitInput,
    units: Units,
    lead: LeadTokens,
    known: tuple[tuple[Preprocessing, TokenReader], npt.NDArray[np.int64]],
) -> UnitEmbeddings:
    """Describe each beat: its waves, their difference from the usual beat of the recording, and its RR intervals."""
    (preprocessing, reader), detected = known
    given = units.starts
    distance = _distance_to_nearest(detected, given)
    every = np.union1d(given, detected[distance > _SAME_BEAT_S * TARGET_FS])
    sampled = every[:: max(1, every.size // _BEATS_OF_MEDIAN)]
    needed = np.union1d(given, sampled)
    waves = embed_intervals(
        lead, reader, beat_intervals(needed), window_samples=preprocessing.window_samples, layer=read.layer
    )
    flat = waves.reshape(needed.size, waves.shape[1] * waves.shape[2])
    usual = np.median(flat[np.isin(needed, sampled)], axis=0) if sampled.size else np.zeros(flat.shape[1])
    own = flat[np.searchsorted(needed, given)]
    rr = rr_features(every / TARGET_FS)[np.searchsorted(every, given)]
    vectors = np.concatenate([own, own - usual, rr], axis=1).astype(np.float32)
    mask: npt.NDArray[np.bool_] = np.any(own, axis=1, keepdims=True)
    vectors *= mask
    starts, stops = beat_intervals(given)
    quality = usable_share(lead, starts[:, 0], stops[:, -1])
    return UnitEmbeddings(vectors[:, None, None], mask[:, None], quality)


def n_embedding_of(read: UnitInput, hidden_size: int) -> int:
    """Return how many numbers a unit's vector has in one lead and part."""
    n_waves = beat_intervals(np.zeros(1, dtype=np.int64))[0].size
    return 2 * n_waves * hidden_size + len(RR_FEATURES) if read.unit == "beat" else hidden_size


def _distance_to_nearest(beats: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the distance in samples of each beat to the nearest of the others, which increase."""
    if not others.size:
        return np.full(beats.size, np.inf)
    after = np.minimum(np.searchsorted(others, beats), others.size - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.minimum(np.abs(beats - others[after]), np.abs(beats - others[before]))
    return np.asarray(nearest, dtype=np.float64)


def _listed(names: Sequence[str] | dict[str, Channel]) -> str:
    return ", ".join(f"'{name}'" for name in names)
