"""The command line: `heartbert corpus build`, `pretrain` and `train-heartbeats`."""

from pathlib import Path
from typing import Annotated

import typer

from heartbert.cli.printing import print_table, stage_progress

Settings = Annotated[str, typer.Option("--config", help="Preset (small, paper, tiny) or path of a TOML file.")]
Excluded = Annotated[
    list[Path] | None,
    typer.Option("--exclude", help="Text file with names of records to leave out, one a line."),
]
HeldOut = Annotated[
    Path | None,
    typer.Option("--held-out", help="Text file with names of records for validation, one a line."),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]


def corpus_build(
    data: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of recordings.")],
    output: Output,
    config: Settings = "small",
    exclude: Excluded = None,
    held_out: HeldOut = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that read recordings.")] = 1,
) -> None:
    """Turn folders of recordings into a corpus: token ids, codebook and tokenizer."""
    from heartbert.training.config import read_config
    from heartbert.training.corpus_building import CorpusPlan, build_corpus, find_records

    paths = tuple(path for folder in data for path in find_records(folder))
    plan = CorpusPlan(paths, read_names(exclude), read_names([held_out] if held_out else None), workers)
    with stage_progress() as progress:
        corpus = build_corpus(plan, output, read_config(config), progress=progress)
    n_samples = sum(lead.n_samples for lead in corpus.leads)
    print_table(
        [
            ("leads", f"{len(corpus.leads):,}"),
            ("lead-hours", f"{n_samples / 360 / 3600:,.1f}"),
            ("tokens", f"{corpus.token_ids.size:,}"),
            ("samples a token", f"{n_samples / max(corpus.token_ids.size, 1):.2f}"),
            ("written", str(output)),
        ]
    )


def pretrain(
    corpus: Annotated[Path, typer.Argument(help="Corpus folder.")],
    output: Output,
    run: Annotated[Path, typer.Option("--run", help="Folder of checkpoints and log; an existing run is continued.")],
    config: Settings = "small",
    max_minutes: Annotated[float | None, typer.Option("--max-minutes", help="Stop after this time.")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    name: Annotated[str, typer.Option("--name", help="Name of the bundle.")] = "small",
) -> None:
    """Train an encoder by masked-language modelling and write it as a bundle; run again to continue."""
    from heartbert import __version__
    from heartbert.training.bundling import bundle_pretrained
    from heartbert.training.config import read_config
    from heartbert.training.pretraining import Pretraining

    pretraining = Pretraining(corpus, run, read_config(config), device=device)
    with stage_progress() as progress:
        pretraining.run(max_minutes=max_minutes, progress=progress)
    if not pretraining.finished:
        typer.echo(f"stopped at step {pretraining.step}; run the same command again to continue")
        return
    bundle_pretrained(pretraining, corpus, output, name=name, version=__version__)
    print_table([("written", str(output))])


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
