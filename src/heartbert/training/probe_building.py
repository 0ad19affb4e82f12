"""Annotated recordings -> probe data: tokens, parts of beats and labels of a few minutes of each record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.errors import LeakageError, RecordFormatError
from heartbert.evaluation.heartbeats import reference_beats
from heartbert.evaluation.leakage import Examples, refuse_leaks
from heartbert.evaluation.splits import MITDB_DS1, MITDB_DS1_VALIDATION, MITDB_DS2
from heartbert.files import sha256_of
from heartbert.predictions.heartbeats import beat_intervals
from heartbert.predictions.labels import AamiClass
from heartbert.preprocessing import Preprocessing, load_preprocessing
from heartbert.progress import Progress, no_progress
from heartbert.records import Channel, read_annotations, read_record
from heartbert.signals.beats import rr_features
from heartbert.signals.resampling import TARGET_FS, rate_ratio
from heartbert.signals.survey import survey_lead
from heartbert.tokens import TOKENIZER_FILE, Tokenizer, load_tokenizer
from heartbert.training.probe import ProbeData

DS1_TRAINING = tuple(record for record in MITDB_DS1 if record not in MITDB_DS1_VALIDATION)
MINUTES_PER_RECORD = 5.0
# Class counts below this weigh as this, or the minutes with one odd beat would beat those with ten rare ones.
_FEWEST = 20


@dataclass(frozen=True)
class _Beats:
    """A record's reference beats; `samples` at 360 Hz."""

    path: Path
    samples: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Excerpt:
    """One record's part of the probe data; indices count from its own first sample."""

    pieces: npt.NDArray[np.int64]
    usable: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    r_peaks: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    rr: npt.NDArray[np.float32]


def build_probe(
    folder: Path,
    corpus_folder: Path,
    records: tuple[Sequence[str], Sequence[str]] = (DS1_TRAINING, MITDB_DS1_VALIDATION),
    *,
    minutes: float = MINUTES_PER_RECORD,
    progress: Progress = no_progress,
) -> ProbeData:
    """Make probe data from recordings with beat annotations; no test record is opened.

    Parameters
    ----------
    folder : Path
        Holds the WFDB recordings, such as MIT-BIH Arrhythmia.
    corpus_folder : Path
        Corpus whose preprocessing and tokenizer are used.
    records : (training, validation), sequences of str
        Names of the records that the classifier is fitted and scored on.
    minutes : float
        Taken of each record: those in a row with most rare beats.
    progress : callable
        Told the stage and the fraction done.

    Raises
    ------
    LeakageError
        If a DS2 record is named, or a person is on both sides.
    RecordFormatError
        If a record is missing, unreadable, or shorter than a beat.
    """
    names = [*records[0], *records[1]]
    if tests := sorted(set(names) & set(MITDB_DS2)):
        raise LeakageError(f"record '{tests[0]}' is in DS2, the test set; a probe may not read it. Leave it out.")
    # Whatever the folder is called: records of these names are those of MIT-BIH Arrhythmia.
    database = "mitdb" if set(names) <= set(MITDB_DS1) else folder.name
    refuse_leaks(*([Examples(database, name) for name in side] for side in records))
    beats = [_read_beats(folder, name) for name in names]
    n_of_class = np.bincount(np.concatenate([one.classes for one in beats]), minlength=len(AamiClass))
    rarity = 1 / np.maximum(n_of_class, _FEWEST)
    preprocessing, tokenizer = load_preprocessing(corpus_folder), load_tokenizer(corpus_folder)
    excerpts = []
    for number, one in enumerate(beats):
        progress("preparing the probe", number / len(beats))
        excerpts.append(_excerpt(one, rarity, (preprocessing, tokenizer), minutes=minutes))
    starts, stops = beat_intervals(np.concatenate([excerpt.r_peaks for excerpt in excerpts]))
    return ProbeData(
        records=np.array(names),
        validation=np.arange(len(names)) >= len(records[0]),
        pieces=np.concatenate([excerpt.pieces for excerpt in excerpts]).astype(np.uint32),
        usable=np.concatenate([excerpt.usable for excerpt in excerpts]),
        counts=np.concatenate([excerpt.counts for excerpt in excerpts]),
        windows=np.cumsum([0, *(excerpt.counts.size for excerpt in excerpts)]),
        starts=starts,
        stops=stops,
        labels=np.concatenate([excerpt.labels for excerpt in excerpts]),
        rr=np.concatenate([excerpt.rr for excerpt in excerpts]),
        beats=np.cumsum([0, *(excerpt.labels.size for excerpt in excerpts)]),
        database=database,
        tokenizer_sha256=sha256_of(corpus_folder / TOKENIZER_FILE),
    )


def _read_beats(folder: Path, name: str) -> _Beats:
    path = folder / f"{name}.hea"
    if not path.exists():
        raise RecordFormatError(f"'{folder}' has no record '{name}', which the probe needs; give a folder that has it.")
    annotations = read_annotations(path, "atr")
    samples, classes = reference_beats(annotations)
    if samples.size == 0:
        raise RecordFormatError(f"'{name}.atr' annotates no beat; give a recording with beat annotations.")
    return _Beats(path, np.round(samples * float(rate_ratio(annotations.fs))).astype(np.int64), classes)


def _excerpt(
    beats: _Beats, rarity: npt.NDArray[np.float64], parts: tuple[Preprocessing, Tokenizer], *, minutes: float
) -> _Excerpt:
    """Choose a record's minutes and tokenize them."""
    preprocessing, tokenizer = parts
    window = preprocessing.window_samples
    n_samples = max(1, round(minutes * 60 * TARGET_FS / window)) * window
    first = _choose_start(beats.samples, rarity[beats.classes], n_samples) // window * window
    levels, unscorable = _levels(read_record(beats.path).lead(), preprocessing, first, first + n_samples)
    pieces, counts = tokenizer.pieces_of_levels(levels, window)
    stops = np.cumsum(tokenizer.token_lengths[pieces])
    n_bad = np.concatenate(([0], np.cumsum(unscorable)))
    lengths = tokenizer.token_lengths[pieces]
    usable = 2 * (n_bad[stops] - n_bad[stops - lengths]) <= lengths
    part_starts, part_stops = beat_intervals(beats.samples - first)
    inside = (part_starts[:, 0] >= 0) & (part_stops[:, -1] <= levels.size)
    rr = rr_features(beats.samples / TARGET_FS)[inside]
    return _Excerpt(pieces, usable, counts, (beats.samples - first)[inside], beats.classes[inside], rr)


def _choose_start(samples: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], n_samples: int) -> int:
    """Return where the stretch of `n_samples` with most weight of beats begins: at one of them, or earlier."""
    total = np.concatenate(([0.0], np.cumsum(weights)))
    stops = np.searchsorted(samples, samples + n_samples)
    best = int(np.argmax(total[stops] - total[:-1]))
    return max(0, min(int(samples[best]), int(samples[-1]) + round(TARGET_FS) - n_samples))


def _levels(
    channel: Channel, preprocessing: Preprocessing, first: int, stop: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return levels of a stretch of a lead, scaled as the whole lead is, and where they are unscorable."""
    scaling = preprocessing.scaling_rule.fit(survey_lead(preprocessing.stream(channel)).ranges)
    levels, unscorable = [np.empty(0, dtype=np.uint8)], [np.empty(0, dtype=np.bool_)]
    for block in preprocessing.stream(channel, first=first // preprocessing.block_samples):
        if block.start >= stop:
            break
        part = slice(max(0, first - block.start), max(0, stop - block.start))
        levels.append(preprocessing.codebook.quantize(scaling.apply(block.inner_signal[part])))
        unscorable.append(block.inner_codes[part] != 0)
    return np.concatenate(levels), np.concatenate(unscorable)
