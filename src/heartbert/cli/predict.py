"""The command line: `heartbert predict`, a task of one's own applied to recordings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heartbert.cli.analyze import BeatsFrom, BundlePath, FsHz, UnitName
from heartbert.cli.printing import print_table, stage_progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from heartbert.predictions.task_units import UnitInput
    from heartbert.records.record import Record


def predict(
    records: Annotated[list[Path], typer.Argument(metavar="RECORD...", help="Recordings, of any format that is read.")],
    task: Annotated[str, typer.Option("--task", help="Name of the task in the bundle.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Table to write: .csv, .parquet or .json.")],
    bundle: BundlePath = None,
    lead: Annotated[str | None, typer.Option("--lead", help="Lead by name, for a task of one lead.")] = None,
    fs: FsHz = None,
    unit: UnitName = None,
    beats_from: BeatsFrom = None,
    window_s: Annotated[
        float | None, typer.Option("--window-s", help="Seconds of a window; by default as trained.")
    ] = None,
) -> None:
    """Apply a task that 'heartbert finetune' trained: one row for each record, window, epoch or beat."""
    from heartbert.pipeline import HeartBert
    from heartbert.predictions.tasks import predict_task
    from heartbert.records import read_record
    from heartbert.results.task_tables import check_suffix, write_predictions

    check_suffix(output)
    found = []
    with stage_progress() as progress:
        loaded = HeartBert.load(bundle).bundle
        head = loaded.task(task)
        for number, path in enumerate(records):
            progress(path.name, number / len(records))
            record = read_record(path, fs=fs, unit=unit)
            beats = _beats(head.reads, record, lead, beats_from) if beats_from else None
            parts = loaded.preprocessing, loaded.token_reader
            predictions = predict_task(head, parts, record, lead=lead, r_peaks=beats, window_s=window_s)
            found.append((str(path), predictions))
    n_rows = write_predictions(found, output)
    print_table([("task", task), ("unit", head.reads.unit), ("rows", str(n_rows)), ("written", str(output))])


def _beats(read: "UnitInput", record: "Record", lead: str | None, suffix: str) -> "npt.NDArray[np.int64]":
    from heartbert.predictions.given_beats import annotated_r_peaks

    channel: Any = read.channels(record, lead)[0][1]
    return annotated_r_peaks(record, channel, suffix)
