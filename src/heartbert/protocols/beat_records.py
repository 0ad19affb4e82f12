"""The beats of a recording in every form that a row of the table reads: embedding, waveform, raw signal."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.bundle import Bundle
from heartbert.embeddings.encoder import build_encoder
from heartbert.evaluation.ec57_files import read_marks
from heartbert.evaluation.ec57_marks import Marks
from heartbert.evaluation.leakage import Examples
from heartbert.files import replacing_file
from heartbert.pipeline import HeartBert
from heartbert.predictions.bilstm import N_PARTS
from heartbert.predictions.heartbeats import WAVEFORM_SAMPLES, HeartbeatHead, build_network, samples_around
from heartbert.records import read_record
from heartbert.records.record import Channel
from heartbert.signals.scaling import Scaling
from heartbert.training.config import EncoderConfig, HeartbeatsConfig
from heartbert.training.heartbeats import AnnotatedBeats, label_beats

# Who placed the beats: our detector, or the people who annotated them.
Placement = Literal["reference", "detected"]
PLACEMENTS: tuple[Placement, ...] = ("reference", "detected")
# What a row reads of a beat, beside its RR intervals.
Input = Literal["encoder", "random encoder", "waveform", "signal", "nothing"]

# The raw signal around a beat: 3 s, every third sample at 360 Hz; the filter has left nothing above 40 Hz.
SIGNAL_SAMPLES = np.arange(-540, 540, 3)
# Seed of the encoder's random weights.
_RANDOM_SEED = 7
# Settings of a head that the name of a run tells apart: the seed is in it, the others are in `digest_read`.
APART = ("n_seeds", "seed", "layer", "reads")


def digest_read(reads: Input, bundle: Bundle, config: HeartbeatsConfig) -> str:
    """Tell apart what an input depends on; that of an encoder is the same, be its weights random or not."""
    if reads in ("encoder", "random encoder"):
        return f"{bundle.embedding_digest}, layer {config.layer}, {config.reads}"
    return bundle.signal_digest


@dataclass(frozen=True)
class BeatRecord:
    """The beats of one recording, placed by one annotator.

    Attributes
    ----------
    examples : Examples
        Who and what this is, for the leakage guard.
    beats : AnnotatedBeats
        Its `embeddings` have shape (n_beats, 0).
    inputs : mapping of Input to ndarray of float16, shape (n_beats, n_numbers)
    reference : Marks
        All reference annotations.
    duration_s : float
    """

    examples: Examples
    beats: AnnotatedBeats
    inputs: Mapping[Input, npt.NDArray[np.float16]]
    reference: Marks
    duration_s: float

    def with_input(self, name: Input, *, waveform: bool = False) -> AnnotatedBeats:
        """Return the beats with one of the inputs in the place of their embeddings, and their waveform behind it."""
        if not waveform:
            return replace(self.beats, embeddings=self.inputs[name])
        behind = self.inputs["waveform"]
        return replace(self.beats, embeddings=np.hstack([self.inputs[name], behind]), n_waveform=behind.shape[1])


@dataclass(frozen=True)
class Encoders:
    """The encoder of a bundle, and the same with random weights.

    Attributes
    ----------
    bundles : mapping of Input to Bundle
    layer : int
        Layer that is read.
    cache : Path or None
        Folder for embeddings, so that they are computed once.
    """

    bundles: Mapping[Input, Bundle]
    layer: int
    cache: Path | None = None

    def embed(
        self, name: Input, path: Path, scaling: Scaling, r_peaks: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float16]:
        """Embed the beats of a recording at given R-peaks, increasing, at 360 Hz; shape (n_beats, n_embedding)."""
        cached = None if self.cache is None else self.cache / f"{path.stem}-{self._key(name, path, r_peaks)}.npy"
        if cached is not None and cached.exists():
            return np.asarray(np.load(cached, allow_pickle=False), dtype=np.float16)
        embeddings = embed_at(self.bundles[name], self.layer, read_record(path).lead(), scaling, r_peaks)
        if cached is not None:
            with replacing_file(cached) as temporary:
                np.save(temporary, embeddings, allow_pickle=False)
        return embeddings

    def _key(self, name: Input, path: Path, r_peaks: npt.NDArray[np.int64]) -> str:
        parts = [self.bundles[name].embedding_digest, self.layer, str(path.resolve()), path.stat().st_size]
        return hashlib.sha256(json.dumps(parts).encode() + r_peaks.tobytes()).hexdigest()[:16]


def encoders_of(bundle: Bundle, layer: int, *, cache: Path | None = None) -> Encoders:
    """Return the encoder of a bundle and one of the same shape with random weights."""
    config = EncoderConfig(**bundle.manifest["config"]["encoder"])
    random = replace(bundle, model=build_encoder(config, bundle.tokenizer.n_tokens, seed=_RANDOM_SEED).eval())
    return Encoders({"encoder": bundle, "random encoder": random}, layer, cache)


def embed_at(
    bundle: Bundle, layer: int, channel: Channel, scaling: Scaling, r_peaks: npt.NDArray[np.int64]
) -> npt.NDArray[np.float16]:
    """Embed P wave, QRS complex and T wave around given samples of a lead, shape (n_beats, n_parts * hidden_size)."""
    # The head only tells the pipeline which layer to read.
    reading = HeartBert(
        replace(bundle, heartbeats=HeartbeatHead(build_network(N_PARTS, n_units=1, dropout=0.0), layer))
    )
    return reading.beat_embeddings(channel, scaling, r_peaks)


def read_beats(
    encoders: Encoders, path: Path, examples: Examples, *, annotator: str = "atr"
) -> dict[Placement, BeatRecord]:
    """Read an annotated recording and give its beats in every form, as placed by the reference and by the detector.

    Raises
    ------
    RecordFormatError
        If the annotation file holds no beat.
    """
    preprocessing = encoders.bundles["encoder"].preprocessing
    detected, scaling = label_beats(preprocessing, path, annotator=annotator)
    channel = read_record(path).lead()
    signal = np.concatenate([scaling.apply(block.inner_signal) for block in preprocessing.stream(channel)])
    reference, _ = label_beats(preprocessing, path, annotator=annotator, beats="reference")
    placed = {"reference": reference, "detected": detected}
    # Both placements are embedded in one pass over the recording.
    samples = np.union1d(reference.r_peaks, detected.r_peaks)
    embedded: dict[Input, npt.NDArray[np.float16]] = {
        name: encoders.embed(name, path, scaling, samples) for name in encoders.bundles
    }
    marks = read_marks(path, annotator)
    found: dict[Placement, BeatRecord] = {}
    for placement in PLACEMENTS:
        beats = placed[placement]
        index = np.searchsorted(samples, beats.r_peaks)
        inputs: dict[Input, npt.NDArray[np.float16]] = {
            **{name: embeddings[index] for name, embeddings in embedded.items()},
            "waveform": samples_around(signal, beats.r_peaks, WAVEFORM_SAMPLES),
            "signal": samples_around(signal, beats.r_peaks, SIGNAL_SAMPLES),
            "nothing": np.zeros((beats.r_peaks.size, N_PARTS), dtype=np.float16),
        }
        found[placement] = BeatRecord(examples, beats, inputs, marks, channel.duration_s)
    return found
