"""A split of annotated recordings -> the table of scores: every row, both placements of beats, every seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError
from heartbert.evaluation.bootstrap import bootstrap
from heartbert.evaluation.heartbeats import score_tables, table_of_pairs
from heartbert.evaluation.leakage import Examples
from heartbert.predictions.labels import AamiClass
from heartbert.progress import Progress, no_progress
from heartbert.protocols.beat_records import (
    APART,
    PLACEMENTS,
    BeatRecord,
    Encoders,
    Placement,
    digest_read,
    encoders_of,
    read_beats,
)
from heartbert.protocols.beat_rows import BOOSTING, CLOSE_ROWS, FEW_LABELS, OURS, ROWS, Row, Sides, train_row
from heartbert.protocols.beat_scoring import Run, score_records, scores_by_record, summarise_runs
from heartbert.protocols.beat_splits import Split, guard_split
from heartbert.protocols.run_store import RunStore, open_run_store
from heartbert.training.config import HeartbeatsConfig, read_config

# Rows that also stand beside the score of ours, by their name in the result.
_BESIDE = {"few_labels_10": FEW_LABELS, "boosting_100": BOOSTING}
RUNS_FOLDER = "runs"


@dataclass(frozen=True)
class TableSettings:
    """What is put into the table.

    Attributes
    ----------
    heads : HeartbeatsConfig
        Settings of the head, number of seeds, and training epochs of all networks.
    rows : tuple of str
        Of `ROWS`.
    placements : tuple of Placement
    everywhere : bool
        Whether all rows are trained for every placement and split; otherwise those that are no close rival are for the
        first placement of the main split alone, because training takes hours.
    allow_transductive : bool
        Whether the encoder may have seen the unlabelled signals of test persons; the result then says so.
    cache : Path or None
        Folder for embeddings.
    others : tuple of Bundle
        Further bundles, as of encoders pre-trained on other levels: the head on each of them is a row. It reads the
        layer that the settings of that bundle name.
    """

    heads: HeartbeatsConfig
    rows: tuple[str, ...] = tuple(ROWS)
    placements: tuple[Placement, ...] = PLACEMENTS
    everywhere: bool = False
    allow_transductive: bool = False
    cache: Path | None = None
    others: tuple[Bundle, ...] = ()

    def is_whole(self, split: Split, placement: Placement) -> bool:
        """Say whether a block of the table has all rows, not just the close ones."""
        return self.everywhere or (not split.name and placement == self.placements[0])

    def rows_of(self, split: Split, placement: Placement) -> tuple[str, ...]:
        """Return the rows of `ROWS` in one block of the table."""
        return self.rows if self.is_whole(split, placement) else tuple(one for one in self.rows if one in CLOSE_ROWS)

    def __post_init__(self) -> None:
        names = [row_of_bundle(one) for one in self.others]
        if len(set(names)) < len(names):
            raise ConfigError(f"two bundles of one name were given: {', '.join(names)}. Give each a name of its own.")
        unknown = [name for name in self.rows if name not in ROWS]
        if unknown or OURS not in self.rows or not self.placements or self.heads.n_seeds < 1:
            raise ConfigError(
                f"a table of the rows {', '.join(self.rows)} for beats of {', '.join(self.placements)} from "
                f"{self.heads.n_seeds} seeds cannot be made; it needs '{OURS}', a placement and a seed, and knows the "
                f"rows {', '.join(ROWS)}. Change one of them."
            )


@dataclass(frozen=True)
class _TableRow:
    """A row of one block: how it is trained, on what, and what tells its runs apart."""

    row: Row
    records: Mapping[str, BeatRecord]
    key: tuple[str, ...]


def row_of_bundle(bundle: Bundle) -> str:
    """Name the row of a further bundle's encoder."""
    return f"RR + {bundle.name}, same head"


def head_settings(bundle: Bundle) -> HeartbeatsConfig:
    """Return the settings of the heartbeat head in a bundle's manifest, others as in the preset ``small``."""
    known = asdict(read_config("small").heartbeats)
    told = bundle.manifest.get("config", {}).get("heartbeats", {})
    return HeartbeatsConfig(**{name: told.get(name, value) for name, value in known.items()})


def make_table(
    bundle: Bundle,
    splits: Sequence[Split],
    path_of: Callable[[Examples], Path],
    output: Path,
    settings: TableSettings,
    *,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Train and score every row of the table; continues a table that was interrupted.

    Parameters
    ----------
    bundle : Bundle
        Its encoder is used, not its head.
    splits : sequence of Split
        The main one first.
    path_of : callable
        Gives the header of a recording.
    output : Path
        Folder of the results; runs are kept in ``runs`` below it.
    settings : TableSettings
    progress : callable
        Told the stage and the fraction done.

    Returns
    -------
    table : dict
        Scores of ours as `summarise_runs` gives them, for beats placed by the reference; rows beside it
        (``few_labels_10``, ``boosting_100``); all ``baselines``; ``best_baseline`` and the ``difference`` to it; the
        same under ``detected``, and for each further split under its name; ``records``, the scores of ours by
        recording; ``leaks``, what was allowed.

    Raises
    ------
    LeakageError
        If a split leaks.
    ConfigError
        If the folder holds runs made with other settings.
    """
    leaks = [_guard(split, (bundle, *settings.others), settings) for split in splits]
    store = open_run_store(output / RUNS_FOLDER, {**fingerprint(settings), **_sides_of(splits)})
    examples = {one.name: one for split in splits for one in split.examples}
    read = partial(_read_all, examples=examples, path_of=path_of, progress=progress)
    records = read(encoders_of(bundle, settings.heads.layer, cache=settings.cache))
    others = {row_of_bundle(one): (one, read(_encoder_of(one, settings))) for one in settings.others}
    table: dict[str, Any] = {}
    for number, split in enumerate(splits):
        nested: dict[str, Any] = {}
        for placement in settings.placements:
            rows = {
                name: _TableRow(
                    ROWS[name],
                    _placed(records, placement),
                    (name, digest_read(ROWS[name].reads, bundle, settings.heads)),
                )
                for name in settings.rows_of(split, placement)
            }
            if settings.is_whole(split, placement):
                rows = {
                    name: _TableRow(ROWS[OURS], _placed(found, placement), (name, _digest_of_other(one, settings)))
                    for name, (one, found) in others.items()
                } | rows
            block: dict[str, Any] = {"leaks": leaks[number]}
            block |= score_rows(_run_rows(rows, split, placement, store, settings, progress=progress))
            nested |= block if placement == "reference" else {placement: block}
        table |= {split.name: nested} if split.name else nested
    return table


def fingerprint(settings: TableSettings) -> dict[str, Any]:
    """Return what every run depends on; seeds, rows, what they read and placements are in its own name."""
    return {"heads": {name: value for name, value in asdict(settings.heads).items() if name not in APART}}


def _sides_of(splits: Sequence[Split]) -> dict[str, Any]:
    """Name the recordings of every side of every split."""
    return {
        f"split {split.name}": [[one.name for one in side] for side in (split.training, split.validation, split.test)]
        for split in splits
    }


def _guard(split: Split, bundles: Sequence[Bundle], settings: TableSettings) -> list[str]:
    """Refuse a split that leaks into one of the bundles; returns what was allowed, in words."""
    found = [guard_split(split, one, allow_transductive=settings.allow_transductive) for one in bundles]
    return list(dict.fromkeys(leak.what for leaks in found for leak in leaks))


def _encoder_of(bundle: Bundle, settings: TableSettings) -> Encoders:
    """Return the encoder of a further bundle alone."""
    encoders = encoders_of(bundle, head_settings(bundle).layer, cache=settings.cache)
    return replace(encoders, bundles={"encoder": bundle})


def _digest_of_other(bundle: Bundle, settings: TableSettings) -> str:
    return digest_read("encoder", bundle, replace(settings.heads, layer=head_settings(bundle).layer))


def _placed(records: Mapping[str, Mapping[Placement, BeatRecord]], placement: Placement) -> dict[str, BeatRecord]:
    return {name: found[placement] for name, found in records.items()}


def _read_all(
    encoders: Encoders, *, examples: Mapping[str, Examples], path_of: Callable[[Examples], Path], progress: Progress
) -> dict[str, dict[Placement, BeatRecord]]:
    records = {}
    for number, (name, one) in enumerate(examples.items()):
        progress(f"embedding {one.record}", number / len(examples))
        records[name] = read_beats(encoders, path_of(one), one)
    return records


def _run_rows(
    rows: Mapping[str, _TableRow],
    split: Split,
    placement: Placement,
    store: RunStore,
    settings: TableSettings,
    *,
    progress: Progress,
) -> dict[str, list[Run]]:
    """Train and score every row from every seed; what the store has is taken from it."""
    runs: dict[str, list[Run]] = {}
    for number, (name, row) in enumerate(rows.items()):
        training, validation, test = (
            [row.records[one.name] for one in side] for side in (split.training, split.validation, split.test)
        )
        sides = Sides(*([one for one in side if one.beats.r_peaks.size] for side in (training, validation)))
        n_seeds = settings.heads.n_seeds if row.row.is_random else 1
        for seed in range(settings.heads.seed, settings.heads.seed + n_seeds):
            progress(f"{name}, seed {seed}", number / len(rows))
            make = partial(_run, row.row, sides, test, settings.heads, seed)
            runs.setdefault(name, []).append(store.get((split.name, placement, *row.key, seed), make))
    return runs


def _run(row: Row, sides: Sides, test: Sequence[BeatRecord], config: HeartbeatsConfig, seed: int) -> Run:
    classify = train_row(row, sides, config, seed=seed)
    none = np.empty((0, len(AamiClass)), dtype=np.float32)
    return score_records(test, [classify(one) if one.beats.r_peaks.size else none for one in test])


def score_rows(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Score the runs of all rows, and compare ours with the best of the others; see `make_table`."""
    summaries = {name: summarise_runs(found) for name, found in runs.items()}
    baselines = {name: summary for name, summary in summaries.items() if name not in (OURS, FEW_LABELS)}
    block = {**summaries[OURS], "baselines": baselines, "records": scores_by_record(runs[OURS])}
    block |= {key: summaries[name] for key, name in _BESIDE.items() if name in summaries}
    if baselines:
        best = max(baselines, key=lambda name: float(baselines[name]["macro_f1"]["mean"]))
        block |= {"best_baseline": best, "difference": _difference(runs[OURS], runs[best])}
    return block


def _difference(ours: Sequence[Run], other: Sequence[Run]) -> dict[str, float]:
    """Return macro-F1 of ours less that of another row, with an interval over recordings drawn alike for both."""
    n_seeds = min(len(ours), len(other))
    pairs = np.stack([[run.pairs for run in runs[:n_seeds]] for runs in (ours, other)], axis=2)
    # (n_seeds, n_records, 2, 7, 7)
    found = bootstrap(
        table_of_pairs(pairs),
        lambda totals: {"difference": -np.diff(score_tables(totals)["macro_f1"], axis=-1)[..., 0]},
    )
    return asdict(found["difference"])
