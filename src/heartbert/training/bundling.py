"""Trained parts -> bundle: from a pre-training run, and from a bundle and its new heartbeat head."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from heartbert.bundle import Bundle, load_bundle, save_bundle
from heartbert.errors import BundleError
from heartbert.evaluation.splits import person_of, refuse_shared
from heartbert.files import sha256_of
from heartbert.preprocessing import load_preprocessing
from heartbert.progress import Progress, no_progress
from heartbert.tokens import TOKENIZER_FILE, load_tokenizer
from heartbert.training.card import write_card
from heartbert.training.config import HeartbeatsConfig
from heartbert.training.corpus import MANIFEST_FILE, open_corpus
from heartbert.training.heartbeats import embed_annotated, train_heads
from heartbert.training.pretraining import Pretraining


def bundle_pretrained(run: Pretraining, corpus_folder: Path, folder: Path, *, name: str, version: str) -> None:
    """Write the best encoder of a finished run, with its corpus' preprocessing and tokenizer, as a bundle.

    Raises
    ------
    BundleError
        If the run has steps left, or the corpus is not the one it was trained on.
    """
    if not run.finished:
        raise BundleError(
            f"the run is at step {run.step} of {run.n_steps}; run 'heartbert pretrain' again to continue it."
        )
    if sha256_of(corpus_folder / TOKENIZER_FILE) != run.tokenizer_sha256:
        raise BundleError(
            f"the run was trained on another corpus than '{corpus_folder.name}': their tokenizers differ. Give the "
            "corpus of the run."
        )
    corpus = json.loads((corpus_folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    model = run.best_model()
    leads = open_corpus(corpus_folder).leads
    records = np.unique(leads.record[~leads.held_out]).tolist()
    told = (
        "n_samples",
        "n_tokens",
        "excluded",
        "excluded_recordings",
        "held_out",
        "databases",
        "weights_may_ship",
        "sha256",
    )
    manifest: dict[str, Any] = {
        "name": name,
        "version": version,
        "config": asdict(run.config),
        "corpus": {
            **{key: corpus[key] for key in told if key in corpus},
            "n_records": len(records),
            "records": records,
        },
        "pretraining": {
            **run.best_row(),
            "steps_done": run.step,
            "baselines": asdict(run.baselines) if run.baselines else None,
            "n_parameters": sum(parameter.numel() for parameter in model.parameters()),
            "seed": run.config.pretraining.seed,
        },
        "heartbeat_scores": {},
    }
    bundle = Bundle(load_preprocessing(corpus_folder), load_tokenizer(corpus_folder), model, None, manifest)
    save_bundle(bundle, folder, card=write_card(manifest))


def bundle_with_heartbeats(
    source: Path,
    recordings: tuple[Sequence[Path], Sequence[Path]],
    folder: Path,
    config: HeartbeatsConfig,
    *,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Train heartbeat heads on the frozen encoder of a bundle and write it with the median one.

    Parameters
    ----------
    source : Path
        Bundle with the encoder.
    recordings : (training, validation), sequences of Path
        WFDB recordings with ``.atr`` annotations, of different persons. A folder named as a published database is
        known to hold several recordings of some persons.
    folder : Path
        Bundle to write; may be `source`.
    config : HeartbeatsConfig

    Returns
    -------
    scores : dict of str to float
        Of the head that was kept, on the validation recordings.

    Raises
    ------
    LeakageError
        If a person is on both sides.
    """
    training_paths, validation_paths = recordings
    training_persons, validation_persons = (
        [person_of(path.parent.name, path.stem) for path in side] for side in (training_paths, validation_paths)
    )
    refuse_shared(training_persons, validation_persons, what="persons")
    bundle = load_bundle(source)
    paths = [*training_paths, *validation_paths]
    beats = []
    for number, path in enumerate(paths):
        progress("embedding beats", number / len(paths))
        beats.append(embed_annotated(bundle, path, layer=config.layer))
    n_training = len(training_paths)
    trained = train_heads(beats[:n_training], beats[n_training:], config, progress=progress)
    kept = trained[len(trained) // 2]
    manifest = {key: value for key, value in bundle.manifest.items() if key not in ("versions", "sha256")}
    manifest["config"] = {**manifest["config"], "heartbeats": asdict(config)}
    manifest["heartbeat_scores"] = kept.scores
    manifest["heartbeats"] = {
        "layer": config.layer,
        "n_parameters": sum(parameter.numel() for parameter in kept.head.network.parameters()),
        "trained_on": [one.record for one in beats[:n_training]],
        "validated_on": [one.record for one in beats[n_training:]],
        "scores": kept.scores,
        "scores_by_seed": [one.scores for one in trained],
        "curve": kept.curve,
    }
    save_bundle(replace(bundle, heartbeats=kept.head, manifest=manifest), folder, card=write_card(manifest))
    return kept.scores
