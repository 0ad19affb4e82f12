"""The command line: `heartbert pretrain` and `train-heartbeats`."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heartbert.cli.corpus import Excluded, Output, Settings, read_names
from heartbert.cli.printing import print_table, stage_progress
from heartbert.progress import Progress

if TYPE_CHECKING:
    from heartbert.training.probe import ProbeData
    from heartbert.training.processes import Processes


def pretrain(
    corpus: Annotated[Path, typer.Argument(help="Corpus folder.")],
    output: Output,
    run: Annotated[Path, typer.Option("--run", help="Folder of checkpoints and log; an existing run is continued.")],
    config: Settings = "small",
    max_minutes: Annotated[float | None, typer.Option("--max-minutes", help="Stop after this time.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    name: Annotated[str, typer.Option("--name", help="Name of the bundle.")] = "small",
    probe: Annotated[
        Path | None,
        typer.Option(
            "--probe",
            help="Folder of MIT-BIH Arrhythmia; its DS1 beats choose the checkpoint. Kept in the corpus folder.",
        ),
    ] = None,
    rows_at_once: Annotated[
        int | None, typer.Option("--rows-at-once", min=1, help="Rows computed together; fewer take less memory.")
    ] = None,
) -> None:
    """Train an encoder by masked-language modelling and write it as a bundle; run again to continue.

    Many processes share the work: torchrun --nproc-per-node 8 -m -- heartbert.cli.main pretrain ... --device cuda
    (without the two dashes, torchrun takes --run for an option of its own).
    """
    from heartbert import __version__
    from heartbert.training.bundling import bundle_pretrained
    from heartbert.training.config import read_config
    from heartbert.training.pretraining import LOG_FILE, PLOT_FILE, Pretraining
    from heartbert.training.processes import joined_processes

    settings = read_config(config)
    with joined_processes(device) as processes, stage_progress() as progress:
        data = probe_data(corpus, probe, processes, progress=progress)
        pretraining = Pretraining(corpus, run, settings, processes=processes, probe=data, rows_at_once=rows_at_once)
        pretraining.run(max_minutes=max_minutes, progress=progress)
        if not processes.writes:
            return
    if find_spec("matplotlib") is None:
        typer.echo(f"{PLOT_FILE} is not drawn: matplotlib is not installed; {LOG_FILE} holds its numbers", err=True)
    if not pretraining.finished:
        typer.echo(f"stopped at step {pretraining.step}; run the same command again to continue")
        return
    bundle_pretrained(pretraining, corpus, output, name=name, version=__version__)
    print_table([("written", str(output))])


def probe_data(corpus: Path, folder: Path | None, processes: "Processes", *, progress: Progress) -> "ProbeData | None":
    """Read the probe data in the corpus folder; make it from a folder of recordings where it is not there."""
    from heartbert.training.probe import PROBE_FILE, load_probe

    path = corpus / PROBE_FILE
    if folder is not None and not path.exists() and processes.writes:
        from heartbert.training.probe_building import build_probe

        build_probe(folder, corpus, progress=progress).save(path)
    processes.sum(0.0)  # the others wait until it is there
    return load_probe(path, corpus) if path.exists() else None


def train_heartbeats(
    bundle: Annotated[Path, typer.Argument(help="Bundle with the encoder.")],
    data: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of recordings with .atr annotations.")
    ],
    output: Output,
    held_out: Annotated[Path, typer.Option("--held-out", help="Text file with names of records for validation.")],
    config: Settings = "small",
    exclude: Excluded = None,
    beats: Annotated[str, typer.Option("--beats", help="Who places the beats: detected or reference.")] = "detected",
    head: Annotated[str, typer.Option("--head", help="beats: sequence of beats; window: 3 s, as published.")] = "beats",
    frozen_layers: Annotated[
        int | None, typer.Option("--frozen-layers", help="Layers that do not learn with --head window; by default 3.")
    ] = None,
    unfreeze: Annotated[int, typer.Option("--unfreeze", min=0, help="Layers below the head that learn with it.")] = 0,
    lora: Annotated[int, typer.Option("--lora", min=0, help="Rank of additions to the encoder that learn.")] = 0,
    training_epochs: Annotated[
        int | None, typer.Option("--training-epochs", min=1, help="Passes over the beats where the encoder learns.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda, where the encoder learns.")] = "cpu",
) -> None:
    """Train a heartbeat head of a bundle on annotated recordings, and the encoder only if asked to."""
    from heartbert.training.bundling import bundle_with_heartbeats, choose_head
    from heartbert.training.config import read_config
    from heartbert.training.corpus_building import find_records

    excluded, validation = read_names(exclude), read_names([held_out])
    paths = [path for folder in data for path in find_records(folder) if path.stem not in excluded]
    sides = (
        [path for path in paths if path.stem not in validation],
        [path for path in paths if path.stem in validation],
    )
    numbers = {"frozen_layers": frozen_layers, "n_layers": unfreeze, "lora_rank": lora}
    choice = choose_head(head, beats, {**numbers, "n_training_epochs": training_epochs, "device": device})
    with stage_progress() as progress:
        settings = read_config(config).heartbeats
        scores = bundle_with_heartbeats(bundle, sides, output, settings, choice=choice, progress=progress)
    print_table([(name, f"{value:.3f}") for name, value in scores.items()])
    print_table([("written", str(output))])
