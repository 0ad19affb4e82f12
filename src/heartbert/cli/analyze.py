"""The command line: `heartbert analyze`, from a recording to the folder of results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heartbert.cli.printing import print_table, stage_progress

if TYPE_CHECKING:
    from heartbert.records.record import Record

RecordPath = Annotated[
    Path, typer.Argument(metavar="RECORD", help="Recording: WFDB header, EDF, CSV or another readable file.")
]
OutputFolder = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; created if needed.")]
LeadName = Annotated[str | None, typer.Option("--lead", help="ECG lead by name; 'heartbert inspect' lists them.")]
FsHz = Annotated[float | None, typer.Option("--fs", help="Sampling frequency in Hz where the file has none.")]
UnitName = Annotated[str | None, typer.Option("--unit", help="Amplitude unit where the file has none or a wrong one.")]
BundlePath = Annotated[Path | None, typer.Option("--bundle", help="Bundle folder; by default the one in use.")]


def analyze(
    record: RecordPath,
    output: OutputFolder,
    lead: LeadName = None,
    fs: FsHz = None,
    unit: UnitName = None,
    bundle: BundlePath = None,
) -> None:
    """Find and classify the heartbeats of a recording and write report, annotations and embeddings."""
    from heartbert.records import read_record

    analyze_record(read_record(record, fs=fs, unit=unit), output, lead=lead, bundle=bundle)


def analyze_record(record: "Record", output: Path, *, lead: str | None, bundle: Path | None) -> None:
    """Analyse one record, write its results and print the summary and the files."""
    from heartbert.pipeline import HeartBert
    from heartbert.results import DISCLAIMER, readable_rows, summarise, write_results

    with stage_progress() as progress:
        progress("loading", 0.0)
        heartbert = HeartBert.load(bundle)
        progress("loading", 1.0)
        analysis = heartbert.analyze(record, lead=lead, progress=progress)
        progress("writing results", 0.0)
        paths = write_results(analysis, output)
    print_table(readable_rows(summarise(analysis)))
    print_table([("written", str(path)) for path in paths])
    typer.echo(DISCLAIMER)
