"""Sleep stages as a task of the benchmarks: persons left out, kappa of 3 classes, intervals over persons."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from heartbert.bundle import Bundle
from heartbert.embeddings.encoder import build_encoder
from heartbert.errors import ConfigError
from heartbert.evaluation.leakage import LeakKind, bundle_parts, refuse_leaks
from heartbert.evaluation.sleep import stage_counts, stage_scores
from heartbert.predictions.sleep_epochs import EpochEncoder
from heartbert.predictions.sleep_labels import STAGE_SETS, UNSCORED, SleepStage, StageSetName
from heartbert.predictions.sleep_night import Night, SleepInput
from heartbert.predictions.sleep_stages import ensemble_probabilities
from heartbert.progress import Progress, no_progress
from heartbert.protocols.comparison import (
    Draw,
    DrawnLabels,
    Floats,
    Outcome,
    draw_stretch,
    draw_subjects,
    summed_scores,
)
from heartbert.protocols.sleep_data import deal_persons, epoch_encoder, read_sleep_database
from heartbert.protocols.sleep_rows import BOOSTING, Probabilities, Stager, Trainer, train_boosting, train_majority
from heartbert.training.config import EncoderConfig
from heartbert.training.sleep import LabelledNight, people, split_persons, train_sleep_head
from heartbert.training.sleep_config import SleepConfig

OURS = "beats + encoder, BiLSTM"
BEATS = "beats, same BiLSTM"
RANDOM = "beats + encoder of random weights, same BiLSTM"
_RANDOM_SEED = 7
# A stretch of 5 minutes: fewer epochs are of one stage.
_FEWEST_EPOCHS = 10
_CLASSES: StageSetName = "stages3"


@dataclass(frozen=True)
class SleepRow:
    """A row of the task: how it is trained, with what settings, on the nights as one encoder sees them.

    Attributes
    ----------
    train : Trainer
    config : SleepConfig
    nights : sequence of LabelledNight
        In the same order in every row.
    encoder : str
        Tells encoders apart; what the embeddings depend on.
    """

    train: Trainer
    config: SleepConfig
    nights: Sequence[LabelledNight]
    encoder: str


@dataclass(frozen=True)
class SleepComparison:
    """See `heartbert.protocols.comparison.ComparisonTask`; made by `open_sleep`.

    Attributes
    ----------
    sleep_rows : mapping of str to SleepRow
    folds : sequence of sequence of str
        Persons that are left out together.
    facts, identity : mapping
    """

    sleep_rows: Mapping[str, SleepRow]
    folds: Sequence[Sequence[str]]
    facts: Mapping[str, Any]
    identity: Mapping[str, Any]
    ours: str = OURS
    score_name: str = "kappa of 3 stages"
    unit: str = "person"

    @property
    def rows(self) -> Sequence[str]:
        """All rows."""
        return tuple(self.sleep_rows)

    def told(self, row: str) -> Mapping[str, Any]:
        """Return the settings of a row, whose seed is in the draw, and its encoder."""
        chosen = self.sleep_rows[row]
        settings = {name: value for name, value in asdict(chosen.config).items() if name != "seed"}
        return {"settings": settings, "encoder": chosen.encoder}

    def drawn(self, draw: Draw) -> DrawnLabels:
        """Count the labels of a draw by stage, in the fold where the rarest stage has fewest."""
        nights = self.sleep_rows[self.ours].nights
        found = []
        for held_out in self.folds:
            training = _training(nights, held_out, draw)
            stages = np.concatenate([one.stages for one in training])
            counts = np.bincount(stages[stages >= 0], minlength=len(SleepStage)).tolist()
            found.append(DrawnLabels(tuple(people(training)), {one.name: counts[one] for one in SleepStage}))
        return min(found, key=lambda one: sorted(one.n_labels.values()))

    def run(self, row: str, draw: Draw) -> Outcome:
        """Train a row for every fold and count the epochs with tokens of every person by scored and found class."""
        chosen = self.sleep_rows[row]
        persons = people(chosen.nights)
        n_classes = len(STAGE_SETS[_CLASSES].classes)
        counts = np.zeros((len(persons), n_classes, n_classes))
        for held_out in self.folds:
            stager = chosen.train(_training(chosen.nights, held_out, draw), replace(chosen.config, seed=draw.seed))
            for night in split_persons(chosen.nights, held_out)[1]:
                found = np.argmax(stager(night.night)[_CLASSES], axis=1)
                labels = STAGE_SETS[_CLASSES].labels(_scored(night).stages)
                counts[persons.index(night.subject_id)] += stage_counts(labels, found, n_classes)
        return counts

    def scores(self, outcomes: Floats, weights: Floats) -> Floats:
        """Return Cohen's kappa."""
        return summed_scores(outcomes, weights, lambda totals: stage_scores(totals)["kappa"])


def _scored(night: LabelledNight) -> LabelledNight:
    """Score the epochs that have tokens; all of a night that has embeddings of no kind."""
    return night.only_with_tokens() if night.night.embeddings.shape[1] else night


def _training(nights: Sequence[LabelledNight], held_out: Sequence[str], draw: Draw) -> list[LabelledNight]:
    training, _ = split_persons(nights, held_out)
    persons = draw_subjects(people(training), draw.subject_share, draw.seed)
    chosen = [(number, one) for number, one in enumerate(training) if one.subject_id in persons]
    return [_stretch(one, draw, number) for number, one in chosen]


def _stretch(night: LabelledNight, draw: Draw, number: int) -> LabelledNight:
    """Hide all labels of a night but those of one stretch of scored epochs; the night itself stays whole."""
    if draw.label_share == 1:
        return night
    known = np.flatnonzero(night.stages >= 0)
    kept = known[draw_stretch(known.size, draw.label_share, (draw.seed, number), at_least=_FEWEST_EPOCHS)]
    stages = np.full_like(night.stages, UNSCORED)
    stages[kept] = night.stages[kept]
    return replace(night, stages=stages)


def _train_head(inputs: SleepInput, nights: Sequence[LabelledNight], config: SleepConfig) -> Stager:
    """Train the head that ships; without temperatures, which change no class and need a second person."""
    head = train_sleep_head(nights, config, inputs=inputs, calibrated=False)

    def stage(night: Night) -> Probabilities:
        return ensemble_probabilities(head.networks, night.seen_by(inputs))

    return stage


def _train_boosting(nights: Sequence[LabelledNight], config: SleepConfig) -> Stager:
    """Boost trees; where all labels drawn are of one class there is nothing to tell apart."""
    stages = np.concatenate([night.stages for night in nights])
    known = stages[stages >= 0]
    is_constant = min(np.unique(one.labels(known)).size for one in STAGE_SETS.values()) < 2
    return (train_majority if is_constant else train_boosting)(nights, config)


TRAINERS: Mapping[str, Trainer] = MappingProxyType(
    {BOOSTING: _train_boosting, BEATS: partial(_train_head, "beats"), OURS: partial(_train_head, "both")}
)
"""How the rows learn; RANDOM learns as ours, on other embeddings."""


@dataclass(frozen=True)
class SleepSource:
    """Where the nights are.

    Attributes
    ----------
    folder : Path
        MIT-BIH Polysomnographic Database, with waveforms or the published text beside it.
    n_folds : int
        Folds of persons left out; as many as persons at most.
    cache : Path or None
        Folder for embeddings.
    """

    folder: Path
    n_folds: int = 4
    cache: Path | None = None

    def read(self, encoder: EpochEncoder, name: str, *, progress: Progress = no_progress) -> tuple[LabelledNight, ...]:
        """Read and embed every night; `name` tells encoders apart in the cache.

        Raises
        ------
        ConfigError
            If no night has an epoch to embed.
        """
        cache = self.cache / f"sleep-{name}" if self.cache else None
        nights = read_sleep_database(self.folder, encoder, cache=cache, progress=progress).nights
        if not any(np.isfinite(night.night.embeddings).any() for night in nights):
            raise ConfigError(
                f"'{self.folder}' has neither waveforms nor the published text, so there is nothing to encode. Fetch "
                f"the waveforms with 'heartbert download slpdb -o {self.folder}'."
            )
        return nights


def open_sleep(
    bundle: Bundle,
    source: SleepSource,
    *,
    config: SleepConfig | None = None,
    progress: Progress = no_progress,
) -> SleepComparison:
    """Open the MIT-BIH Polysomnographic Database for the benchmarks.

    Parameters
    ----------
    bundle : Bundle
        Its frozen encoder is ours.
    source : SleepSource
    config : SleepConfig, optional
        By default one network a head, else the settings of the protocol.
    progress : callable

    Raises
    ------
    LeakageError
        If a fold leaks; an encoder that saw unlabelled signals is allowed, and the result says so.
    ConfigError
        If no night has an epoch to embed.
    """
    settings = read_layer(bundle, config or SleepConfig(n_networks=1))
    name = sleep_encoder_name(bundle, settings.layer)
    encoder = epoch_encoder(bundle, settings.layer)
    random = replace(encoder, encoder=random_encoder(bundle))
    nights = source.read(encoder, name, progress=progress)
    rows = {row: SleepRow(train, settings, nights, name if row == OURS else "none") for row, train in TRAINERS.items()}
    others = source.read(random, f"random-{name}", progress=progress)
    rows[RANDOM] = SleepRow(TRAINERS[OURS], settings, others, f"random-{name}")
    return assemble_sleep(source, rows, [bundle])


def read_layer(bundle: Bundle, config: SleepConfig) -> SleepConfig:
    """Return settings whose layer the bundle's encoder has: the last one where it has fewer."""
    return replace(config, layer=min(config.layer, int(bundle.model.config.num_hidden_layers)))


def random_encoder(bundle: Bundle) -> Any:
    """Return an encoder of the same shape with random weights."""
    config = EncoderConfig(**bundle.manifest["config"]["encoder"])
    return build_encoder(config, bundle.tokenizer.n_tokens, seed=_RANDOM_SEED).eval().base_model


def sleep_encoder_name(bundle: Bundle, layer: int) -> str:
    """Tell a bundle's encoder apart by all that its vectors depend on."""
    return hashlib.sha256(f"{bundle.embedding_digest}, layer {layer}".encode()).hexdigest()[:16]


def assemble_sleep(
    source: SleepSource, rows: Mapping[str, SleepRow], bundles: Sequence[Bundle], *, ours: str = OURS
) -> SleepComparison:
    """Put nights and rows together and guard every fold.

    Raises
    ------
    LeakageError
        If a fold leaks.
    """
    nights = rows[ours].nights
    folds = deal_persons(nights, source.n_folds)
    facts = {
        "database": "slpdb",
        "side": "persons left out",
        "folds": folds,
        "scored": people(nights),
        "scored_epochs": sum(int((_scored(one).stages >= 0).sum()) for one in nights),
        "leaks": _guard(nights, folds, bundles),
        "bundles": [bundle.name for bundle in bundles],
        "how_chosen": "nothing is chosen: one setting, all training epochs; scored are the epochs that have tokens",
        "label_stretch": f"one stretch of scored epochs of every training night, at least {_FEWEST_EPOCHS}",
    }
    digest = hashlib.sha256()
    for one in nights:
        digest.update(one.night.features.tobytes() + one.stages.tobytes())
    identity = {"database": "slpdb", "folds": folds, "nights": digest.hexdigest()[:16]}
    return SleepComparison(rows, folds, facts, identity, ours)


def _guard(nights: Sequence[LabelledNight], folds: Sequence[Sequence[str]], bundles: Sequence[Bundle]) -> list[str]:
    parts = [part for bundle in bundles for part in bundle_parts(bundle.manifest, with_head=False)]
    found: set[str] = set()
    for held_out in folds:
        training, test = split_persons(nights, held_out)
        sides = [one.examples for one in training], [one.examples for one in test]
        found |= {leak.what for leak in refuse_leaks(*sides, fitted=parts, allowed=(LeakKind.TRANSDUCTIVE,))}
    return sorted(found)
