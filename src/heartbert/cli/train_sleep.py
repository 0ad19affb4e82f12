"""The command line: `heartbert train-sleep`, from a bundle and scored nights to the bundle with a sleep head."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from heartbert.cli.corpus import Output
from heartbert.cli.printing import print_table, stage_progress


def train_sleep(
    bundle: Annotated[Path, typer.Argument(help="Bundle with the encoder.")],
    data: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the MIT-BIH Polysomnographic Database.")],
    output: Output,
    inputs: Annotated[
        Literal["beats", "tokens", "both"],
        typer.Option("--inputs", help="What the head reads: heart-rate variability, the encoder's tokens, or both."),
    ] = "both",
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with a table [sleep].")] = None,
    result: Annotated[
        Path | None,
        typer.Option(
            "--result", help="Result of 'heartbert evaluate sleep', to say how far hypnograms can be trusted."
        ),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option("--work", help="Folder to keep embeddings in; that of 'evaluate sleep' has them already."),
    ] = None,
) -> None:
    """Train a sleep head of a bundle on all scored nights of a folder; the encoder does not learn."""
    from heartbert.bundle import load_bundle
    from heartbert.protocols.sleep_data import epoch_encoder, read_sleep_database
    from heartbert.training.sleep_bundling import SleepChoice, bundle_with_sleep, check_layer, read_agreement
    from heartbert.training.sleep_config import SleepConfig
    from heartbert.training.sleep_settings import read_sleep_config

    loaded = load_bundle(bundle)
    settings = read_sleep_config(config) if config else SleepConfig()
    choice = SleepChoice(inputs, settings)
    check_layer(loaded, choice)
    if result:
        choice = SleepChoice(inputs, settings, read_agreement(result, choice, encoder=loaded.name))
    encoder = None if inputs == "beats" else epoch_encoder(loaded, settings.layer)
    cache = work / _cache_name(loaded.manifest, settings.layer) if work else None
    with stage_progress() as progress:
        nights = read_sleep_database(data, encoder, cache=cache, progress=progress).nights
        told = bundle_with_sleep(loaded, nights, output, choice, progress=progress)
    print_table(_rows(told))
    print_table([("written", str(output))])


def _cache_name(manifest: Mapping[str, Any], layer: int) -> str:
    """Name the folder of embeddings as `heartbert evaluate sleep` does; other layers have another one."""
    from heartbert.training.sleep_config import SleepConfig

    name = f"embeddings-{manifest['sha256']['model.safetensors'][:8]}"
    return name if layer == SleepConfig().layer else f"{name}-layer{layer}"


def _rows(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    agreement = told["origin"]["agreement"]
    rows = [
        ("recordings", str(len(told["trained_on"]))),
        ("persons", str(len(told["persons"]))),
        ("scored epochs", f"{told['n_epochs']:,}, {told['n_epochs_with_tokens']:,} with tokens"),
        ("temperatures", ", ".join(f"{value:.2f}" for value in told["temperatures"].values())),
    ]
    if agreement is None:
        return [*rows, ("agreement", "not measured")]
    return rows + [(f"kappa, {of}", f"{scores['kappa']['mean']:.3f}") for of, scores in agreement["scores"].items()]
