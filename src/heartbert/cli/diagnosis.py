"""The command line: `heartbert evaluate diagnosis`, heart disease from twelve leads against every baseline."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from heartbert.cli.printing import print_table, stage_progress

_FOLDS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


def evaluate_diagnosis(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of PTB-XL, whole or in part.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File of the result, JSON.")],
    work: Annotated[
        Path, typer.Option("--work", help="Folder of inputs and predictions; an interrupted run continues there.")
    ],
    protocol: Annotated[
        Literal["ptb-xl"], typer.Option("--protocol", help="ptb-xl: five superclasses, folds as published.")
    ] = "ptb-xl",
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Folder of a bundle; by default the one that ships.")
    ] = None,
    sides: Annotated[
        Literal["validation", "test"],
        typer.Option(
            "--sides",
            help="validation: train on folds 1-7, stop by 8, score 9; test: train on 1-8, stop by 9, score 10.",
        ),
    ] = "validation",
    folds: Annotated[
        str | None, typer.Option("--folds", help="Train on these folds only, for example 1-3 or 1,4.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Heads trained for each row.")] = 5,
    layer: Annotated[
        int | None, typer.Option("--layer", min=0, help="Layer of the encoder; by default about two thirds up.")
    ] = None,
    pooling: Annotated[
        Literal["mean", "mean-std"], typer.Option("--pooling", help="What is kept of the tokens of a lead.")
    ] = "mean-std",
    epochs: Annotated[
        int | None, typer.Option("--training-epochs", min=1, help="Passes over the training recordings at most.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that compute embeddings.")] = 1,
) -> None:
    """Score the diagnosis of heart disease by a bundle's encoder and by every baseline."""
    from heartbert.protocols.diagnosis import DiagnosisProtocol
    from heartbert.protocols.diagnosis import evaluate_diagnosis as evaluate
    from heartbert.protocols.diagnosis_rows import RowSettings
    from heartbert.protocols.run_store import write_json

    rows = RowSettings() if epochs is None else RowSettings().with_epochs(epochs)
    settings = DiagnosisProtocol(
        work, bundle, sides, _folds(folds), n_seeds=seeds, layer=layer, pooling=pooling, rows=rows, n_workers=workers
    )
    with stage_progress() as progress:
        result = evaluate(data, settings, progress=progress)
    write_json(output, result)
    _print_result(result)
    print_table([("written", str(output))])


def _folds(text: str | None) -> tuple[int, ...] | None:
    """Read folds written as 1-3 or 1,4."""
    if text is None:
        return None
    if not _FOLDS.fullmatch(text):
        raise typer.BadParameter(f"'{text}' names no folds; write them as 1-3 or 1,4.", param_hint="--folds")
    parts = [part.split("-") for part in text.split(",")]
    return tuple(sorted({fold for part in parts for fold in range(int(part[0]), int(part[-1]) + 1)}))


def _print_result(result: Mapping[str, Any]) -> None:
    rows = [
        (
            name,
            _cell(row["macro_auroc"]),
            _cell(row["macro_f1"]),
            *(f"{area['mean']:.3f}" for area in row["auroc"].values()),
        )
        for name, row in result["rows"].items()
    ]
    classes = [f"AUROC {name}" for name in result["labels_scored"]]
    print_table(rows, header=("row", "macro-AUROC", "macro-F1", *classes))
    best = result["best_other"]
    difference = result["differences"][best]
    verdict = "better" if difference["low"] > 0 else "not shown to be better"
    typer.echo(f"{verdict} than the best other row, {best}: macro-AUROC {_cell(difference)}")
    data = result["data"]
    typer.echo(f"{data['n_records']} of {data['n_published']} published recordings, amplitudes in {data['amplitude']}")
    for leak in result["leaks"]:
        typer.echo(f"allowed leak: {leak}")


def _cell(estimate: Mapping[str, float]) -> str:
    return f"{estimate['mean']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
