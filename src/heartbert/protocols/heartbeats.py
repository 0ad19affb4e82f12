"""A folder of recordings and the name of a protocol -> the files of its result. The heartbeat protocols start here."""

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from heartbert.bundle import Bundle
from heartbert.errors import RecordFormatError
from heartbert.evaluation.leakage import Examples
from heartbert.evaluation.splits import MITDB_DS1
from heartbert.progress import Progress, no_progress
from heartbert.protocols.beat_reports import write_table
from heartbert.protocols.beat_table import TableSettings
from heartbert.protocols.ds1_ds2 import ScoredSide, ds1_ds2_splits, evaluate_ds1_ds2
from heartbert.protocols.icentia11k import DATABASE, evaluate_icentia11k, find_segments
from heartbert.protocols.windows_table import evaluate_windows

HeartbeatProtocol = Literal["ds1-ds2", "icentia11k", "paper"]


@dataclass(frozen=True)
class HeartbeatTask:
    """What is evaluated, and on what.

    Attributes
    ----------
    protocol : {"ds1-ds2", "icentia11k", "paper"}
        MIT-BIH Arrhythmia, DS1 to DS2; Icentia11k, patients held out; windows of 3 s split at random as published and
        by person, on DS1 of MIT-BIH Arrhythmia or on Icentia11k.
    folder : Path
    side : {"test", "validation"}
        ``ds1-ds2`` only: what is scored.
    n_patients, n_segments : int or None
        Icentia11k only: patients taken, and segments of each; all by default.
    """

    protocol: HeartbeatProtocol
    folder: Path
    side: ScoredSide = "test"
    n_patients: int | None = None
    n_segments: int | None = None


def evaluate_heartbeats(
    bundle: Bundle, task: HeartbeatTask, output: Path, settings: TableSettings, *, progress: Progress = no_progress
) -> dict[str, Any]:
    """Run a protocol and write ``result.json``, ``records.csv`` and ``scores.png``.

    Parameters
    ----------
    bundle : Bundle
        Its encoder is used; heads are trained anew on the training side.
    task : HeartbeatTask
    output : Path
        Folder of the results; an interrupted protocol continues there.
    settings : TableSettings
    progress : callable
        Told the stage and the fraction done.

    Returns
    -------
    result : dict
        As in ``result.json``.

    Raises
    ------
    LeakageError
        If the split leaks, the encoder included.
    RecordFormatError
        If recordings are missing.
    ConfigError
        If there are too few persons, or the folder holds runs made with other settings.
    """
    table = _table(bundle, task, output, settings, progress)
    result = {
        "protocol": task.protocol,
        **({"side": task.side} if task.protocol == "ds1-ds2" else {}),
        "bundle": bundle.name,
        "bundle_sha256": bundle.manifest["sha256"],
        "heartbert": version("heartbert"),
        "heads": asdict(settings.heads),
        **table,
    }
    write_table(result, output)
    return result


def _table(
    bundle: Bundle, task: HeartbeatTask, output: Path, settings: TableSettings, progress: Progress
) -> dict[str, Any]:
    if task.protocol == "ds1-ds2":
        splits = ds1_ds2_splits(task.side)
        return evaluate_ds1_ds2(bundle, task.folder, output, settings, splits=splits, progress=progress)
    if task.protocol == "paper" and (task.folder / f"{MITDB_DS1[0]}.hea").is_file():
        recordings = _ds1(task.folder)
        return evaluate_windows(bundle, recordings, output, settings, progress=progress)
    segments = find_segments(task.folder, n_patients=task.n_patients, n_segments=task.n_segments)
    if task.protocol == "icentia11k":
        return evaluate_icentia11k(bundle, segments, output, settings, progress=progress)
    recordings = [(Examples(DATABASE, path.stem), path) for paths in segments.values() for path in paths]
    return evaluate_windows(bundle, recordings, output, settings, progress=progress)


def _ds1(folder: Path) -> list[tuple[Examples, Path]]:
    """Return the recordings of DS1; DS2 is not opened."""
    missing = [record for record in MITDB_DS1 if not (folder / f"{record}.hea").is_file()]
    if missing:
        raise RecordFormatError(
            f"'{folder}' has no {missing[0]}.hea; all of DS1 is needed. Fetch it with "
            f"'heartbert download mitdb -o {folder}'."
        )
    return [(Examples("mitdb", record), folder / f"{record}.hea") for record in MITDB_DS1]
