"""What a codec does to whole databases: codebooks and tokenizers are fitted on the first one and tried on all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError
from heartbert.evaluation.codec import PUBLISHED_PATH, Amplitudes, LeadRatios, SignalPath, divergence_bits, signal_path
from heartbert.evaluation.codec_excerpts import Excerpt, take_excerpts
from heartbert.evaluation.codec_plan import (
    OPTIMUM,
    PUBLISHED,
    SHIPPED,
    CodecPlan,
    Database,
    compared_paths,
)
from heartbert.evaluation.codec_records import measure_record
from heartbert.evaluation.codec_tokens import Coder, TokenRow, TrainingPlan, measure_tokens, train_coder
from heartbert.levels import METHODS, Codebook, cell_counts, entropy_bits, fit_codebook
from heartbert.preprocessing import Preprocessing
from heartbert.progress import Progress, no_progress
from heartbert.workers import Mapper, open_workers

N_EXCERPTS = 4


@dataclass(frozen=True)
class DatabaseRow:
    """What was measured of one database.

    Attributes
    ----------
    database : str
    n_records, n_leads : int
    n_samples : int
        Scorable samples at 360 Hz of all leads.
    n_left_out : int
        ECG leads without two scorable seconds in a row.
    n_unknown_unit : int
        Measured leads whose unit is not known: they have no part in scalings to fixed millivolts.
    n_shared : int
        Recordings left out because they show people of the first database.
    """

    database: str
    n_records: int
    n_leads: int
    n_samples: int
    n_left_out: int
    n_unknown_unit: int
    n_shared: int


@dataclass(frozen=True)
class DistortionRow:
    """One quantiser on one signal path of one database; fitted on the first database.

    Attributes
    ----------
    database, path, quantiser : str
    n_samples, n_leads : int
    pooled_snr_db : float
        Of all scaled samples together.
    lead_snr_db_median, lead_snr_db_p5 : float
        Over leads; the same in scaled and in physical units.
    clipped_share : float
        Samples outside the scaling's range; their error counts in full.
    clipping_error_share : float
        Share of the squared error, pooled, that would vanish if nothing lay outside the range.
    entropy_bits : float
        Of single levels, for each sample.
    n_unused, rarest_share : int, float
        Levels that never occur, and the share of samples in the rarest level.
    """

    database: str
    path: str
    quantiser: str
    n_samples: int
    n_leads: int
    pooled_snr_db: float
    lead_snr_db_median: float
    lead_snr_db_p5: float
    clipped_share: float
    clipping_error_share: float
    entropy_bits: float
    n_unused: int
    rarest_share: float


@dataclass(frozen=True)
class DriftRow:
    """A quantiser of least error taken from the data it was fitted on to another database.

    Attributes
    ----------
    database, path, quantiser : str
        `quantiser` is ``"lloyd-max"``, fitted on the first database, or ``"shipped"``.
    fitted_snr_db, refitted_snr_db : float
        Of all samples after clipping, with that codebook, and with one of least error for this database. What a
        scaling clips is left out here: no codebook gives it back, and a few artefacts would hide the difference.
    loss_db : float
        Their difference.
    level_divergence_bits : float
        Jensen-Shannon divergence of the use of levels from that in the first database, 0 to 1.
    """

    database: str
    path: str
    quantiser: str
    fitted_snr_db: float
    refitted_snr_db: float
    loss_db: float
    level_divergence_bits: float


@dataclass(frozen=True)
class CodecMeasurement:
    """All that was measured; the first database is the one that was fitted on.

    Attributes
    ----------
    plan : CodecPlan
    shipped_path : SignalPath
        The path of the bundle's codec.
    databases, distortion, drift, tokens : tuple of rows
    level_use : mapping of (str, str) to ndarray of int64, shape (n_levels,)
        Samples of the first database in each level, by path and quantiser.
    excerpts : tuple of Excerpt
    """

    plan: CodecPlan
    shipped_path: SignalPath
    databases: tuple[DatabaseRow, ...]
    distortion: tuple[DistortionRow, ...]
    drift: tuple[DriftRow, ...]
    tokens: tuple[TokenRow, ...]
    level_use: Mapping[tuple[str, str], npt.NDArray[np.int64]]
    excerpts: tuple[Excerpt, ...]


Named = Mapping[SignalPath, Mapping[str, Codebook]]
"""Codebooks by the path they belong to and their name."""


@dataclass(frozen=True)
class _Measured:
    """One database: its row, amplitudes by path, and ratios of its leads by path and quantiser."""

    row: DatabaseRow
    amplitudes: Mapping[SignalPath, Amplitudes]
    ratios: Mapping[tuple[SignalPath, str], LeadRatios]


def measure_codec(plan: CodecPlan, shipped: Coder, *, progress: Progress = no_progress) -> CodecMeasurement:
    """Measure what scalings, quantisers and vocabularies do to databases.

    Every recording is read several times, in blocks, and only counts are kept, so memory does not grow with the
    number or the length of recordings.

    Parameters
    ----------
    plan : CodecPlan
    shipped : Coder
        Codec and tokenizer of a bundle.
    progress : callable
        Told the stage and the fraction done.

    Returns
    -------
    measurement : CodecMeasurement

    Raises
    ------
    ConfigError
        If no lead of the first database can be scored.
    """
    with open_workers(plan.n_workers) as run:
        return _measure(plan, shipped, run, progress)


def _measure(plan: CodecPlan, shipped: Coder, run: Mapper, progress: Progress) -> CodecMeasurement:
    first = plan.databases[0]
    shipped_path = signal_path(shipped.codec.band, shipped.codec.scaling_rule)
    paths = compared_paths(plan.path, shipped_path)
    counted = _measure_database(first, {path: {} for path in paths}, run, progress)
    if counted.amplitudes[PUBLISHED_PATH].n_samples == 0:
        raise ConfigError(f"'{first.name}' has no ECG lead that can be scored; give a database with leads first.")
    codebooks = _fit_codebooks(counted.amplitudes, plan.n_levels)
    codebooks[shipped_path] = {**codebooks[shipped_path], SHIPPED: shipped.codec.codebook}
    measured = [_measure_database(database, codebooks, run, progress) for database in plan.databases]
    coders = [shipped, *_train_coders(plan, codebooks, counted.row.n_samples, run, progress)]
    return CodecMeasurement(
        plan=plan,
        shipped_path=shipped_path,
        databases=tuple(one.row for one in measured),
        distortion=tuple(row for one in measured for row in _distortion_rows(one, codebooks)),
        drift=tuple(row for one in measured for row in _drift_rows(one, measured[0], codebooks, plan.n_levels)),
        tokens=tuple(_token_rows(plan, coders, run, progress)),
        level_use=_level_use(measured[0], codebooks),
        excerpts=_excerpts(plan, codebooks, shipped),
    )


def _each(codebooks: Named) -> Iterator[tuple[SignalPath, str, Codebook]]:
    return ((path, name, codebook) for path, named in codebooks.items() for name, codebook in named.items())


def _fit_codebooks(amplitudes: Mapping[SignalPath, Amplitudes], n_levels: int) -> dict[SignalPath, dict[str, Codebook]]:
    """Fit a codebook by every method on every path; a path without samples has none."""
    return {
        path: {str(method): fit_codebook(found.counts, n_levels, method=method) for method in METHODS}
        for path, found in amplitudes.items()
        if found.n_samples
    }


def _measure_database(database: Database, codebooks: Named, run: Mapper, progress: Progress) -> _Measured:
    """Read every recording once; sums are made in the order of the recordings."""
    stage = f"{database.name}: {'levels' if any(codebooks.values()) else 'amplitudes'}"
    tried = {path: tuple(named.values()) for path, named in codebooks.items()}
    amplitudes = {path: Amplitudes() for path in codebooks}
    ratios = {(path, name): LeadRatios() for path, name, _ in _each(codebooks)}
    n_leads = n_left_out = n_unknown_unit = 0
    found = run(partial(measure_record, codebooks=tried), database.paths)
    for index, record in enumerate(found):
        progress(stage, index / len(database.paths))
        n_leads += record.n_leads
        n_left_out += record.n_left_out
        n_unknown_unit += record.n_unknown_unit
        for path, more, table in zip(codebooks, record.amplitudes, record.ratios_db, strict=True):
            amplitudes[path].join(more)
            for name, column in zip(codebooks[path], table.T, strict=True):
                ratios[path, name].add(column.tolist())
    n_samples = amplitudes[PUBLISHED_PATH].n_samples
    row = DatabaseRow(
        database.name, len(database.paths), n_leads, n_samples, n_left_out, n_unknown_unit, database.n_shared
    )
    return _Measured(row, amplitudes, ratios)


def _distortion_rows(measured: _Measured, codebooks: Named) -> Iterator[DistortionRow]:
    for path, name, codebook in _each(codebooks):
        amplitudes, ratios = measured.amplitudes[path], measured.ratios[path, name]
        if amplitudes.n_samples == 0:
            continue
        uses = cell_counts(codebook, amplitudes.counts)
        yield DistortionRow(
            database=measured.row.database,
            path=path.name,
            quantiser=name,
            n_samples=amplitudes.n_samples,
            n_leads=ratios.n_leads,
            pooled_snr_db=amplitudes.snr_db(codebook),
            lead_snr_db_median=ratios.percentile(50),
            lead_snr_db_p5=ratios.percentile(5),
            clipped_share=amplitudes.clipped_share,
            clipping_error_share=1 - amplitudes.level_error(codebook) / max(amplitudes.squared_error(codebook), 1e-300),
            entropy_bits=entropy_bits(uses),
            n_unused=int((uses == 0).sum()),
            rarest_share=float(uses.min() / uses.sum()),
        )


def _drift_rows(measured: _Measured, first: _Measured, codebooks: Named, n_levels: int) -> Iterator[DriftRow]:
    """Compare a database with the first one; the first one with itself where a codebook was not fitted on it."""
    for path, name, codebook in _each(codebooks):
        amplitudes = measured.amplitudes[path]
        fitted_here = measured is first and name != SHIPPED
        if name not in {OPTIMUM, SHIPPED} or fitted_here or amplitudes.n_samples == 0:
            continue
        refitted = fit_codebook(amplitudes.counts, n_levels, method=OPTIMUM)
        fitted_db, refitted_db = amplitudes.level_snr_db(codebook), amplitudes.level_snr_db(refitted)
        uses, uses_at_first = (cell_counts(codebook, one.amplitudes[path].counts) for one in (measured, first))
        divergence = divergence_bits(uses_at_first, uses)
        yield DriftRow(
            measured.row.database, path.name, name, fitted_db, refitted_db, refitted_db - fitted_db, divergence
        )


def _level_use(measured: _Measured, codebooks: Named) -> dict[tuple[str, str], npt.NDArray[np.int64]]:
    """Count the samples in each level, by path and quantiser."""
    return {
        (path.name, name): cell_counts(codebook, measured.amplitudes[path].counts)
        for path, name, codebook in _each(codebooks)
    }


def _codecs(plan: CodecPlan, codebooks: Named, quantiser: str) -> dict[str, Preprocessing]:
    """Return the published path and that of the settings as codecs, by the path's name."""
    return {
        path.name: Preprocessing(path.band, path.rule, codebooks[path][quantiser], plan.window_samples)
        for path in (PUBLISHED_PATH, plan.path)
        if path in codebooks
    }


def _train_coders(plan: CodecPlan, codebooks: Named, n_samples: int, run: Mapper, progress: Progress) -> list[Coder]:
    first = plan.databases[0]
    training = TrainingPlan(plan.vocabularies, max(1, -(-n_samples // plan.training_samples)))
    coders: list[Coder] = []
    if plan.vocabularies:
        for coder in _codecs(plan, codebooks, OPTIMUM).items():
            progress(f"{first.name}: learning tokens", len(coders) / 2)
            coders.append(train_coder(first.paths, coder, training, run))
    return coders


def _token_rows(plan: CodecPlan, coders: Sequence[Coder], run: Mapper, progress: Progress) -> Iterator[TokenRow]:
    for index, database in enumerate(plan.databases):
        progress(f"{database.name}: tokens", index / len(plan.databases))
        yield from measure_tokens(database.name, database.paths, coders, run)


def _excerpts(plan: CodecPlan, codebooks: Named, shipped: Coder) -> tuple[Excerpt, ...]:
    published = _codecs(plan, codebooks, PUBLISHED)[PUBLISHED_PATH.name]
    codecs = {SHIPPED: shipped.codec, f"{PUBLISHED_PATH.name}, {PUBLISHED}": published}
    return take_excerpts([(one.name, one.paths) for one in plan.databases], codecs, N_EXCERPTS)
