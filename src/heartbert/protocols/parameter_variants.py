"""The variants of encoder and head whose parameters are counted: head sizes, layers that learn, low-rank additions."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from heartbert.bundle import Bundle, load_bundle
from heartbert.errors import ConfigError
from heartbert.predictions.beat_windows import LeadLevels
from heartbert.predictions.heartbeats import WAVEFORM_SAMPLES, build_network, classify_heartbeats
from heartbert.predictions.sleep_night import SHORTEST_NIGHT_S
from heartbert.predictions.sleep_stages import build_sleep_network
from heartbert.progress import Progress, no_progress
from heartbert.protocols.beat_records import BeatRecord, digest_read, encoders_of
from heartbert.protocols.beat_rows import OURS as BEATS_OURS
from heartbert.protocols.beat_rows import ROWS, Classify, Row, Sides
from heartbert.protocols.beat_table import head_settings
from heartbert.protocols.comparison_heartbeats import (
    BeatRow,
    HeartbeatComparison,
    HeartbeatSource,
    assemble,
    first_beats,
)
from heartbert.protocols.comparison_sleep import (
    BEATS,
    OURS,
    TRAINERS,
    SleepComparison,
    SleepRow,
    SleepSource,
    assemble_sleep,
    read_layer,
    sleep_encoder_name,
)
from heartbert.protocols.footprint import FootprintTask, HeadKind, Signal, count_parameters
from heartbert.protocols.parameter_efficiency import Variant
from heartbert.protocols.sleep_data import epoch_encoder
from heartbert.records import read_record
from heartbert.records.demo import demo_record
from heartbert.signals.resampling import TARGET_FS
from heartbert.training.config import HeartbeatsConfig
from heartbert.training.heartbeat_encoder import add_lora, train_layers, trainable
from heartbert.training.heartbeat_leads import LabelledLead, read_labelled_lead
from heartbert.training.heartbeat_tuning import FineTuning, beat_embedder, tune_head
from heartbert.training.heartbeats import n_waveform_of, reads_waveform, train_head
from heartbert.training.sleep_config import SleepConfig

FROZEN, NO_ENCODER, LAYERS, LORA = "frozen encoder", "no encoder", "upper layers learn", "LoRA"
WAVEFORM = "RR + waveform, same head"


@dataclass(frozen=True)
class VariantChoices:
    """Which variants are measured.

    Attributes
    ----------
    bundles : tuple of Path
        Folders; the first one is tuned and is the one that heads of other sizes are compared on, too.
    head_units : tuple of int
        LSTM units in each direction, with the encoder frozen.
    frozen_layers : tuple of int
        Encoder layers, counted from the tokens, that stay frozen while the others below the head learn with it.
    lora_ranks : tuple of int
        Ranks of low-rank additions to the attention of all layers below the head.
    tuning_epochs : int
        Passes over the training beats in which an encoder learns.
    footprint_s : float
        Seconds of a training recording on which cost is measured.
    """

    bundles: tuple[Path, ...]
    head_units: tuple[int, ...] = (8, 32, 64, 128)
    frozen_layers: tuple[int, ...] = ()
    lora_ranks: tuple[int, ...] = ()
    tuning_epochs: int = 3
    footprint_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.bundles or not self.head_units or min((*self.head_units, *self.lora_ranks), default=1) < 1:
            raise ConfigError(
                f"{len(self.bundles)} bundles, heads of {', '.join(map(str, self.head_units)) or 'no'} units and ranks "
                f"{', '.join(map(str, self.lora_ranks)) or 'none'}; a bundle and a head size are needed, and all sizes "
                "must be at least 1. Change them."
            )
        if min((*self.frozen_layers, 0)) < 0 or not self.footprint_s > 0:
            raise ConfigError(
                f"frozen layers are {', '.join(map(str, self.frozen_layers))} and {self.footprint_s:g} s are timed; "
                "layers must not be negative and the time must be above 0. Change them."
            )


def heartbeat_variants(
    choices: VariantChoices,
    source: HeartbeatSource,
    *,
    heads: HeartbeatsConfig | None = None,
    progress: Progress = no_progress,
) -> tuple[HeartbeatComparison, list[Variant]]:
    """Prepare the variants of the heartbeat head and the task that trains them.

    Every encoder is guarded and applied once to each recording; fine-tuned ones are applied in training.

    Raises
    ------
    LeakageError
        If the split leaks, an encoder included.
    ConfigError
        If a bundle's head reads no encoder layer while layers are to learn.
    """
    loaded = {folder: load_bundle(folder) for folder in choices.bundles}
    leaks = [leak for bundle in loaded.values() for leak in source.guard(bundle)]
    signal, fs = _excerpt(source.path_of(source.split.training[0]), choices.footprint_s)
    rows: dict[str, BeatRow] = {}
    variants: list[Variant] = []
    for folder, bundle in loaded.items():
        config = heads or head_settings(bundle)
        encoders = replace(encoders_of(bundle, config.layer, cache=source.cache), bundles={"encoder": bundle})
        records = source.read(encoders, progress=progress)
        of_bundle = _BundleVariants(
            bundle, folder, config, records,
            FootprintTask(folder, "beats", config.n_units, config.layer, signal, fs, n_waveform_of(config)),
        )  # fmt: skip
        made = of_bundle.frozen(choices.head_units)
        if folder == choices.bundles[0]:
            made = [of_bundle.without_encoder(), *made, *of_bundle.tuned(choices, source)]
        for variant, row in made:
            rows[variant.row] = row
            variants.append(variant)
    first = next(variant.row for variant in variants if variant.kind == FROZEN)
    task = assemble(source, rows, sorted(set(leaks)), list(loaded.values()), ours=first)
    return task, variants


@dataclass(frozen=True)
class _BundleVariants:
    """Makes the variants of one bundle."""

    bundle: Bundle
    folder: Path
    config: HeartbeatsConfig
    records: Mapping[str, BeatRecord]
    footprint: FootprintTask

    def frozen(self, head_units: Sequence[int]) -> list[tuple[Variant, BeatRow]]:
        """Return a head of each size on the frozen encoder."""
        return [self._made(FROZEN, f"{n_units} units", n_units, ROWS[BEATS_OURS]) for n_units in head_units]

    def without_encoder(self) -> tuple[Variant, BeatRow]:
        """Return the same head on the waveform."""
        made, row = self._made(NO_ENCODER, "waveform", self.config.n_units, ROWS[WAVEFORM])
        footprint = replace(self.footprint, head="beats without encoder")
        network = build_network(WAVEFORM_SAMPLES.size, n_units=self.config.n_units, dropout=0.0)
        return replace(made, n_trainable=count_parameters(network), footprint=footprint, bundle=""), row

    def tuned(self, choices: VariantChoices, source: HeartbeatSource) -> list[tuple[Variant, BeatRow]]:
        """Return the head of the bundle's size with parts of the encoder that learn, too."""
        settings = [
            (
                LAYERS,
                f"{frozen} frozen",
                FineTuning(self.config.layer - frozen, n_training_epochs=choices.tuning_epochs),
            )
            for frozen in choices.frozen_layers
            if frozen < self.config.layer  # the others are the frozen encoder
        ]
        settings += [
            (LORA, f"rank {rank}", FineTuning(lora_rank=rank, n_training_epochs=choices.tuning_epochs))
            for rank in choices.lora_ranks
        ]
        if not settings:
            return []
        leads = _Leads(self.bundle, source)
        made = []
        for kind, label, tuning in settings:
            row = Row("encoder", partial(train_tuned, self.bundle, tuning, leads))
            variant, beat_row = self._made(kind, label, self.config.n_units, row)
            n_trainable = variant.n_trainable + count_learning(self.bundle, tuning, self.config.layer)
            told = replace(beat_row, encoder=f"{beat_row.encoder}, {tuning}")
            made.append((replace(variant, n_trainable=n_trainable), told))
        return made

    def _made(self, kind: str, label: str, n_units: int, row: Row) -> tuple[Variant, BeatRow]:
        """Make a variant whose head reads the encoder."""
        config = replace(self.config, n_units=n_units)
        n_waveform = n_waveform_of(config)
        n_embedding = 3 * int(self.bundle.model.config.hidden_size) + n_waveform
        n_head = count_parameters(build_network(n_embedding, n_units=n_units, dropout=0.0, n_waveform=n_waveform))
        variant = Variant(
            row=f"{self.bundle.name} {self.bundle.embedding_digest[:6]}: {kind}, {label}",
            label=label,
            kind=kind,
            n_trainable=n_head,
            footprint=replace(self.footprint, n_units=n_units),
            bundle=self.bundle.name,
        )
        return variant, BeatRow(row, config, self.records, digest_read(row.reads, self.bundle, config))


def count_learning(bundle: Bundle, tuning: FineTuning, layer: int) -> int:
    """Count the encoder's parameters that learn, without training it.

    Raises
    ------
    ConfigError
        If `peft` is needed and missing.
    """
    model = copy.deepcopy(bundle.model)
    if tuning.lora_rank:
        add_lora(model, n_layers=layer, rank=tuning.lora_rank)
    else:
        train_layers(model, range(layer - tuning.n_layers, layer), embeddings=False)
    return sum(parameter.numel() for parameter in trainable([model]))


class _Leads:
    """Recordings as levels with labelled beats, each read when it is first asked for."""

    def __init__(self, bundle: Bundle, source: HeartbeatSource) -> None:
        self._bundle, self._source = bundle, source
        self._read: dict[str, LabelledLead] = {}

    def of(self, record: BeatRecord) -> LabelledLead:
        """Return the lead of a recording, with the beats that the record holds."""
        name = record.examples.name
        if name not in self._read:
            path = self._source.path_of(record.examples)
            beats = self._source.placement
            lead = read_labelled_lead(self._bundle.preprocessing, path, beats=beats)
            self._read[name] = first_minutes_of(lead, self._source.minutes)
        return replace(self._read[name], beats=replace(record.beats, embeddings=self._read[name].beats.embeddings))


def first_minutes_of(lead: LabelledLead, minutes: float | None) -> LabelledLead:
    """Leave of a lead its first minutes; all of it without a limit."""
    if minutes is None:
        return lead
    kept = slice(0, round(60 * minutes * TARGET_FS))
    levels = LeadLevels(lead.lead.levels[kept], lead.lead.unscorable[kept])
    return LabelledLead(first_beats(lead.beats, 60 * minutes), levels)


def train_tuned(
    bundle: Bundle, tuning: FineTuning, leads: _Leads, sides: Sides, config: HeartbeatsConfig, seed: int
) -> Classify:
    """Train the head on the frozen encoder, then both on together; see `tune_head`."""
    training, validation = (
        [one.with_input("encoder", waveform=reads_waveform(config)) for one in side]
        for side in (sides.training, sides.validation)
    )
    start = train_head(training, validation, config, seed=seed).head
    both = [leads.of(one) for one in sides.training], [leads.of(one) for one in sides.validation]
    tuned = tune_head(bundle, start, both, (replace(config, seed=seed), tuning))
    reader = replace(bundle.token_reader, encoder=tuned.model.base_model)
    embedder = beat_embedder(bundle, reader, start)

    def classify(record: BeatRecord) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        embedded = embedder.embedded(leads.of(record))
        return classify_heartbeats(tuned.trained.head, embedded.embeddings, embedded.r_peaks)

    return classify


def sleep_variants(
    choices: VariantChoices,
    source: SleepSource,
    *,
    config: SleepConfig | None = None,
    progress: Progress = no_progress,
) -> tuple[SleepComparison, list[Variant]]:
    """Prepare the variants of the sleep head and the task that trains them; its encoder is always frozen.

    Raises
    ------
    LeakageError
        If a fold leaks.
    ConfigError
        If an encoder is to learn.
    """
    if choices.frozen_layers or choices.lora_ranks:
        raise ConfigError("an encoder is fine-tuned for heartbeats only; leave out frozen layers and ranks for sleep.")
    chosen = config or SleepConfig(n_networks=1)
    signal, fs = _repeated_demo(max(choices.footprint_s, SHORTEST_NIGHT_S))
    rows: dict[str, SleepRow] = {}
    variants: list[Variant] = []
    loaded = {folder: load_bundle(folder) for folder in choices.bundles}
    for folder, bundle in loaded.items():
        settings = read_layer(bundle, chosen)
        name = sleep_encoder_name(bundle, settings.layer)
        encoder = epoch_encoder(bundle, settings.layer)
        nights = source.read(encoder, name, progress=progress)
        cases: list[tuple[str, str, HeadKind, int]] = [
            (FROZEN, OURS, "night", encoder.n_embedding),
            *([(NO_ENCODER, BEATS, "night without encoder", 0)] if folder == choices.bundles[0] else []),  # type: ignore[list-item]
        ]
        for kind, trainer, head, n_embedding in cases:
            for n_units in choices.head_units:
                variant = Variant(
                    f"{bundle.name} {name[:6]}: {kind}, {n_units} units",
                    f"{n_units} units",
                    kind,
                    count_parameters(build_sleep_network(n_embedding, n_units=n_units)),
                    FootprintTask(folder, head, n_units, settings.layer, signal, fs),
                    bundle.name if n_embedding else "",
                )
                variants.append(variant)
                read = name if n_embedding else "none"
                rows[variant.row] = SleepRow(TRAINERS[trainer], replace(settings, n_units=n_units), nights, read)
    return assemble_sleep(source, rows, list(loaded.values()), ours=variants[0].row), variants


def _excerpt(path: Path, seconds: float) -> tuple[Signal, float]:
    """Return the first seconds of a recording's lead and its sampling frequency."""
    lead = read_record(path).lead()
    signal = lead.read(0, round(seconds * lead.fs))
    return np.nan_to_num(signal), lead.fs


def _repeated_demo(seconds: float) -> tuple[Signal, float]:
    """Return the demonstration recording's lead, again and again: few databases of nights have waveforms to time."""
    lead = demo_record().lead()
    return np.resize(np.nan_to_num(lead.read()), round(seconds * lead.fs)), lead.fs
