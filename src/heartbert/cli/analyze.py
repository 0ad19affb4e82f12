"""The command line: `heartbert analyze`, from a recording to the folder of results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from heartbert.cli.printing import print_table, stage_progress

if TYPE_CHECKING:
    from heartbert.records.record import Record

RecordPath = Annotated[
    Path, typer.Argument(metavar="RECORD", help="Recording: WFDB header, EDF, CSV or another readable file.")
]
OutputFolder = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; created if needed.")]
LeadName = Annotated[
    str | None,
    typer.Option("--lead", help="ECG lead by name, or 'all' to classify in every one; 'heartbert inspect' lists them."),
]
FsHz = Annotated[float | None, typer.Option("--fs", help="Sampling frequency in Hz where the file has none.")]
UnitName = Annotated[str | None, typer.Option("--unit", help="Amplitude unit where the file has none or a wrong one.")]
MinConfidence = Annotated[
    float, typer.Option("--min-confidence", min=0.0, max=1.0, help="Beats of lower probability become Q.")
]
BeatsFrom = Annotated[
    str | None,
    typer.Option("--beats-from", help="Suffix of an annotation file, for example atr, whose beats are classified."),
]
WantsSleep = Annotated[
    Literal["auto", "yes", "no"],
    typer.Option(
        "--sleep",
        help="Whether to stage sleep; auto: if the bundle has a sleep head and the recording lasts an hour or more.",
    ),
]
SleepConfidence = Annotated[
    float,
    typer.Option("--sleep-min-confidence", min=0.0, max=1.0, help="Epochs of lower probability are left open."),
]
BundlePath = Annotated[Path | None, typer.Option("--bundle", help="Bundle folder; by default the one in use.")]


def analyze(
    record: RecordPath,
    output: OutputFolder,
    lead: LeadName = None,
    fs: FsHz = None,
    unit: UnitName = None,
    bundle: BundlePath = None,
    min_confidence: MinConfidence = 0.0,
    beats_from: BeatsFrom = None,
    sleep: WantsSleep = "auto",
    sleep_min_confidence: SleepConfidence = 0.0,
) -> None:
    """Find and classify the heartbeats of a recording, stage sleep, and write report, annotations and embeddings."""
    from heartbert.records import read_record

    recording = read_record(record, fs=fs, unit=unit)
    analyze_record(
        recording,
        output,
        lead=lead,
        bundle=bundle,
        min_confidence=min_confidence,
        beats_from=beats_from,
        sleep=sleep,
        sleep_min_confidence=sleep_min_confidence,
    )


def analyze_record(
    record: "Record",
    output: Path,
    *,
    lead: str | None,
    bundle: Path | None,
    min_confidence: float = 0.0,
    beats_from: str | None = None,
    sleep: Literal["auto", "yes", "no"] = "auto",
    sleep_min_confidence: float = 0.0,
) -> None:
    """Analyse one record, write its results and print the summary and the files."""
    from heartbert.pipeline import HeartBert
    from heartbert.results import DISCLAIMER, readable_rows, summarise, write_results

    arguments = _leads_and_beats(record, lead, beats_from) | {"min_confidence": min_confidence}
    with stage_progress() as progress:
        progress("loading", 0.0)
        heartbert = HeartBert.load(bundle)
        progress("loading", 1.0)
        stages = heartbert.wants_sleep(record.lead(arguments["lead"]), sleep)
        analysis = heartbert.analyze(record, **arguments, progress=progress)
        if stages and (sleep == "yes" or analysis.beats.samples.size):
            analysis = heartbert.with_sleep(analysis, min_confidence=sleep_min_confidence, progress=progress)
        progress("writing results", 0.0)
        paths = write_results(analysis, output)
    summary = summarise(analysis)
    print_table(readable_rows(summary))
    print_table([("written", str(path)) for path in paths])
    if summary.sleep:
        typer.echo(summary.sleep.trust)
    typer.echo(DISCLAIMER)


def _leads_and_beats(record: "Record", lead: str | None, beats_from: str | None) -> dict[str, Any]:
    """Return the arguments of `HeartBert.analyze` that name leads and beats."""
    from heartbert.predictions.given_beats import annotated_r_peaks

    takes_all = lead is not None and lead.casefold() == "all"
    name = None if takes_all else lead
    r_peaks = annotated_r_peaks(record, record.lead(name), beats_from) if beats_from else None
    return {"lead": name, "leads": "all" if takes_all else "one", "r_peaks": r_peaks}
