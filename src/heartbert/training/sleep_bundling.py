"""Scored nights and a bundle -> the bundle with a sleep head that was trained on all of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from heartbert.bundle import Bundle, save_bundle
from heartbert.errors import ConfigError
from heartbert.evaluation.leakage import LeakKind, bundle_parts, refuse_leaks
from heartbert.predictions.sleep_night import SleepInput
from heartbert.predictions.sleep_origin import SleepAgreement, SleepOrigin, read_scores
from heartbert.predictions.sleep_stages import SleepHead
from heartbert.predictions.task_files import encoder_digest
from heartbert.progress import Progress, no_progress
from heartbert.training.card import write_card
from heartbert.training.sleep import LabelledNight, people, train_sleep_head
from heartbert.training.sleep_config import SleepConfig

WHO: MappingProxyType[str, str] = MappingProxyType({"slpdb": "men examined for sleep apnoea"})
"""Who the persons of a database are; the headers of `slpdb` name their sex, its publication their complaint."""


@dataclass(frozen=True)
class SleepChoice:
    """What a sleep head is trained to read, and how.

    Attributes
    ----------
    inputs : {"beats", "tokens", "both"}
    config : SleepConfig
    agreement : SleepAgreement or None
        As `read_agreement` gives it; it goes into manifest and model card.
    """

    inputs: SleepInput = "both"
    config: SleepConfig = field(default_factory=SleepConfig)
    agreement: SleepAgreement | None = None


def check_layer(bundle: Bundle, choice: SleepChoice) -> None:
    """Refuse a layer that the encoder does not have, before hours of embedding.

    Raises
    ------
    ConfigError
    """
    n_layers = int(bundle.model.config.num_hidden_layers)
    if choice.inputs != "beats" and choice.config.layer > n_layers:
        raise ConfigError(
            f"sleep: layer is {choice.config.layer}, the encoder of bundle '{bundle.name}' has {n_layers} layers; "
            "give a lower one with --config."
        )


def bundle_with_sleep(
    bundle: Bundle,
    nights: Sequence[LabelledNight],
    folder: Path,
    choice: SleepChoice,
    *,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Train a sleep head on all nights, calibrated on persons held out in turn, and write the bundle with it.

    Parameters
    ----------
    bundle : Bundle
    nights : sequence of LabelledNight
        Of one database; with embeddings of this bundle's encoder unless the head reads beats alone.
    folder : Path
        Where the new bundle is written; may be the folder of the old one.
    choice : SleepChoice
    progress : callable
        Told the stage and the fraction done.

    Returns
    -------
    told : dict
        What the manifest says of the head.

    Raises
    ------
    ConfigError
        If no epoch is scored, none has the tokens that the head should read, or there are fewer than two persons.
    LeakageError
        If a recording shows two persons, or the encoder was fitted on stages of the persons.
    """
    seen = refuse_leaks(
        [], [night.examples for night in nights], fitted=_parts(bundle, choice), allowed=(LeakKind.TRANSDUCTIVE,)
    )
    training = [night.only_with_tokens() if choice.inputs == "tokens" else night for night in nights]
    n_with_tokens = sum(_n_scored(night.only_with_tokens()) for night in nights)
    if choice.inputs != "beats" and not n_with_tokens:
        raise ConfigError(
            f"none of the {len(nights)} nights has a scored epoch with tokens, and the head is to read "
            f"'{choice.inputs}'; put waveforms (.dat) or the published text beside the records, or choose "
            "'--inputs beats'."
        )
    trained = train_sleep_head(training, choice.config, inputs=choice.inputs, progress=progress)
    head = blind_to_constants(trained, training)
    database = nights[0].database
    origin = SleepOrigin(database, len(people(nights)), WHO.get(database, "persons"), choice.agreement)
    told = {
        "inputs": choice.inputs,
        "layer": choice.config.layer,
        "n_parameters": sum(weights.numel() for network in head.networks for weights in network.parameters()),
        "trained_on": [f"{night.database}/{night.record}" for night in nights],
        "persons": people(nights),
        "n_epochs": sum(map(_n_scored, nights)),
        "n_epochs_with_tokens": n_with_tokens,
        "settings": asdict(choice.config),
        "seed": choice.config.seed,
        "temperatures": head.temperatures,
        "encoder": encoder_digest(bundle.model),
        "encoder_saw": [leak.what for leak in seen],
        "origin": origin.as_json(),
    }
    manifest = {**bundle.manifest, "sleep": told}
    save_bundle(replace(bundle, sleep=head, manifest=manifest), folder, card=write_card(manifest))
    return told


def _parts(bundle: Bundle, choice: SleepChoice) -> tuple[Any, ...]:
    return () if choice.inputs == "beats" else bundle_parts(bundle.manifest, with_head=False)


def _n_scored(night: LabelledNight) -> int:
    return int(np.count_nonzero(night.stages >= 0))


def blind_to_constants(head: SleepHead, nights: Sequence[LabelledNight]) -> SleepHead:
    """Return the head with every feature scaled away that was the same in all epochs of the training nights.

    Its weights were never learnt: a recording in which it differs would be read through random ones. So it is for the
    share that cannot be scored where the training nights have no waveform.
    """
    features = np.concatenate([night.seen_by(head.inputs).night.features for night in nights])
    constant = torch.from_numpy(np.ptp(features, axis=0) == 0)
    for network in head.networks:
        network.scale.masked_fill_(constant, torch.inf)
    return head


def read_agreement(path: Path, choice: SleepChoice, *, encoder: str) -> SleepAgreement:
    """Read how far heads trained alike agree with a person from a result of `heartbert evaluate sleep`.

    Parameters
    ----------
    path : Path
        JSON file with a row for the inputs of the head.
    choice : SleepChoice
        Inputs and settings of the head to be trained.
    encoder : str
        Name of its bundle.

    Raises
    ------
    ConfigError
        If the file cannot be read, or the result is one of other inputs, settings or another bundle.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        row, settings, told = result[choice.inputs], result["settings"], result.get("bundle")
        scores, n_persons, n_epochs = read_scores(row), int(row["n_persons"]), int(row["n_epochs"])
        protocols = result["protocol"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"'{path.name}' has no scores of a head that reads '{choice.inputs}' ({error!r}); give a result of "
            "'heartbert evaluate sleep' that has them, or none."
        ) from error
    if _without_seed(asdict(choice.config)) not in [_without_seed(one) for one in settings]:
        raise ConfigError(
            f"'{path.name}' was measured with other settings than the head is to be trained with; give the settings of "
            "the result, or none of its scores."
        )
    reads_tokens = choice.inputs != "beats"
    if reads_tokens and told is not None and told != encoder:
        raise ConfigError(
            f"'{path.name}' was measured with the encoder of '{told}', and the bundle is '{encoder}'; measure this one "
            "with 'heartbert evaluate sleep', or give no result."
        )
    database = "slpdb" if "slpdb" in protocols else str(protocols)
    return SleepAgreement(database, n_persons, n_epochs, told if reads_tokens else None, scores)


def _without_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "seed"}
