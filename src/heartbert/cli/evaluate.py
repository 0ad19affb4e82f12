"""The command line: `heartbert evaluate heartbeats`, a bundle's encoder against every baseline by a protocol."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from heartbert.cli.printing import print_table, stage_progress


def evaluate_heartbeats(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of the database.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the results; an interrupted run continues there.")
    ],
    protocol: Annotated[
        Literal["ds1-ds2", "icentia11k", "paper"],
        typer.Option(
            "--protocol",
            help="ds1-ds2: MIT-BIH Arrhythmia; icentia11k: patients held out; paper: windows of 3 s split at random as "
            "published, and by person beside it.",
        ),
    ] = "ds1-ds2",
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Folder of a bundle; by default the one that ships.")
    ] = None,
    sides: Annotated[
        Literal["test", "validation"],
        typer.Option("--sides", help="ds1-ds2: score DS2, or the validation records inside DS1 without opening DS2."),
    ] = "test",
    beats: Annotated[
        Literal["both", "reference", "detected"],
        typer.Option("--beats", help="Beats placed by the annotators, by our detector, or both, one after the other."),
    ] = "both",
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Heads trained for each row.")] = None,
    epochs: Annotated[
        int | None, typer.Option("--training-epochs", min=1, help="Passes over the training beats at most.")
    ] = None,
    everywhere: Annotated[
        bool,
        typer.Option("--all-rows", help="Train every row for both placements and every split, not just the first."),
    ] = False,
    allow_transductive: Annotated[
        bool,
        typer.Option("--allow-transductive", help="Accept an encoder that saw test signals; the result says so."),
    ] = False,
    cache: Annotated[Path | None, typer.Option("--cache", help="Folder to keep embeddings in.")] = None,
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare",
            help="Folder of a further bundle, as of other levels: its encoder is a row, with the same head; repeat.",
        ),
    ] = None,
    patients: Annotated[int | None, typer.Option("--patients", min=1, help="Icentia11k: patients drawn.")] = None,
    segments: Annotated[
        int | None, typer.Option("--segments", min=1, help="Icentia11k: segments drawn of each patient.")
    ] = None,
) -> None:
    """Score the heartbeat classes of a bundle's encoder and of every baseline; hours for all rows and seeds."""
    from heartbert.pipeline import HeartBert
    from heartbert.protocols import heartbeats
    from heartbert.protocols.beat_records import PLACEMENTS
    from heartbert.protocols.beat_reports import RESULT_FILE, blocks_of
    from heartbert.protocols.beat_table import TableSettings, head_settings

    loaded = HeartBert.load(bundle).bundle
    heads = head_settings(loaded)
    heads = replace(heads, n_seeds=seeds or heads.n_seeds, n_training_epochs=epochs or heads.n_training_epochs)
    settings = TableSettings(
        heads,
        placements=PLACEMENTS if beats == "both" else (beats,),
        everywhere=everywhere,
        allow_transductive=allow_transductive,
        cache=cache,
        others=tuple(HeartBert.load(folder).bundle for folder in others or ()),
    )
    task = heartbeats.HeartbeatTask(protocol, data, sides, patients, segments)
    with stage_progress() as progress:
        result = heartbeats.evaluate_heartbeats(loaded, task, output, settings, progress=progress)
    for name, block in blocks_of(result).items():
        _print_block(name, block)
    for name, worth in result.get("worth_of_the_leak", {}).items():
        typer.echo(f"the random split adds to the macro-F1 of {name}: {_cell(worth)}")
    print_table([("written", str(output / RESULT_FILE))])


def _print_block(name: str, block: Mapping[str, Any]) -> None:
    """Print the scores of every row, how ours compares with the best of the others, and what leaked."""
    from heartbert.protocols.beat_reports import rows_of

    rows = [
        (row, *(_cell(scores[key]) for key in ("accuracy", "macro_f1")), *_by_class(scores["f1"]))
        for row, scores in rows_of(block).items()
    ]
    print_table(rows, header=(name, "accuracy", "macro-F1", *(f"F1 {one}" for one in block["f1"])))
    verdict = "better" if block["difference"]["low"] > 0 else "not shown to be better"
    typer.echo(f"{verdict} than the best baseline, {block['best_baseline']}: macro-F1 {_cell(block['difference'])}")
    for leak in block.get("leaks", ()):
        typer.echo(f"allowed leak: {leak}")
    if "refused_by_the_guard" in block:
        typer.echo(f"the leakage guard refuses this split: {block['refused_by_the_guard']}")
    typer.echo()


def _by_class(f1: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [f"{score['mean']:.3f}" for score in f1.values()]


def _cell(estimate: Mapping[str, float]) -> str:
    return f"{estimate['mean']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
