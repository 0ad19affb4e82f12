"""Encoders of a lead that are compared with ours: anything that turns a signal into vectors with times."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soxr
import torch

from heartbert.bundle import Bundle
from heartbert.embeddings.embed import IntervalPooler, embed
from heartbert.errors import ConfigError, SignalTooShortError
from heartbert.predictions.heartbeats import beat_intervals
from heartbert.predictions.scorable import hide_unscorable
from heartbert.predictions.sleep_epochs import EPOCH_FS, EPOCH_SAMPLES, EpochEncoder, amplitudes_by_rank
from heartbert.records.record import ArraySource, Channel
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.survey import survey_lead

Signal = npt.NDArray[np.float32]
# Gives stretches of signal, shape (n_stretches, n_samples), their vectors, shape (n_stretches, n_vectors, n_features).
Apply = Callable[[Signal], Signal]
# Stretches given to an encoder at a time.
_STRETCHES_AT_A_TIME = 32


@dataclass(frozen=True)
class SignalVectors:
    """What an encoder makes of a lead: vectors in time order that do not overlap.

    Attributes
    ----------
    vectors : ndarray of float32, shape (n_vectors, n_features)
    starts_s, stops_s : ndarray of float64, shape (n_vectors,)
        The time that each vector stands for, in seconds from the start of the signal.

    Raises
    ------
    ConfigError
        If the shapes differ, a value is not finite, or times overlap or run backwards.
    """

    vectors: npt.NDArray[np.float32]
    starts_s: npt.NDArray[np.float64]
    stops_s: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        n_vectors = self.vectors.shape[0]
        if self.vectors.ndim != 2 or self.starts_s.shape != (n_vectors,) or self.stops_s.shape != (n_vectors,):
            raise ConfigError(
                f"an encoder gave vectors of shape {self.vectors.shape} with {self.starts_s.shape} starts and "
                f"{self.stops_s.shape} stops; it must give (n_vectors, n_features) and one of each. Correct it."
            )
        if not np.isfinite(self.vectors).all():
            raise ConfigError("an encoder gave a vector that is not finite; leave such vectors out, or correct it.")
        if (self.stops_s <= self.starts_s).any() or (self.starts_s[1:] < self.stops_s[:-1] - 1e-9).any():
            raise ConfigError("the times of an encoder's vectors overlap or run backwards; give them in order, apart.")


class SignalEncoder(Protocol):
    """Anything that turns one lead into vectors."""

    def embed(self, signal: Signal, fs: float) -> SignalVectors:
        """Embed a lead of any length.

        Parameters
        ----------
        signal : ndarray of float32, shape (n_samples,)
            Usually in mV; finite.
        fs : float
            In Hz.
        """


def pool_beats(found: SignalVectors, r_peaks: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
    """Average vectors over P wave, QRS complex and T wave of beats, as our own encoder's tokens are averaged.

    Parameters
    ----------
    found : SignalVectors
    r_peaks : ndarray of int64, shape (n_beats,)
        At 360 Hz.

    Returns
    -------
    embeddings : ndarray of float16, shape (n_beats, 3 * n_features)
        Zero where no vector lies; an encoder with vectors longer than a beat gives all three parts nearly alike.
    """
    pooler = IntervalPooler(0)
    starts, stops = (np.round(times * TARGET_FS).astype(np.int64) for times in (found.starts_s, found.stops_s))
    pooler.add(starts, stops, found.vectors)
    means = pooler.mean(*beat_intervals(r_peaks))
    largest = float(np.finfo(np.float16).max)
    return np.clip(means.reshape(r_peaks.size, -1), -largest, largest).astype(np.float16)


@dataclass(frozen=True)
class BundleEncoder:
    """The encoder of a bundle as one among others: a vector a token.

    Attributes
    ----------
    bundle : Bundle
    layer : int
        Encoder layer whose tokens are given.
    """

    bundle: Bundle
    layer: int

    def embed(self, signal: Signal, fs: float) -> SignalVectors:
        """Embed a lead in mV; tokens of signal that cannot be scored are left out."""
        preprocessing = self.bundle.preprocessing
        channel = Channel("lead", fs, "mV", signal.size, "ecg", ArraySource(signal))
        scaling = preprocessing.scaling_rule.fit(survey_lead(preprocessing.stream(channel)).ranges)
        starts, stops, vectors = [], [], []
        for block in preprocessing.stream(channel):
            levels = preprocessing.codebook.quantize(scaling.apply(block.inner_signal))
            tokens = self.bundle.tokenizer.encode_levels(
                levels, preprocessing.window_samples, max_tokens=self.bundle.max_tokens
            )
            windows = np.arange(0, levels.size, preprocessing.window_samples)
            tokens, usable = hide_unscorable(tokens, windows, block.inner_codes != 0)
            embedded = embed(self.bundle.model.base_model, tokens, layer=self.layer, last=False)
            kept = usable[tokens.offsets[..., 1] > tokens.offsets[..., 0]]
            first = windows[embedded.window[kept]] + block.start
            starts.append(embedded.starts[kept] + first)
            stops.append(embedded.stops[kept] + first)
            vectors.append(embedded.inner[kept])
        return SignalVectors(
            np.concatenate(vectors), np.concatenate(starts) / TARGET_FS, np.concatenate(stops) / TARGET_FS
        )


@dataclass(frozen=True)
class StretchEncoder:
    """An encoder that reads stretches of one length at its own sampling frequency.

    Attributes
    ----------
    apply : callable
        Of stretches, shape (n_stretches, stretch_samples); gives vectors that divide each stretch evenly.
    fs : float
        In Hz.
    stretch_samples : int
    """

    apply: Apply
    fs: float
    stretch_samples: int

    def embed(self, signal: Signal, fs: float) -> SignalVectors:
        """Embed a lead; the last stretch is filled up with its last sample, vectors of the filling are left out.

        Raises
        ------
        SignalTooShortError
            If there is no sample.
        """
        own = soxr.resample(signal, fs, self.fs) if fs != self.fs else signal
        if not own.size:
            raise SignalTooShortError(
                f"a signal of {signal.size} samples at {fs:g} Hz cannot be embedded; give a longer one."
            )
        padded = np.pad(own, (0, -own.size % self.stretch_samples), mode="edge").astype(np.float32)
        stretches = padded.reshape(-1, self.stretch_samples)
        parts = [
            self.apply(stretches[start : start + _STRETCHES_AT_A_TIME])
            for start in range(0, len(stretches), _STRETCHES_AT_A_TIME)
        ]
        vectors = np.concatenate(parts)  # (n_stretches, n_vectors, n_features)
        n_vectors = vectors.shape[0] * vectors.shape[1]
        edges = np.arange(n_vectors + 1) * (self.stretch_samples / vectors.shape[1] / self.fs)
        inside = edges[:-1] < own.size / self.fs
        flat = vectors.reshape(n_vectors, -1).astype(np.float32)
        return SignalVectors(flat[inside], edges[:-1][inside], edges[1:][inside])


@dataclass(frozen=True)
class SignalEpochEncoder(EpochEncoder):
    """Any encoder in the place of ours for the epochs of a night; a subclass, for the readers of nights take that.

    The epochs are those that our encoder reads, 33.3 Hz and amplitudes by rank, so that waveform and published text are
    read alike; mean and standard deviation of an epoch's vectors are taken.

    Attributes
    ----------
    signal_encoder : SignalEncoder
    """

    signal_encoder: SignalEncoder

    @property
    def n_embedding(self) -> int:
        """Numbers of an epoch's vector, found by embedding an empty epoch."""
        return self._encode(np.zeros(EPOCH_SAMPLES, dtype=np.float32)).size

    def encode(self, epochs: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Embed the epochs of one recording; see `EpochEncoder.encode`."""
        embeddings = np.full((epochs.shape[0], self.n_embedding), np.nan, dtype=np.float32)
        whole = np.flatnonzero(np.isfinite(epochs.astype(np.float64)).all(axis=1))
        if whole.size:
            amplitudes = amplitudes_by_rank(epochs[whole], self.preprocessing.codebook)
            embeddings[whole] = [self._encode(one) for one in amplitudes]
        return embeddings

    def _encode(self, epoch: Signal) -> npt.NDArray[np.float32]:
        found = self.signal_encoder.embed(epoch, EPOCH_FS)
        weights = found.stops_s - found.starts_s
        mean = np.average(found.vectors, axis=0, weights=weights)
        spread = np.sqrt(np.average((found.vectors - mean) ** 2, axis=0, weights=weights))
        return np.concatenate([mean, spread]).astype(np.float32)


@dataclass(frozen=True)
class Adapter:
    """How a public encoder is loaded from a folder that its user has downloaded.

    Attributes
    ----------
    package, install : str
        Python package that it needs, and the line that installs it.
    download : str
        The line that fetches weights, into ``FOLDER``.
    licence : str
        Of the weights, as their authors state it.
    fs : float
        Sampling frequency in Hz at which it is given the signal.
    stretch_samples : int
        Samples that it reads at a time.
    load : callable
        Of the imported package and the folder.
    """

    package: str
    install: str
    download: str
    licence: str
    fs: float
    stretch_samples: int
    load: Callable[[Any, Path], Apply]


def load_rival(name: str, folder: Path) -> StretchEncoder:
    """Load a public encoder by name from a local folder; nothing is downloaded.

    Parameters
    ----------
    name : str
        One of `ADAPTERS`.
    folder : Path
        Where its weights and its ``config.json`` are.

    Raises
    ------
    ConfigError
        If the name is unknown, the folder holds no model, or a package is missing; the message says what to run.
    """
    if name not in ADAPTERS:
        raise ConfigError(f"there is no adapter for '{name}'; choose one of {', '.join(ADAPTERS)}.")
    adapter = ADAPTERS[name]
    if not (folder / "config.json").is_file():
        download = adapter.download.replace("FOLDER", str(folder))
        raise ConfigError(f"'{folder}' holds no {name}: config.json is missing. Fetch it with: {download}")
    try:
        package = importlib.import_module(adapter.package)
    except ImportError as error:
        raise ConfigError(
            f"{name} needs the package '{adapter.package}', which is not installed. Run: {adapter.install}"
        ) from error
    return StretchEncoder(adapter.load(package, folder), adapter.fs, adapter.stretch_samples)


def _load_hubert_ecg(package: Any, folder: Path) -> Apply:
    """Load HuBERT-ECG; its package registers the model, so no code of the folder runs. Stretches become -1 to 1."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(str(folder), local_files_only=True).eval()

    @torch.inference_mode()
    def apply(stretches: Signal) -> Signal:
        largest = np.maximum(np.abs(stretches).max(axis=1, keepdims=True), np.float32(1e-6))
        vectors: Signal = model(torch.from_numpy(stretches / largest)).last_hidden_state.float().numpy()
        return vectors

    return apply


def _load_chronos(package: Any, folder: Path) -> Apply:
    """Load Chronos (T5); the vector of the end mark is left out."""
    pipeline = package.ChronosPipeline.from_pretrained(str(folder), device_map="cpu")

    @torch.inference_mode()
    def apply(stretches: Signal) -> Signal:
        vectors, _ = pipeline.embed(torch.from_numpy(stretches))
        kept: Signal = vectors[:, : stretches.shape[1]].float().numpy()
        return kept

    return apply


def _load_moment(package: Any, folder: Path) -> Apply:
    """Load MOMENT; a vector a patch."""
    pipeline = package.MOMENTPipeline.from_pretrained(
        str(folder), model_kwargs={"task_name": "embedding"}, local_files_only=True
    )
    pipeline.init()
    pipeline.eval()

    @torch.inference_mode()
    def apply(stretches: Signal) -> Signal:
        found = pipeline.embed(x_enc=torch.from_numpy(stretches)[:, None], reduction="none")
        vectors: Signal = found.embeddings[:, 0].float().numpy()
        return vectors

    return apply


_FETCH = "hf download {} --local-dir FOLDER"
ADAPTERS: Mapping[str, Adapter] = MappingProxyType(
    {
        # Pre-trained on 12 leads of 5 s at 100 Hz, one after the other; here it is given one lead of 5 s.
        "hubert-ecg": Adapter(
            "hubert_ecg",
            "pip install git+https://github.com/Edoar-do/HuBERT-ECG",
            _FETCH.format("Edoardo-BS/hubert-ecg-small"),
            "CC BY-NC 4.0",
            100.0,
            500,
            _load_hubert_ecg,
        ),
        # One vector a sample, contexts of 512; at 100 Hz a context is 5 s.
        "chronos": Adapter(
            "chronos",
            "pip install chronos-forecasting",
            _FETCH.format("amazon/chronos-t5-small"),
            "Apache-2.0",
            100.0,
            512,
            _load_chronos,
        ),
        # Patches of 8 of 512 samples; at 100 Hz a patch is 80 ms, shorter than a QRS complex.
        "moment": Adapter(
            "momentfm",
            "pip install momentfm",
            _FETCH.format("AutonLab/MOMENT-1-small"),
            "MIT",
            100.0,
            512,
            _load_moment,
        ),
    }
)
"""Public encoders by name."""
