"""The command line: `heartbert evaluate sleep`, staging sleep from one lead against every baseline by a protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from heartbert.cli.printing import print_table, stage_progress


def evaluate_sleep(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of the MIT-BIH Polysomnographic Database.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the results; an interrupted run continues there.")
    ],
    protocol: Annotated[
        Literal["slpdb", "paper"],
        typer.Option(
            "--protocol",
            help="slpdb: persons left out, natural frequencies; paper: the published rows of text as published, and "
            "split by person beside it.",
        ),
    ] = "slpdb",
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Folder of a bundle; by default the one that ships.")
    ] = None,
    beats_only: Annotated[
        bool, typer.Option("--beats-only", help="Leave the encoder out: heart-rate variability alone.")
    ] = False,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Heads trained for each row.")] = 5,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Folds of persons; 16 leaves out one at a time.")] = 16,
    epochs: Annotated[
        int | None, typer.Option("--training-epochs", min=1, help="Passes over the training nights.")
    ] = None,
) -> None:
    """Score sleep stages from one ECG lead with each input and against baselines, persons left out."""
    from dataclasses import replace

    from heartbert.errors import ConfigError
    from heartbert.pipeline import HeartBert
    from heartbert.protocols.run_store import write_json
    from heartbert.protocols.sleep import SleepProtocol, evaluate_slpdb
    from heartbert.protocols.sleep_data import epoch_encoder, read_sleep_database
    from heartbert.protocols.sleep_paper import evaluate_paper
    from heartbert.training.sleep_config import SleepConfig

    if beats_only and protocol == "paper":
        raise ConfigError("the protocol 'paper' is about tokens; leave out --beats-only")
    settings = SleepConfig() if epochs is None else replace(SleepConfig(), n_training_epochs=epochs)
    loaded = None if beats_only else HeartBert.load(bundle).bundle
    encoder = epoch_encoder(loaded, settings.layer) if loaded else None
    cache = output / f"embeddings-{loaded.manifest['sha256']['model.safetensors'][:8]}" if loaded else None
    with stage_progress() as progress:
        nights = read_sleep_database(data, encoder, cache=cache, progress=progress)
        if protocol == "paper":
            result = evaluate_paper(nights, n_seeds=seeds, n_folds=folds)
        else:
            plan = SleepProtocol((settings,), n_folds=folds, n_seeds=seeds, store=output / "runs")
            result = evaluate_slpdb(nights, plan, manifest=loaded.manifest if loaded else None, progress=progress)
    write_json(output / "result.json", result)
    print_table(_paper_rows(result) if protocol == "paper" else _rows(result), header=("row", "set", *_SCORES))
    print_table([("written", str(output / "result.json"))])


_SCORES = ("accuracy", "kappa", "macro_f1")
_ROWS = ("beats", "tokens", "both", "beats_where_tokens", "both_everywhere")


def _rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = {**result["baselines"], **{name: result[name] for name in _ROWS if name in result}}
    return [
        (name, of, *(_cell(row[of][score]) for score in _SCORES))
        for name, row in rows.items()
        for of in ("stages3", "stages4", "stages5")
    ]


def _paper_rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (split, of, *(_cell(result[split][of][score]) for score in _SCORES))
        for split in ("paper_split", "person_split")
        for of in ("stages3", "stages5")
    ]


def _cell(score: Mapping[str, float]) -> str:
    return f"{score['mean']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
