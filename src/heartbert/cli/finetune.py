"""The command line: `heartbert finetune`, a task of one's own from a table of labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from heartbert.cli.analyze import BundlePath, FsHz
from heartbert.cli.printing import print_table, stage_progress

if TYPE_CHECKING:
    from heartbert.evaluation.bootstrap import Estimate


def finetune(
    labels: Annotated[
        Path,
        typer.Option("--labels", help="CSV, TSV or parquet with columns record, subject, label; see docs/finetune.md."),
    ],
    unit: Annotated[
        Literal["record", "window", "beat", "epoch"], typer.Option("--unit", help="What each row of the table labels.")
    ],
    task: Annotated[str, typer.Option("--task", help="Name of the task, for 'heartbert predict'.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bundle to write.")],
    kind: Annotated[
        Literal["single", "multi", "number"],
        typer.Option("--kind", help="One of several classes, labels with ';' between them, or a number."),
    ] = "single",
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder that paths of records start from; by default the table's.")
    ] = None,
    no_subjects: Annotated[
        bool, typer.Option("--no-subjects", help="The table has no subjects: take each record for another person.")
    ] = False,
    bundle: BundlePath = None,
    leads: Annotated[
        Literal["one", "all"] | None, typer.Option("--leads", help="One lead, or all; by default all of a record.")
    ] = None,
    lead: Annotated[str | None, typer.Option("--lead", help="The one lead, by name.")] = None,
    layer: Annotated[int | None, typer.Option("--layer", min=0, help="Encoder layer that is read.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw of persons and of the training.")] = 0,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder that keeps embeddings; by default OUTPUT-embeddings.")
    ] = None,
    fs: FsHz = None,
    amplitude_unit: Annotated[
        str | None, typer.Option("--amplitude-unit", help="V, mV or uV where the files have none or a wrong one.")
    ] = None,
    training_epochs: Annotated[
        int, typer.Option("--training-epochs", min=1, help="Passes over the training units at most.")
    ] = 100,
    unfreeze: Annotated[int, typer.Option("--unfreeze", min=0, help="Layers below the head that learn with it.")] = 0,
    lora: Annotated[int, typer.Option("--lora", min=0, help="Rank of additions to the encoder that learn.")] = 0,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda, where the encoder learns.")] = "cpu",
) -> None:
    """Train a head, and the encoder only if asked to, on your own recordings. Persons are held out to score it."""
    from heartbert.files import shipped_bundle
    from heartbert.training.finetune import TaskSettings, bundle_with_task
    from heartbert.training.finetune_units import Reading
    from heartbert.training.heartbeat_encoder import EncoderTuning
    from heartbert.training.label_tables import read_label_table
    from heartbert.training.lead_attention import LeadAttentionConfig

    settings = TaskSettings(
        name=task,
        leads=leads,
        lead=lead,
        layer=layer,
        seed=seed,
        reading=Reading(fs, amplitude_unit),
        network=LeadAttentionConfig(n_training_epochs=training_epochs),
        tuning=EncoderTuning(n_layers=unfreeze, lora_rank=lora, device=device) if unfreeze or lora else None,
    )
    kept = cache if cache is not None else output.with_name(f"{output.name}-embeddings")
    table = read_label_table(labels, unit=unit, kind=kind, data=data, subjects=not no_subjects)
    with stage_progress() as progress, shipped_bundle() as shipped:
        trained = bundle_with_task(bundle or shipped, table, output, settings, cache=kept, progress=progress)
    told = trained.told
    sides = [(side, str(told["n_units"][side]), str(told["n_persons"][side])) for side in trained.sides]
    print_table(sides, header=("side", "units", "persons"))
    rows = [(name, _cell(one), _cell(trained.baseline.get(name))) for name, one in trained.scores.items()]
    print_table(rows, header=(f"score on {trained.scored_on}", "this head [95 % interval]", "without the signal"))
    for note in _notes(told):
        typer.echo(note)
    print_table([("written", str(output)), ("embeddings", str(kept))])


def _cell(score: "Estimate | None") -> str:
    return "" if score is None else f"{score.mean:.3f} [{score.low:.3f}, {score.high:.3f}]"


def _notes(told: dict[str, object]) -> list[str]:
    """Say what the scores do not show by themselves."""
    notes = [f"note: {leak}" for leak in told["leaks"]]  # type: ignore[attr-defined]
    if told["subjects"] == "recordings":
        notes.append(
            "note: each record was taken for another person; if some show the same one, the scores are too high."
        )
    if told["scored_on"] == "validation":
        notes.append("note: no row is on the side 'test'; training was stopped by the scored persons, so they flatter.")
    if told["tuning"]:
        notes.append("note: the encoder has changed; heads that the bundle had before were left out.")
    if told["n_units_unscorable"]:
        notes.append(f"note: {told['n_units_unscorable']} units have no signal that can be scored; they were left out.")
    return notes
