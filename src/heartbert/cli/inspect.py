"""The command line: `heartbert inspect`, what a recording holds and which lead would be taken."""

import typer

from heartbert.cli.analyze import FsHz, RecordPath, UnitName
from heartbert.cli.printing import print_table
from heartbert.errors import LeadNotFoundError


def inspect(record: RecordPath, fs: FsHz = None, unit: UnitName = None) -> None:
    """List the channels of a recording and the lead that would be analysed."""
    from heartbert.records import read_record

    content = read_record(record, fs=fs, unit=unit)
    start = content.start.isoformat(sep=" ") if content.start else "not stored in the file"
    print_table([("record", content.name), ("subject", content.subject_id), ("start", start)])
    typer.echo()
    rows = [
        (channel.name, channel.kind, f"{channel.fs:g} Hz", channel.unit, f"{channel.duration_s:.1f} s")
        for channel in content.channels
    ]
    print_table(rows, header=("channel", "kind", "fs", "unit", "duration"))
    typer.echo()
    try:
        chosen = content.lead().name
    except LeadNotFoundError as error:
        chosen = f"none: {error}"
    print_table([("lead taken by default", chosen)])
