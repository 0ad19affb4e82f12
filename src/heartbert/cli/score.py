"""The command line: `heartbert score`, test annotations compared beat by beat with reference annotations."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from heartbert.cli.printing import print_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from heartbert.evaluation.ec57_files import Scores
    from heartbert.evaluation.ec57_statistics import Ratio

Reference = Annotated[
    Path, typer.Argument(metavar="REF", help="Record with reference annotations, or a folder of such records.")
]
Test = Annotated[
    Path,
    typer.Argument(
        metavar="TEST",
        help="Test annotations: a file, an output folder of 'heartbert analyze', or a folder with NAME.ANNOTATOR or "
        "such an output folder NAME for each record.",
    ),
]
ReferenceAnnotator = Annotated[
    str, typer.Option("--reference-annotator", "-r", help="Suffix of the reference annotation files.")
]
TestAnnotator = Annotated[str, typer.Option("--test-annotator", "-t", help="Suffix of the test annotation files.")]
Labels = Annotated[
    Literal["aami", "bxb"],
    typer.Option("--labels", help="Atrial and nodal escape beats (e, j) are N in aami and S in bxb."),
]


def score(
    reference: Reference,
    test: Test,
    reference_annotator: ReferenceAnnotator = "atr",
    test_annotator: TestAnnotator = "atr",
    start: Annotated[float, typer.Option("--start", help="Learning period in seconds, not scored.")] = 300.0,
    stop: Annotated[float | None, typer.Option("--stop", help="Last second scored; by default the record's.")] = None,
    window_ms: Annotated[float, typer.Option("--window-ms", help="Match window in ms.")] = 150.0,
    labels: Labels = "aami",
    matrices: Annotated[bool, typer.Option("--matrices", help="Print the table of pairs of each record.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="JSON file to write, with all counts.")] = None,
) -> None:
    """Compare annotations beat by beat after ANSI/AAMI EC57, as bxb of the WFDB software package does."""
    from heartbert.evaluation.ec57 import Rules
    from heartbert.evaluation.ec57_files import score_files
    from heartbert.files import replacing_file
    from heartbert.results import DISCLAIMER

    rules = Rules(start_s=start, stop_s=stop, window_s=window_ms / 1000, labelling=labels)
    scores = score_files(reference, test, annotators=(reference_annotator, test_annotator), rules=rules)
    if not rules.is_standard:
        typer.echo("heartbert: learning period, stop or window differ from what EC57 prescribes", err=True)
    if scores.not_scored:
        names = ", ".join(scores.not_scored)
        typer.echo(f"heartbert: not scored, no test annotations: {names}", err=True)
    _print_scores(scores, each=matrices)
    if json_file is not None:
        with replacing_file(json_file) as temporary:
            temporary.write_text(json.dumps(scores.as_json(), indent=1) + "\n", encoding="utf-8")
        print_table([("written", str(json_file))])
    typer.echo(DISCLAIMER)


def _print_scores(scores: "Scores", *, each: bool) -> None:
    """Print the tables of pairs, the statistics by record, gross and average, and what shutdown cost."""
    from heartbert.evaluation.ec57_statistics import shutdown_statistics

    if each and len(scores.records) > 1:
        for record in scores.records:
            _print_pairs(f"record {record.name}", record.comparison.counts)
    names = list(scores.gross)
    rows = [
        (record.name, *_cells(record.statistics), _number(record.comparison.rr_error_ms)) for record in scores.records
    ]
    averages = (_percent(name, value) for name, value in scores.average.items())
    rows += [("gross", *_cells(scores.gross), "-"), ("average", *averages, _number(scores.rr_error_ms))]
    print_table(rows, header=("record", *(f"{name} %" for name in names), "RR error ms"))
    typer.echo()
    _print_pairs("all records" if len(scores.records) > 1 else f"record {scores.records[0].name}", scores.counts)
    shutdown = shutdown_statistics(scores.counts)
    rows_of_shutdown = [
        (name, f"{_percent(name, ratio.value)} %", f"{ratio.part}/{ratio.whole}") for name, ratio in shutdown.items()
    ]
    print_table([*rows_of_shutdown, ("total shutdown time", f"{scores.shutdown_s:.0f} s", "")])
    typer.echo()


def _print_pairs(title: str, counts: "npt.NDArray[np.int64]") -> None:
    """Print a table of pairs as bxb does: reference in rows, test in columns."""
    from heartbert.evaluation.ec57 import LABELS, N_CLASSES

    rows = [[label, *(str(count) for count in row)] for label, row in zip(LABELS, counts.tolist(), strict=True)]
    for row in rows[N_CLASSES:]:
        row[1 + N_CLASSES :] = [""] * (len(LABELS) - N_CLASSES)  # pairs of two absent beats do not exist
    print_table(rows, header=(title, *LABELS.lower()))
    typer.echo()


def _cells(statistics: "dict[str, Ratio]") -> list[str]:
    return [_percent(name, ratio.value) for name, ratio in statistics.items()]


def _percent(name: str, value: float | None) -> str:
    """Return a share in percent, with the digits that bxb gives it; a dash where it is undefined."""
    return "-" if value is None else f"{100 * value:.{3 if name.endswith('FPR') else 2}f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
