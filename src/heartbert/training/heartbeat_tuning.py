"""A trained beat-sequence head and its encoder -> both trained on together, with few weights of the encoder."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import PreTrainedModel

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError
from heartbert.levels import Codebook
from heartbert.predictions.beat_windows import LeadLevels, TokenReader
from heartbert.predictions.bilstm import BeatSequenceHead
from heartbert.predictions.heartbeats import (
    WAVEFORM_SAMPLES,
    HeartbeatHead,
    beat_intervals,
    late_beats,
    samples_around,
    untrained_like,
)
from heartbert.predictions.scorable import hide_unscorable
from heartbert.progress import Progress, no_progress
from heartbert.signals.beats import rr_features
from heartbert.signals.resampling import TARGET_FS
from heartbert.training.config import HeartbeatsConfig
from heartbert.training.heartbeat_encoder import (
    EncoderTuning,
    add_lora,
    check_layers,
    keep_best,
    layer_output,
    learning_copy,
    round_weights,
    shares_of_tokens,
    take_steps,
    train_layers,
    trainable,
)
from heartbert.training.heartbeat_leads import LabelledLead
from heartbert.training.heartbeats import (
    UNLABELLED,
    AnnotatedBeats,
    TrainedHead,
    calibrate_head,
    class_weights,
    score_head,
)


@dataclass(frozen=True)
class FineTuning(EncoderTuning):
    """How an encoder learns together with a beat-sequence head."""

    examples_per_step: int = 128


@dataclass(frozen=True)
class TunedHead:
    """A head, the model that was trained with it, and how many parameters learnt in all."""

    trained: TrainedHead
    model: PreTrainedModel
    n_parameters: int


def tune_head(
    bundle: Bundle,
    start: HeartbeatHead,
    leads: tuple[Sequence[LabelledLead], Sequence[LabelledLead]],
    settings: tuple[HeartbeatsConfig, FineTuning],
    *,
    progress: Progress = no_progress,
) -> TunedHead:
    """Train a head and a part of the encoder together.

    Parameters
    ----------
    bundle : Bundle
        With the encoder that `start` was trained on; it stays as it is.
    start : HeartbeatHead
    leads : (training, validation), sequences of LabelledLead
        Of different persons.
    settings : (HeartbeatsConfig, FineTuning)
        Of the head (its class balance, dropout and seed are used again), and of what follows.
    progress : callable

    Returns
    -------
    tuned : TunedHead
        A model without additions, rounded as it will be stored; the head is scored and calibrated on that.

    Raises
    ------
    ConfigError
        If the encoder has not so many layers below the head, or `peft` is needed and missing.
    """
    config, tuning = settings
    check_layers(tuning.n_layers, bundle.model, what="the number of layers to fine-tune")
    if tuning.n_layers > start.layer:
        raise ConfigError(
            f"{tuning.n_layers} layers are to learn, and the head reads layer {start.layer}; only those up to it have "
            f"an effect. Give at most {start.layer}."
        )
    model = learning_copy(bundle.model, tuning.device)
    additions = add_lora(model, n_layers=start.layer, rank=tuning.lora_rank) if tuning.lora_rank else None
    if additions is None:
        train_layers(model, range(start.layer - tuning.n_layers, start.layer), embeddings=False)
    reader = TokenReader(bundle.tokenizer, model.base_model, bundle.max_tokens)
    beats = beat_embedder(bundle, reader, start)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = _network(start, config.dropout).to(tuning.device)
        n_parameters = sum(parameter.numel() for parameter in trainable([model, network]))
        curve = keep_best([model, network], _epochs((model, network), beats, leads, settings, progress))
    if additions is not None:
        additions.merge_and_unload()
    model.requires_grad_(requires_grad=False)
    round_weights(model)
    head = HeartbeatHead(network.cpu().eval(), start.layer)
    final = [beats.embedded(one) for one in leads[1]]
    calibration = calibrate_head(head, final)
    scored = TrainedHead(
        replace(head, temperature=calibration.temperature), score_head(head, final), curve, calibration
    )
    return TunedHead(scored, model.cpu().eval(), n_parameters)


def _network(start: HeartbeatHead, dropout: float) -> BeatSequenceHead:
    first = start.network
    network = untrained_like(first, dropout=dropout)
    network.load_state_dict(first.state_dict())
    return network


def _epochs(
    parts: tuple[PreTrainedModel, BeatSequenceHead],
    beats: "BeatEmbedder",
    leads: tuple[Sequence[LabelledLead], Sequence[LabelledLead]],
    settings: tuple[HeartbeatsConfig, FineTuning],
    progress: Progress,
) -> Iterator[float]:
    """Train in place; yields macro-F1 on the validation recordings after each pass over the training beats."""
    (model, network), (training, validation), (config, tuning) = parts, leads, settings
    optimizer = torch.optim.AdamW(
        [
            {"params": trainable([model]), "lr": tuning.learning_rate},
            {"params": trainable([network]), "lr": tuning.head_learning_rate},
        ],
        weight_decay=0.01,
    )
    weights = class_weights([one.beats for one in training], config.class_balance).to(tuning.device)
    loss_of = nn.CrossEntropyLoss(weight=weights, ignore_index=UNLABELLED)
    rng = np.random.default_rng(config.seed)
    for epoch in range(tuning.n_training_epochs):
        progress(f"tuning, pass {epoch + 1}", epoch / tuning.n_training_epochs)
        network.train()
        take_steps(optimizer, _losses(network, beats, training, (tuning.examples_per_step, rng), loss_of))
        network.eval()
        head = HeartbeatHead(copy.deepcopy(network).cpu(), beats.layer)
        yield score_head(head, [beats.embedded(one) for one in validation])["macro_f1"]


def _losses(
    network: BeatSequenceHead,
    beats: "BeatEmbedder",
    leads: Sequence[LabelledLead],
    draw: tuple[int, np.random.Generator],
    loss_of: nn.CrossEntropyLoss,
) -> Iterator[torch.Tensor]:
    """Yield the loss of runs of consecutive beats; each run is compared with its own median beat."""
    examples_per_step, rng = draw
    runs = [
        (lead, slice(max(first, 0), first + examples_per_step))
        for lead in leads
        for first in range(-int(rng.integers(examples_per_step)), lead.beats.r_peaks.size, examples_per_step)
    ]
    for number in rng.permutation(len(runs)).tolist():
        lead, rows = runs[number]
        if not (lead.beats.labels[rows] != UNLABELLED).any():
            continue
        embeddings = beats.embed(lead.lead, lead.beats.r_peaks[rows])[None]
        labels = torch.from_numpy(lead.beats.labels[rows]).to(embeddings.device)
        rr = rr_features(lead.beats.r_peaks / TARGET_FS)[rows]
        late = torch.from_numpy(late_beats(rr)).to(embeddings.device)
        usual = embeddings[:, late].median(dim=1, keepdim=True).values
        yield loss_of(network(embeddings, usual, torch.from_numpy(rr)[None].to(embeddings.device))[0], labels)


def beat_embedder(bundle: Bundle, reader: TokenReader, head: HeartbeatHead) -> "BeatEmbedder":
    """Return what embeds beats with the encoder of a reader as a head reads them."""
    codebook = bundle.preprocessing.codebook if head.network.n_waveform else None
    return BeatEmbedder(reader, bundle.preprocessing.window_samples, head.layer, codebook)


@dataclass(frozen=True)
class BeatEmbedder:
    """Embeds beats as `HeartBert.beat_embeddings` does, from levels and with gradients.

    Attributes
    ----------
    reader : TokenReader
    window_samples : int
        The windows that the lead is cut into start at multiples of it.
    layer : int
        Encoder layer that is pooled.
    codebook : Codebook or None
        Gives the waveform of each beat, which stands behind its embedding; None leaves it out.
    """

    reader: TokenReader
    window_samples: int
    layer: int
    codebook: Codebook | None = None

    def embed(self, lead: LeadLevels, r_peaks: npt.NDArray[np.int64]) -> torch.Tensor:
        """Embed consecutive beats, at least one.

        Returns
        -------
        embeddings : Tensor of float32, shape (n_beats, n_parts * hidden_size + n_waveform)
            On the encoder's device.
        """
        starts, stops = beat_intervals(r_peaks)
        first = max(int(starts.min()), 0) // self.window_samples * self.window_samples
        last = -(-int(stops.max()) // self.window_samples) * self.window_samples
        unscorable = lead.unscorable[first:last]
        tokens = self.reader.tokenizer.encode_levels(
            lead.levels[first:last], self.window_samples, max_tokens=self.reader.max_tokens
        )
        window_starts = np.arange(0, unscorable.size, self.window_samples)
        tokens, usable = hide_unscorable(tokens, window_starts, unscorable)
        states = layer_output(self.reader.encoder, tokens, self.layer)
        hidden = states[torch.from_numpy(usable).to(states.device)]  # (n_tokens, hidden_size)
        covered = (tokens.offsets + (window_starts[tokens.rows_of] + first)[:, None, None])[usable]
        weights = torch.from_numpy(shares_of_tokens(starts.ravel(), stops.ravel(), covered)).to(states.device)
        embeddings: torch.Tensor = (weights @ hidden).reshape(r_peaks.size, -1)
        if self.codebook is None:
            return embeddings
        signal = self.codebook.dequantize(lead.levels[first:last])
        waveforms = torch.from_numpy(samples_around(signal, r_peaks - first, WAVEFORM_SAMPLES)).float()
        return torch.cat([embeddings, waveforms.to(embeddings.device)], dim=1)

    @torch.no_grad()
    def embedded(self, labelled: LabelledLead, *, beats_at_a_time: int = 256) -> AnnotatedBeats:
        """Return the beats of a lead with their embeddings, as float16 and without gradients."""
        beats = labelled.beats
        parts = [
            self.embed(labelled.lead, beats.r_peaks[start : start + beats_at_a_time]).cpu().numpy().astype(np.float16)
            for start in range(0, beats.r_peaks.size, beats_at_a_time)
        ]
        n_waveform = 0 if self.codebook is None else WAVEFORM_SAMPLES.size
        n_embedding = int(self.reader.encoder.config.hidden_size) * beat_intervals(np.zeros(1, dtype=np.int64))[0].size
        none = np.empty((0, n_embedding + n_waveform), dtype=np.float16)
        return replace(beats, embeddings=np.concatenate([none, *parts]), n_waveform=n_waveform)
