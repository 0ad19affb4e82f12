"""Labelled recordings -> embeddings of their units, kept in a folder so that another head needs no encoder."""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError
from heartbert.files import replacing_file
from heartbert.predictions.given_beats import r_peaks_at_360hz
from heartbert.predictions.task_units import (
    UnitEmbeddings,
    UnitInput,
    Units,
    ecg_leads,
    embed_lead_units,
    join_leads,
    n_samples_360hz,
)
from heartbert.progress import Progress, no_progress
from heartbert.records import read_record
from heartbert.records.record import Channel, Record
from heartbert.signals.resampling import TARGET_FS
from heartbert.training.label_tables import LabelTable

# How far a stretch may reach beyond its recording, in seconds: times are often rounded.
_BEYOND_S = 0.1
# Samples of a lead that are read at a time for its digest.
_SAMPLES_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Reading:
    """How recordings are opened.

    Attributes
    ----------
    fs : float or None
        Sampling frequency in Hz where the files have none.
    amplitude_unit : {"V", "mV", "uV"} or None
        Where the files have none or a wrong one.
    """

    fs: float | None = None
    amplitude_unit: str | None = None

    def open(self, path: Path) -> Record:
        """Open a recording."""
        return read_record(path, fs=self.fs, unit=self.amplitude_unit)


@dataclass(frozen=True)
class LabelledRecord:
    """The labelled units of one recording, or of one lead of it.

    Attributes
    ----------
    path : Path
    lead : str or None
        Lead that the table names.
    rows : ndarray of int64, shape (n_units,)
        Their rows in the table, in time order.
    units : Units
    lead_names : tuple of str
        All ECG leads of the recording, in lower case.
    """

    path: Path
    lead: str | None
    rows: npt.NDArray[np.int64]
    units: Units
    lead_names: tuple[str, ...]


def place_units(
    table: LabelTable, read: UnitInput, reading: Reading, *, progress: Progress = no_progress
) -> list[LabelledRecord]:
    """Open every recording of a table and find the place of its labels.

    Raises
    ------
    ConfigError
        If a label lies outside its recording.
    RecordFormatError, LeadNotFoundError
        If a recording cannot be read, or has no such lead.
    """
    rows_of: dict[tuple[Path, str | None], list[int]] = {}
    for row, key in enumerate(zip(table.paths, table.leads, strict=True)):
        rows_of.setdefault(key, []).append(row)
    placed = []
    for number, ((path, lead), rows) in enumerate(rows_of.items()):
        progress("opening records", number / len(rows_of))
        record = reading.open(path)
        channel = record.lead(lead or read.lead)
        order = np.array(sorted(rows, key=lambda row: (table.starts_s[row], table.samples[row])), dtype=np.int64)
        names = tuple(one.name.casefold() for one in ecg_leads(record))
        placed.append(LabelledRecord(path, lead, order, _units(table, order, record, channel), names))
    return placed


def _units(table: LabelTable, rows: npt.NDArray[np.int64], record: Record, channel: Channel) -> Units:
    n_samples = n_samples_360hz(channel)
    if table.unit == "record":
        return Units("record", np.zeros(1, dtype=np.int64), np.array([n_samples]))
    if table.unit == "beat":
        beats = r_peaks_at_360hz(
            table.samples[rows], channel, whose=f"the beats of record '{record.name}' in the table"
        )
        return Units("beat", beats, beats + 1)
    starts_s, stops_s, duration_s = table.starts_s[rows], table.stops_s[rows], n_samples / TARGET_FS
    beyond = stops_s > duration_s + _BEYOND_S
    if beyond.any():
        first = int(np.argmax(beyond))
        raise ConfigError(
            f"record '{record.name}' lasts {duration_s:.2f} s; its label from {starts_s[first]:g} to "
            f"{stops_s[first]:g} s (row {rows[first] + 2} of the table) lies outside. Correct its time, or check that "
            "it is the right recording."
        )
    starts = np.round(starts_s * TARGET_FS).astype(np.int64)
    stops = np.minimum(np.round(stops_s * TARGET_FS).astype(np.int64), n_samples)
    return Units(table.unit, starts, np.maximum(stops, starts + 1))


class EmbeddingStore:
    """Embeddings of units in a folder; what is there is not computed again.

    A file's name is a digest of all that its content depends on: the signal itself, the units, the encoder, tokenizer
    and preprocessing.

    Parameters
    ----------
    bundle : Bundle
    folder : Path or None
        None keeps nothing.
    """

    def __init__(self, bundle: Bundle, folder: Path | None) -> None:
        self._parts = bundle.preprocessing, bundle.token_reader
        self._folder = folder
        self._embedding_digest = bundle.embedding_digest

    def embed(self, read: UnitInput, units: Units, channel: Channel) -> UnitEmbeddings:
        """Embed units in one lead, or read what was embedded before."""
        path = None if self._folder is None else self._folder / f"{self._key(read, units, channel)}.npz"
        stored = _load(path) if path is not None and path.is_file() else None
        if stored is not None:
            return stored
        embedded = embed_lead_units(read, units, channel, self._parts)
        if path is not None:
            with replacing_file(path) as temporary, temporary.open("wb") as file:
                np.savez(file, vectors=embedded.vectors, mask=embedded.mask, quality=embedded.quality)
        return embedded

    def _key(self, read: UnitInput, units: Units, channel: Channel) -> str:
        told = [self._embedding_digest, read.unit, read.layer, channel.fs, channel.unit, channel.n_samples]
        digest = hashlib.sha256(json.dumps(told).encode())
        digest.update(units.starts.tobytes())
        digest.update(units.stops.tobytes())
        for start in range(0, channel.n_samples, _SAMPLES_AT_A_TIME):
            digest.update(channel.read(start, start + _SAMPLES_AT_A_TIME).tobytes())
        return digest.hexdigest()[:32]


def _load(path: Path) -> UnitEmbeddings | None:
    """Read stored embeddings; None if the file is damaged, so that they are made again."""
    try:
        with np.load(path) as stored:
            return UnitEmbeddings(stored["vectors"], stored["mask"], stored["quality"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def embed_table(
    table: LabelTable,
    placed: list[LabelledRecord],
    read: UnitInput,
    store: tuple[EmbeddingStore, Reading],
    *,
    progress: Progress = no_progress,
) -> UnitEmbeddings:
    """Embed every unit of a table, in the order of its rows.

    Parameters
    ----------
    table : LabelTable
    placed : list of LabelledRecord
    read : UnitInput
    store : (EmbeddingStore, Reading)
    progress : callable
    """
    embeddings, reading = store
    found = []
    for number, one in enumerate(placed):
        progress("embedding", number / len(placed))
        channels = read.channels(reading.open(one.path), one.lead)
        leads = [(place, embeddings.embed(read, one.units, channel)) for place, channel in channels]
        found.append(join_leads(leads, read.n_leads))
    n_parts = max(one.vectors.shape[2] for one in found)
    n_embedding = found[0].vectors.shape[3]
    vectors = np.zeros((len(table), read.n_leads, n_parts, n_embedding), dtype=np.float32)
    mask = np.zeros(vectors.shape[:3], dtype=np.bool_)
    quality = np.zeros(len(table), dtype=np.float32)
    for labelled, units in zip(placed, found, strict=True):
        parts = slice(0, units.vectors.shape[2])
        vectors[labelled.rows, :, parts], mask[labelled.rows, :, parts] = units.vectors, units.mask
        quality[labelled.rows] = units.quality
    return UnitEmbeddings(vectors, mask, quality)
