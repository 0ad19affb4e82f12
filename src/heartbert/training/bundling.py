"""Trained parts -> bundle: from a pre-training run, and from a bundle and its new heartbeat head."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from transformers import PreTrainedModel

from heartbert.bundle import Bundle, Head, load_bundle, save_bundle
from heartbert.errors import BundleError, ConfigError
from heartbert.evaluation.leakage import Examples, refuse_leaks
from heartbert.files import sha256_of
from heartbert.preprocessing import load_preprocessing
from heartbert.progress import Progress, no_progress
from heartbert.tokens import TOKENIZER_FILE, load_tokenizer
from heartbert.training.card import write_card
from heartbert.training.config import HeartbeatsConfig
from heartbert.training.corpus import MANIFEST_FILE, open_corpus
from heartbert.training.heartbeat_leads import LabelledLead, read_labelled_lead
from heartbert.training.heartbeat_tuning import FineTuning, tune_head
from heartbert.training.heartbeat_window import WindowHeadConfig, train_window_head
from heartbert.training.heartbeats import BeatSource, embed_annotated, n_waveform_of, train_heads
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
    training = ~leads.held_out
    names = zip(leads.database[training].tolist(), leads.record[training].tolist(), strict=True)
    records = sorted({f"{database}/{record}" for database, record in names})
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


@dataclass(frozen=True)
class HeadChoice:
    """Which heartbeat head to train, and on which beats.

    Attributes
    ----------
    beats : {"detected", "reference"}
        Who places the beats that are trained and validated on.
    tuning : FineTuning, optional
        Trains a part of the encoder with the beat-sequence head, after the head alone.
    window : WindowHeadConfig, optional
        Trains the published head instead.

    Raises
    ------
    ConfigError
        If both are given.
    """

    beats: BeatSource = "detected"
    tuning: FineTuning | None = None
    window: WindowHeadConfig | None = None

    def __post_init__(self) -> None:
        if self.tuning and self.window:
            raise ConfigError(
                "fine-tuning with the beat-sequence head and the window head were both chosen. Choose one; the window "
                "head trains the encoder layers that are not frozen."
            )


def choose_head(head: str, beats: str, numbers: dict[str, int | str | None]) -> HeadChoice:
    """Turn the options of the command line into a choice.

    Parameters
    ----------
    head : {"beats", "window"}
    beats : {"detected", "reference"}
    numbers : dict of str to int, str or None
        ``frozen_layers`` of the window head; ``n_layers`` and ``lora_rank`` of fine-tuning, 0 for none;
        ``n_training_epochs`` and ``device`` of both. None keeps what is usual.

    Raises
    ------
    ConfigError
        If an option is unknown, or has no effect on the head that was chosen.
    """
    if head not in ("beats", "window") or beats not in get_args(BeatSource):
        raise ConfigError(
            f"the head is '{head}' and beats are '{beats}'; a head is beats or window, and beats are "
            f"{' or '.join(get_args(BeatSource))}. Choose from these."
        )
    tunes = bool(numbers["n_layers"] or numbers["lora_rank"])
    if (head == "window" and tunes) or (head == "beats" and numbers["frozen_layers"] is not None):
        raise ConfigError(
            "--frozen-layers belongs to --head window; --unfreeze and --lora belong to --head beats. Leave out what "
            "does not belong to the head."
        )
    shared = {name: numbers[name] for name in ("n_training_epochs", "device")}
    own = {"frozen_layers": numbers["frozen_layers"]} if head == "window" else {}
    own |= {name: numbers[name] for name in ("n_layers", "lora_rank")} if tunes else {}
    given: dict[str, Any] = {name: value for name, value in {**shared, **own}.items() if value is not None}
    return HeadChoice(
        beats=cast(BeatSource, beats),
        tuning=FineTuning(**given) if tunes else None,
        window=WindowHeadConfig(**given) if head == "window" else None,
    )


def bundle_with_heartbeats(
    source: Path,
    recordings: tuple[Sequence[Path], Sequence[Path]],
    folder: Path,
    config: HeartbeatsConfig,
    *,
    choice: HeadChoice | None = None,
    progress: Progress = no_progress,
) -> dict[str, float]:
    """Train a heartbeat head on the encoder of a bundle and write both as a bundle.

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
        Of the beat-sequence head.
    choice : HeadChoice, optional
        By default beat-sequence heads on detected beats and the frozen encoder, of which the median one is kept.

    Returns
    -------
    scores : dict of str to float
        Of the head that was kept, on the validation recordings.

    Raises
    ------
    LeakageError
        If a person is on both sides.
    ConfigError
        If a setting does not fit the encoder, or `peft` is needed and missing.
    """
    choice = choice or HeadChoice()
    training_paths, validation_paths = recordings
    refuse_leaks(*([Examples(path.parent.name, path.stem) for path in side] for side in recordings))
    bundle = load_bundle(source, heartbeats=False)
    if choice.window:
        trained, told = _with_window_head(bundle, recordings, choice, choice.window, progress)
    else:
        trained, told = _with_sequence_head(bundle, recordings, (config, choice), progress)
    manifest = {key: value for key, value in trained.manifest.items() if key not in ("versions", "sha256")}
    if not choice.window:
        manifest["config"] = {**manifest["config"], "heartbeats": asdict(config)}
    manifest["heartbeat_scores"] = told["scores"]
    manifest["heartbeats"] = {
        "beats": choice.beats,
        "trained_on": [path.stem for path in training_paths],
        "validated_on": [path.stem for path in validation_paths],
        **told,
    }
    save_bundle(replace(trained, manifest=manifest), folder, card=write_card(manifest))
    return dict(told["scores"])


def _with_sequence_head(
    bundle: Bundle,
    recordings: tuple[Sequence[Path], Sequence[Path]],
    settings: tuple[HeartbeatsConfig, HeadChoice],
    progress: Progress,
) -> tuple[Bundle, dict[str, Any]]:
    """Return the bundle with a beat-sequence head, and what the manifest says of it."""
    config, choice = settings
    paths = [path for side in recordings for path in side]
    beats = []
    for number, path in enumerate(paths):
        progress("embedding beats", number / len(paths))
        beats.append(
            embed_annotated(bundle, path, layer=config.layer, n_waveform=n_waveform_of(config), beats=choice.beats)
        )
    n_training = len(recordings[0])
    trained = train_heads(beats[:n_training], beats[n_training:], config, progress=progress)
    kept = trained[len(trained) // 2]
    told: dict[str, Any] = {
        "reads": "beats",
        "compares": config.reads,
        "layer": config.layer,
        "n_parameters": sum(parameter.numel() for parameter in kept.head.network.parameters()),
        "scores": kept.scores,
        "scores_by_seed": [one.scores for one in trained],
        "curve": kept.curve,
        "calibration": kept.calibration.as_json() if kept.calibration else None,
    }
    if choice.tuning is None:
        return replace(bundle, heartbeats=kept.head), told
    leads = _labelled_leads(bundle, recordings, choice, progress)
    tuned = tune_head(bundle, kept.head, leads, (config, choice.tuning), progress=progress)
    now = tuned.trained
    told |= {
        "n_parameters": tuned.n_parameters,
        "scores": now.scores,
        "scores_by_seed": [now.scores],
        "curve": now.curve,
        "calibration": now.calibration.as_json() if now.calibration else None,
        "tuning": asdict(choice.tuning),
        "scores_before_tuning": kept.scores,
    }
    return _with_encoder(bundle, now.head, tuned.model), told


def _with_window_head(
    bundle: Bundle,
    recordings: tuple[Sequence[Path], Sequence[Path]],
    choice: HeadChoice,
    config: WindowHeadConfig,
    progress: Progress,
) -> tuple[Bundle, dict[str, Any]]:
    """Return the bundle with a window head, and what the manifest says of it."""
    leads = _labelled_leads(bundle, recordings, choice, progress)
    trained = train_window_head(bundle, leads, config, progress=progress)
    told = {
        "reads": "windows",
        "layer": trained.head.layer,
        "n_parameters": trained.n_parameters,
        "scores": trained.scores,
        "scores_by_seed": [trained.scores],
        "curve": trained.curve,
        "calibration": trained.calibration.as_json(),
        "window": asdict(config),
    }
    return _with_encoder(bundle, trained.head, trained.model), told


def _with_encoder(bundle: Bundle, head: Head, model: PreTrainedModel) -> Bundle:
    """Put in an encoder that has learnt with its head; the other heads do not fit it any more."""
    manifest = {name: told for name, told in bundle.manifest.items() if name not in ("sleep", "tasks")}
    return replace(bundle, heartbeats=head, model=model, sleep=None, tasks={}, manifest=manifest)


def _labelled_leads(
    bundle: Bundle, recordings: tuple[Sequence[Path], Sequence[Path]], choice: HeadChoice, progress: Progress
) -> tuple[list[LabelledLead], list[LabelledLead]]:
    leads = []
    paths = [path for side in recordings for path in side]
    for number, path in enumerate(paths):
        progress("reading leads", number / len(paths))
        leads.append(read_labelled_lead(bundle.preprocessing, path, beats=choice.beats))
    n_training = len(recordings[0])
    return leads[:n_training], leads[n_training:]
