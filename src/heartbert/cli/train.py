"""The command line: `heartbert corpus build`, `pretrain` and `train-heartbeats`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heartbert.cli.printing import print_table, stage_progress
from heartbert.progress import Progress

if TYPE_CHECKING:
    from heartbert.training.probe import ProbeData
    from heartbert.training.processes import Processes

Settings = Annotated[str, typer.Option("--config", help="Preset (small, paper, tiny) or path of a TOML file.")]
Excluded = Annotated[
    list[Path] | None,
    typer.Option("--exclude", help="Text file with records or persons to leave out, one a line."),
]
HeldOut = Annotated[
    list[Path] | None,
    typer.Option("--held-out", help="Text file with records or persons for validation, one a line."),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]


def corpus_build(
    data: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of recordings.")],
    output: Output,
    config: Settings = "small",
    exclude: Excluded = None,
    held_out: HeldOut = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that read and encode.")] = 1,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at a recording that cannot be read and at a name that means none.")
    ] = False,
) -> None:
    """Turn folders of recordings into a corpus: token ids, codebook and tokenizer; run again to continue."""
    from heartbert.training.config import read_config
    from heartbert.training.corpus_building import build_corpus, unfinished_work
    from heartbert.training.corpus_planning import plan_corpus

    settings = read_config(config)
    plan = plan_corpus(data, excluded=read_names(exclude), held_out=read_names(held_out), strict=strict)
    if unfinished := unfinished_work(plan, output, settings):
        typer.echo(unfinished, err=True)
    try:
        with stage_progress() as progress:
            build_corpus(plan, output, settings, n_workers=workers, progress=progress)
    except KeyboardInterrupt:
        typer.echo("finished shards are kept; run the same command again to continue", err=True)
        raise
    print_table(_corpus_summary(output))


def _corpus_summary(folder: Path) -> list[tuple[str, str]]:
    """Say what a corpus holds, and what was left out and why."""
    from heartbert.training.corpus import MANIFEST_FILE

    manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    n_samples, n_tokens = manifest["n_samples"], manifest["n_tokens"]
    rows = [(one["name"], f"{one['n_recordings']:,} recordings") for one in manifest["databases"]]
    rows += [
        ("persons", f"{manifest['n_subjects']:,}"),
        ("leads", f"{manifest['n_leads']:,}"),
        ("lead-hours", f"{n_samples / 360 / 3600:,.1f}"),
        ("beats", f"{manifest['n_beats']:,}"),
        ("tokens", f"{n_tokens:,}"),
        ("samples a token", f"{n_samples / max(n_tokens, 1):.2f}"),
    ]
    lists = {
        "held out": manifest["held_out_recordings"],
        "excluded": manifest["excluded_recordings"],
        "of these not named, but the same person": manifest["same_person"],
        "names that mean no recording here": manifest["unmatched"],
        "without an ECG lead of 5 s": manifest["without_leads"],
        "cannot be read": [f"{one['recording']} ({one['reason']})" for one in manifest["unreadable"]],
    }
    rows += [(title, _some(names)) for title, names in lists.items() if names]
    if not manifest["weights_may_ship"]:
        licences = [f"{one['name']} ({one['licence']})" for one in manifest["databases"] if not one["weights_may_ship"]]
        rows.append(("weights may not be shipped", ", ".join(licences)))
    return [*rows, ("written", str(folder))]


def _some(names: list[str]) -> str:
    """Count names and list the first ones; all are in the manifest."""
    shown = 5
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{len(names):,}: {', '.join(names[:shown])}{more}"


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
        int | None, typer.Option("--rows-at-once", min=1, help="Rows computed together, for little memory.")
    ] = None,
) -> None:
    """Train an encoder by masked-language modelling and write it as a bundle; run again to continue.

    Many processes share the work: torchrun --nproc-per-node 8 -m heartbert.cli.main pretrain ... --device cuda
    """
    from heartbert import __version__
    from heartbert.training.bundling import bundle_pretrained
    from heartbert.training.config import read_config
    from heartbert.training.pretraining import Pretraining
    from heartbert.training.processes import joined_processes

    settings = read_config(config)
    with joined_processes(device) as processes, stage_progress() as progress:
        data = probe_data(corpus, probe, processes, progress=progress)
        pretraining = Pretraining(corpus, run, settings, processes=processes, probe=data, rows_at_once=rows_at_once)
        pretraining.run(max_minutes=max_minutes, progress=progress)
        if not processes.writes:
            return
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
) -> None:
    """Train the heartbeat head of a bundle on annotated recordings; the encoder stays as it is."""
    from heartbert.training.bundling import bundle_with_heartbeats
    from heartbert.training.config import read_config
    from heartbert.training.corpus_building import find_records

    excluded, validation = read_names(exclude), read_names([held_out])
    paths = [path for folder in data for path in find_records(folder) if path.stem not in excluded]
    sides = (
        [path for path in paths if path.stem not in validation],
        [path for path in paths if path.stem in validation],
    )
    with stage_progress() as progress:
        scores = bundle_with_heartbeats(bundle, sides, output, read_config(config).heartbeats, progress=progress)
    print_table([(name, f"{value:.3f}") for name, value in scores.items()])
    print_table([("written", str(output))])


def read_names(files: list[Path] | None) -> frozenset[str]:
    """Read record names from text files, one a line; lines that start with ``#`` are comments."""
    lines = [line.strip() for file in files or [] for line in file.read_text(encoding="utf-8").splitlines()]
    return frozenset(line for line in lines if line and not line.startswith("#"))
