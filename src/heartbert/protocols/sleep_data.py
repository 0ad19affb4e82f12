"""Nights of the MIT-BIH Polysomnographic Database as the protocols of sleep staging read them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.bundle import Bundle
from heartbert.databases.slpdb import (
    SLPDB,
    ScoredNight,
    TextEpochs,
    TextRow,
    read_scored_night,
    read_text_epochs,
    scored_records,
)
from heartbert.errors import RecordFormatError
from heartbert.files import replacing_file
from heartbert.predictions.sleep_epochs import EpochEncoder, cut_epochs
from heartbert.predictions.sleep_night import describe_night
from heartbert.progress import Progress, no_progress
from heartbert.records import read_record
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.survey import survey_lead
from heartbert.training.sleep import LabelledNight

TEXT_FILE = "slp_epochs_33hz_q100.npz"
"""Published text of epochs, looked for in the folder of the database where a record has no waveform."""


@dataclass(frozen=True)
class SleepDatabase:
    """All nights of a folder, and the published text of some of their epochs.

    Attributes
    ----------
    nights : tuple of LabelledNight
        With embeddings where there is a waveform or a text, and an encoder was given.
    text_rows : tuple of TextRow
        Rows of the published text files; empty without them.
    tokens_from : dict of str to str
        By record: ``"waveform"``, ``"text"`` or ``"nothing"``.
    """

    nights: tuple[LabelledNight, ...]
    text_rows: tuple[TextRow, ...]
    tokens_from: dict[str, str]

    def fingerprint(self, *, with_tokens: bool = True) -> str:
        """Say whether two databases hold the same nights: features and stages, and embeddings where they are read."""
        digest = hashlib.sha256()
        for one in self.nights:
            arrays = (one.night.features, one.stages, *((one.night.embeddings,) if with_tokens else ()))
            for array in arrays:
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


def epoch_encoder(bundle: Bundle, layer: int) -> EpochEncoder:
    """Return what turns epochs into vectors with the fitted parts of a bundle."""
    return EpochEncoder(bundle.preprocessing, bundle.tokenizer, bundle.model.base_model, bundle.max_tokens, layer)


def read_sleep_database(
    folder: Path, encoder: EpochEncoder | None, *, cache: Path | None = None, progress: Progress = no_progress
) -> SleepDatabase:
    """Read every scored night of a folder.

    Beats are those of the `.ecg` file, or detected in the waveform where there is none. Tokens come from the waveform,
    else from the published text, else there are none.

    Parameters
    ----------
    folder : Path
    encoder : EpochEncoder or None
        None leaves embeddings out.
    cache : Path, optional
        Folder to keep embeddings in, one file a record; it must be of the same encoder.
    progress : callable
        Told the stage and the fraction done.

    Raises
    ------
    DatabaseError
        If there is no scored record.
    RecordFormatError
        If a record has neither beats nor a waveform, or a file is damaged.
    """
    headers = scored_records(folder)
    scored = {header.stem: read_scored_night(header) for header in headers}
    has_text = (folder / TEXT_FILE).is_file()
    texts, rows = read_text_epochs(folder / TEXT_FILE, scored) if has_text else ({}, [])
    nights, tokens_from = [], {}
    for number, header in enumerate(headers):
        progress(f"reading {header.stem}", number / len(headers))
        source = _source(header, texts)
        tokens_from[header.stem] = source
        nights.append(_read_night(header, scored[header.stem], encoder, texts=texts, cache=cache))
    return SleepDatabase(tuple(nights), tuple(rows), tokens_from)


def _source(header: Path, texts: dict[str, TextEpochs]) -> str:
    if header.with_suffix(".dat").is_file():
        return "waveform"
    return "text" if header.stem in texts else "nothing"


def _read_night(
    header: Path,
    scored: ScoredNight,
    encoder: EpochEncoder | None,
    *,
    texts: dict[str, TextEpochs],
    cache: Path | None,
) -> LabelledNight:
    source = _source(header, texts)
    beats_s, unscorable = scored.beats_s, np.zeros(scored.n_epochs, dtype=np.float32)
    n_embedding = encoder.n_embedding if encoder else 0
    embeddings = np.full((scored.n_epochs, n_embedding), np.nan, dtype=np.float32)
    if source == "waveform" and encoder:
        epochs, shares = cut_epochs(encoder.preprocessing.stream(read_record(header).lead()))
        n_both = min(len(epochs), scored.n_epochs)
        unscorable[:n_both] = shares[:n_both]
        embeddings[:n_both] = _embed(encoder, epochs, header.stem, cache)[:n_both]
        beats_s = beats_s if beats_s.size else _detect(header, encoder)
    elif source == "text" and encoder:
        text = texts[header.stem]
        inside = text.epochs < scored.n_epochs
        embeddings[text.epochs[inside]] = _embed(encoder, text.levels, header.stem, cache)[inside]
    if not beats_s.size:
        raise RecordFormatError(
            f"record '{header.stem}' has no beats (.ecg) and no waveform (.dat) to find them in; put one beside it."
        )
    night = describe_night(beats_s, scored.n_epochs, unscorable=unscorable, embeddings=embeddings)
    return LabelledNight(SLPDB, scored.record, scored.subject_id, night, scored.stages)


def _detect(header: Path, encoder: EpochEncoder) -> npt.NDArray[np.float64]:
    survey = survey_lead(encoder.preprocessing.stream(read_record(header).lead()))
    return survey.r_peaks / TARGET_FS


def _embed(
    encoder: EpochEncoder, epochs: npt.NDArray[np.generic], record: str, cache: Path | None
) -> npt.NDArray[np.float32]:
    """Embed the epochs of a record, or read them from the cache."""
    path = cache / f"{record}.npy" if cache else None
    if path is not None and path.is_file():
        stored: npt.NDArray[np.float32] = np.load(path)
        return stored
    embeddings = encoder.encode(epochs)
    if path is not None:
        with replacing_file(path) as temporary:
            np.save(temporary, embeddings)
    return embeddings


def deal_persons(nights: Sequence[LabelledNight], n_folds: int, *, seed: int = 0) -> list[list[str]]:
    """Deal the persons of nights to folds, all recordings of one together; no more folds than persons.

    Returns
    -------
    folds : list of list of str
        Persons of each fold.
    """
    persons = sorted({night.subject_id for night in nights})
    order = np.random.default_rng(seed).permutation(len(persons))
    folds = min(n_folds, len(persons))
    return [[persons[index] for index in order[number::folds]] for number in range(folds)]
