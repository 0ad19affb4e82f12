"""Encoders against each other and against baselines: the same split, the same head, one table."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError
from heartbert.files import replacing_file
from heartbert.progress import Progress, no_progress
from heartbert.protocols.beat_records import BeatRecord, digest_read, encoders_of
from heartbert.protocols.beat_rows import BOOSTING, OURS, ROWS
from heartbert.protocols.beat_table import head_settings
from heartbert.protocols.comparison import (
    ComparisonTask,
    Draw,
    as_json,
    estimate,
    estimate_difference,
    keep_outcomes,
)
from heartbert.protocols.comparison_heartbeats import (
    RANDOM,
    BeatRow,
    HeartbeatComparison,
    HeartbeatSource,
    assemble,
)
from heartbert.protocols.comparison_sleep import (
    BEATS,
    TRAINERS,
    SleepComparison,
    SleepRow,
    SleepSource,
    assemble_sleep,
    random_encoder,
    read_layer,
    sleep_encoder_name,
)
from heartbert.protocols.comparison_sleep import OURS as SLEEP_OURS
from heartbert.protocols.comparison_sleep import RANDOM as SLEEP_RANDOM
from heartbert.protocols.rival_encoders import SignalEncoder, SignalEpochEncoder, pool_beats
from heartbert.protocols.sleep_data import epoch_encoder
from heartbert.protocols.sleep_rows import BOOSTING as SLEEP_BOOSTING
from heartbert.records import read_record
from heartbert.training.config import HeartbeatsConfig
from heartbert.training.sleep_config import SleepConfig

HEARTBEAT_BASELINES = (
    "majority class",
    BOOSTING,
    "RR, same head",
    "RR + waveform, same head",
    "CNN on the raw signal",
    RANDOM,
)


@dataclass(frozen=True)
class Rivals:
    """The encoders that are compared.

    Attributes
    ----------
    bundles : mapping of str to Bundle
        By the name in the table; the first is ours.
    encoders : mapping of str to SignalEncoder
        Others, by the name in the table. What they were trained on is not known here; the result says so.
    """

    bundles: Mapping[str, Bundle]
    encoders: Mapping[str, SignalEncoder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        twice = set(self.bundles) & set(self.encoders)
        if not self.bundles or twice:
            raise ConfigError(
                f"{len(self.bundles)} bundles and {len(self.encoders)} other encoders, names used twice: "
                f"{', '.join(sorted(twice)) or 'none'}; at least one bundle and names of their own are needed."
            )

    @property
    def ours(self) -> str:
        """Name of the first bundle."""
        return next(iter(self.bundles))


def heartbeat_rivals(
    rivals: Rivals,
    source: HeartbeatSource,
    *,
    heads: HeartbeatsConfig | None = None,
    baselines: Sequence[str] = HEARTBEAT_BASELINES,
    progress: Progress = no_progress,
) -> HeartbeatComparison:
    """Prepare the rows of all encoders and baselines on MIT-BIH Arrhythmia; every encoder has the same head.

    Raises
    ------
    LeakageError
        If the split leaks, a bundle's encoder included.
    RecordFormatError
        If recordings are missing.
    """
    first = rivals.bundles[rivals.ours]
    config = heads or head_settings(first)
    leaks = sorted({leak for bundle in rivals.bundles.values() for leak in source.guard(bundle)})
    encoders = encoders_of(first, config.layer, cache=source.cache)
    records = source.read(encoders, progress=progress)
    rows = {
        name: BeatRow(ROWS[name], config, records, digest_read(ROWS[name].reads, first, config)) for name in baselines
    }
    rows[rivals.ours] = BeatRow(ROWS[OURS], config, records, digest_read("encoder", first, config))
    for name, bundle in list(rivals.bundles.items())[1:]:
        own = replace(config, layer=head_settings(bundle).layer)
        other = replace(encoders_of(bundle, own.layer, cache=source.cache), bundles={"encoder": bundle})
        rows[name] = BeatRow(
            ROWS[OURS], own, source.read(other, progress=progress), digest_read("encoder", bundle, own)
        )
    for name, encoder in rivals.encoders.items():
        progress(f"embedding with {name}", 0.0)
        seen = {key: _seen_by(encoder, name, one, source) for key, one in records.items()}
        rows[name] = BeatRow(ROWS[OURS], config, seen, f"{name}, {config.reads}")
    return assemble(source, rows, leaks, list(rivals.bundles.values()), ours=rivals.ours)


def _seen_by(encoder: SignalEncoder, name: str, record: BeatRecord, source: HeartbeatSource) -> BeatRecord:
    """Return a recording with the beats' vectors of another encoder in the place of ours."""
    digest = hashlib.sha256(name.encode() + record.beats.r_peaks.tobytes()).hexdigest()[:16]
    path = source.cache / f"rival-{record.beats.record}-{digest}.npy" if source.cache else None
    if path is not None and path.is_file():
        vectors = np.load(path, allow_pickle=False)
    else:
        lead = read_record(source.path_of(record.examples)).lead()
        vectors = pool_beats(encoder.embed(np.nan_to_num(lead.read()), lead.fs), record.beats.r_peaks)
        if path is not None:
            with replacing_file(path) as temporary:
                np.save(temporary, vectors, allow_pickle=False)
    return replace(record, inputs={**record.inputs, "encoder": vectors})


def sleep_rivals(
    rivals: Rivals,
    source: SleepSource,
    *,
    config: SleepConfig | None = None,
    progress: Progress = no_progress,
) -> SleepComparison:
    """Prepare the rows of all encoders and baselines on the MIT-BIH Polysomnographic Database.

    Raises
    ------
    LeakageError
        If a fold leaks.
    """
    first = rivals.bundles[rivals.ours]
    settings = read_layer(first, config or SleepConfig(n_networks=1))
    own = epoch_encoder(first, settings.layer)
    encoders = {
        name: (epoch_encoder(one, read_layer(one, settings).layer), one) for name, one in rivals.bundles.items()
    }
    read = {
        name: (source.read(encoder, key := sleep_encoder_name(one, encoder.layer), progress=progress), key)
        for name, (encoder, one) in encoders.items()
    }
    key = f"random-{read[rivals.ours][1]}"
    read[SLEEP_RANDOM] = (source.read(replace(own, encoder=random_encoder(first)), key, progress=progress), key)
    for name, encoder in rivals.encoders.items():
        adapted = SignalEpochEncoder(own.preprocessing, own.tokenizer, own.encoder, own.max_tokens, own.layer, encoder)
        key = f"rival-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        read[name] = (source.read(adapted, key, progress=progress), key)
    nights = read[rivals.ours][0]
    rows = {name: SleepRow(TRAINERS[name], settings, nights, "none") for name in (SLEEP_BOOSTING, BEATS)}
    rows |= {name: SleepRow(TRAINERS[SLEEP_OURS], settings, seen, key) for name, (seen, key) in read.items()}
    return assemble_sleep(source, rows, list(rivals.bundles.values()), ours=rivals.ours)


def compare_rivals(
    task: ComparisonTask, work: Path, *, n_seeds: int = 5, unknown: Sequence[str] = (), progress: Progress = no_progress
) -> dict[str, Any]:
    """Train and score every row of a task, and compare ours with each.

    Parameters
    ----------
    task : ComparisonTask
    work : Path
        Folder of runs; an interrupted comparison continues there.
    n_seeds : int
    unknown : sequence of str
        Rows whose encoder may have been trained on anything.
    progress : callable
        Told the row and the fraction done.

    Returns
    -------
    result : dict
        What the task tells of itself, and ``rows``, the best first: ``name``, ``score`` with its interval, and
        ``ours_less_this``, the difference with its interval.

    Raises
    ------
    ConfigError
        If there is no seed, or the folder holds runs of other data or another split.
    """
    if n_seeds < 1:
        raise ConfigError(f"{n_seeds} seeds; at least 1 is needed. Raise it.")
    store = keep_outcomes(task, work)
    runs = {}
    for number, row in enumerate(task.rows):
        progress(row, number / len(task.rows))
        runs[row] = [store.outcome(task, row, Draw(seed=seed)) for seed in range(1, n_seeds + 1)]
    rows: list[dict[str, Any]] = [
        {
            "name": row,
            "score": as_json(estimate(task, made)),
            "ours_less_this": as_json(estimate_difference(task, runs[task.ours], made)),
            "training_data_unknown": row in unknown,
        }
        for row, made in runs.items()
    ]
    ranked = sorted(rows, key=lambda row: -row["score"]["mean"])
    return {
        **task.facts,
        "ours": task.ours,
        "score": task.score_name,
        "n_seeds": n_seeds,
        "intervals": f"95 %, bootstrap over each {task.unit} scored and over seeds, both drawn with replacement",
        "rows": ranked,
        "sentence": _sentence(task, ranked),
    }


def _sentence(task: ComparisonTask, ranked: Sequence[Mapping[str, Any]]) -> str:
    """Say how ours stands to the best of the others, from the numbers alone."""
    others = [row for row in ranked if row["name"] != task.ours]
    if not others:
        return f"'{task.ours}' stands alone; nothing follows."
    best = others[0]
    difference = best["ours_less_this"]
    verdict = "is not shown to differ from"
    if difference["low"] > 0:
        verdict = "is better than"
    elif difference["high"] < 0:
        verdict = "is worse than"
    interval = f"{difference['mean']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"
    return f"'{task.ours}' {verdict} the best of the others, '{best['name']}': {task.score_name} {interval}."
