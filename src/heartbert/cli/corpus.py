"""The command line: `heartbert corpus build` and `corpus probe`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from heartbert.cli.printing import print_table, stage_progress

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
    own_data: Annotated[
        bool,
        typer.Option(
            "--own-data",
            help="Weights trained on recordings of no known database may be passed on: they are yours, or their "
            "licence allows it.",
        ),
    ] = False,
) -> None:
    """Turn folders of recordings into a corpus: token ids, codebook and tokenizer; run again to continue."""
    from heartbert.training.config import read_config
    from heartbert.training.corpus_building import build_corpus, unfinished_work
    from heartbert.training.corpus_planning import plan_corpus

    settings = read_config(config)
    plan = plan_corpus(
        data, excluded=read_names(exclude), held_out=read_names(held_out), strict=strict, own_data=own_data
    )
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
    forbidding = [
        f"{one['name']} ({one['licence']})" for one in manifest["databases"] if one["weights_may_ship"] is False
    ]
    unknown = [one["name"] for one in manifest["databases"] if one["weights_may_ship"] is None]
    if forbidding:
        rows.append(("weights may not be shipped", ", ".join(forbidding)))
    if unknown:
        rows.append(("whether weights may be shipped is not known", f"{', '.join(unknown)}; --own-data says they may"))
    return [*rows, ("written", str(folder))]


def _some(names: list[str]) -> str:
    """Count names and list the first ones; all are in the manifest."""
    shown = 5
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{len(names):,}: {', '.join(names[:shown])}{more}"


def corpus_probe(
    corpus: Annotated[Path, typer.Argument(help="Corpus folder; the probe is kept in it.")],
    data: Annotated[Path, typer.Argument(metavar="MITDB", help="Folder of MIT-BIH Arrhythmia; DS1 is read.")],
) -> None:
    """Make the probe that chooses checkpoints, so that the machine that trains needs no recording and no reader."""
    from heartbert.predictions.labels import AamiClass
    from heartbert.training.corpus import open_corpus
    from heartbert.training.probe import PROBE_FILE, refuse_seen
    from heartbert.training.probe_building import build_probe

    opened = open_corpus(corpus)
    with stage_progress() as progress:
        made = build_probe(data, corpus, progress=progress)
    refuse_seen(made, opened)
    made.save(corpus / PROBE_FILE)
    rows = [
        ("fitted on", _some(made.records[~made.validation].tolist())),
        ("scored on", _some(made.records[made.validation].tolist())),
        *((f"beats of class {one.name}", f"{int((made.labels == one).sum()):,}") for one in AamiClass),
        ("written", str(corpus / PROBE_FILE)),
    ]
    print_table(rows)


def read_names(files: list[Path] | None) -> frozenset[str]:
    """Read record names from text files, one a line; lines that start with ``#`` are comments."""
    lines = [line.strip() for file in files or [] for line in file.read_text(encoding="utf-8").splitlines()]
    return frozenset(line for line in lines if line and not line.startswith("#"))
