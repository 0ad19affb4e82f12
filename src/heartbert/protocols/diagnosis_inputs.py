"""What the rows of the diagnosis table read of a recording, computed once and kept: signal, features, embeddings."""

import hashlib
import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from heartbert.bundle import Bundle
from heartbert.embeddings.encoder import build_encoder
from heartbert.files import replacing_file
from heartbert.pipeline import HeartBert
from heartbert.predictions.pooled_leads import LeadPooler, Pooling
from heartbert.preprocessing import Preprocessing
from heartbert.progress import Progress, no_progress
from heartbert.protocols.diagnosis_data import LEADS, Amplitude, DiagnosisRecord, twelve_leads
from heartbert.protocols.diagnosis_features import describe_recording
from heartbert.records import read_record
from heartbert.records.record import Channel
from heartbert.signals.beats import detect_r_peaks
from heartbert.signals.resampling import TARGET_FS, resample_padded
from heartbert.training.config import EncoderConfig
from heartbert.workers import open_workers

Floats = npt.NDArray[np.float32]
Input = Literal["nothing", "features", "signals", "random encoder", "encoder"]

SIGNAL_FS, DURATION_S = 100.0, 10.0
"""Of the raw signals: the rate at which PTB-XL is usually read, and the length of its recordings."""
_N_SAMPLES = round(SIGNAL_FS * DURATION_S)
_RANDOM_SEED = 7
# Recordings that are computed together: 48 leads fill the batches of the encoder.
_GROUP = 4


@dataclass(frozen=True)
class InputSettings:
    """How recordings become inputs.

    Attributes
    ----------
    bundle : Path or None
        Folder of a bundle; None is the one that ships.
    layer : int
        Layer of the encoder that is pooled.
    pooling : {"mean", "mean-std"}
        Over the tokens of each lead.
    """

    bundle: Path | None
    layer: int
    pooling: Pooling = "mean-std"


@dataclass(frozen=True)
class InputStore:
    """Inputs in a folder, one file a recording, so that an interrupted run continues there.

    Attributes
    ----------
    folder : Path
    settings : InputSettings
    amplitude : {"mV", "standard deviations"}
    n_workers : int
        Processes that compute; 1 starts none.
    """

    folder: Path
    settings: InputSettings
    amplitude: Amplitude
    n_workers: int = 1

    def read(
        self, name: Input, records: Sequence[DiagnosisRecord], *, progress: Progress = no_progress
    ) -> npt.NDArray[np.floating]:
        """Return an input of recordings, computed where it is not there yet.

        Returns
        -------
        values : ndarray, shape (n_records, ...)
            ``nothing``: (0,). ``features``: (n_features,). ``signals``: float16, (12, 1000), 10 s at 100 Hz.
            Encoders: (12, n_embedding), NaN for a lead that cannot be scored.
        """
        if name == "nothing":
            return np.empty((len(records), 0), dtype=np.float32)
        paths = [self._path(name, record) for record in records]
        todo = [index for index, path in enumerate(paths) if not path.is_file()]
        groups = [todo[start : start + _GROUP] for start in range(0, len(todo), _GROUP)]
        with open_workers(self.n_workers if todo else 1, chunk=1) as run:
            compute = partial(_compute, name, self.settings, self.amplitude)
            found = run(compute, [[records[index].path for index in group] for group in groups])
            for number, (group, values) in enumerate(zip(groups, found, strict=True)):
                progress(f"{name} of recordings", number / len(groups))
                for index, value in zip(group, values, strict=True):
                    with replacing_file(paths[index]) as temporary:
                        np.save(temporary, value, allow_pickle=False)
        return np.stack([np.load(path, allow_pickle=False) for path in paths])

    def key(self, name: Input) -> str:
        """Name the settings that an input depends on: what embeds by digest, the layer, the unit."""
        bundle = _bundle(self.settings.bundle)
        if name in {"encoder", "random encoder"}:
            parts = [bundle.embedding_digest, self.settings.layer, self.settings.pooling]
        else:
            parts = [asdict(bundle.preprocessing.band), self.amplitude]
        digest = hashlib.sha256(json.dumps([name, *parts], sort_keys=True).encode()).hexdigest()
        return f"{name.replace(' ', '-')}-{digest[:12]}"

    def _path(self, name: Input, record: DiagnosisRecord) -> Path:
        return self.folder / self.key(name) / f"{record.path.stem}.npy"


def default_layer(bundle: Bundle) -> int:
    """Return a layer about two thirds up, whose features serve other tasks better than the last."""
    return round(int(bundle.model.config.num_hidden_layers) * 2 / 3)


def _compute(
    name: Input, settings: InputSettings, amplitude: Amplitude, paths: Sequence[Path]
) -> list[npt.NDArray[np.floating]]:
    """Compute one input of some recordings; in a worker, with one thread."""
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # pragma: no cover - in another process
    if name in {"encoder", "random encoder"}:
        return _embed(_pooler(settings, is_random=name == "random encoder"), paths)
    preprocessing = _bundle(settings.bundle).preprocessing
    signals = [_leads_at_360hz(path, preprocessing, amplitude) for path in paths]
    if name == "signals":
        return [_at_100hz(leads) for leads in signals]
    return [describe_recording(leads, detect_r_peaks(leads[LEADS.index("II")])) for leads in signals]


@lru_cache(maxsize=1)
def _bundle(folder: Path | None) -> Bundle:
    return HeartBert.load(folder).bundle


@lru_cache(maxsize=1)
def _pooler(settings: InputSettings, *, is_random: bool) -> LeadPooler:
    bundle = _bundle(settings.bundle)
    if is_random:
        config = EncoderConfig(**bundle.manifest["config"]["encoder"])
        bundle = replace(bundle, model=build_encoder(config, bundle.tokenizer.n_tokens, seed=_RANDOM_SEED).eval())
    return LeadPooler(bundle.preprocessing, bundle.token_reader, settings.layer, settings.pooling)


def _embed(pooler: LeadPooler, paths: Sequence[Path]) -> list[npt.NDArray[np.floating]]:
    channels = [channel for path in paths for channel in twelve_leads(read_record(path))]
    return list(pooler.embed(channels).reshape(len(paths), len(LEADS), -1))


def _leads_at_360hz(path: Path, preprocessing: Preprocessing, amplitude: Amplitude) -> Floats:
    leads = np.stack([_filtered(channel, preprocessing) for channel in twelve_leads(read_record(path))])
    if amplitude == "mV":
        return leads
    deviations = leads.std(axis=1, keepdims=True)
    return np.asarray(leads / np.where(deviations > 0, deviations, 1.0), dtype=np.float32)


def _filtered(channel: Channel, preprocessing: Preprocessing) -> Floats:
    return np.concatenate([block.inner_signal for block in preprocessing.stream(channel)])


def _at_100hz(leads: Floats) -> npt.NDArray[np.float16]:
    """Resample to 10 s at 100 Hz; a shorter recording is followed by zeros."""
    ratio = Fraction(round(SIGNAL_FS), round(TARGET_FS))
    signals = np.zeros((len(leads), _N_SAMPLES), dtype=np.float16)
    for lead, signal in zip(leads, signals, strict=True):
        found = resample_padded(lead, ratio)[:_N_SAMPLES]
        signal[: found.size] = found
    return signals
