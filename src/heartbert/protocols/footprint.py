"""What it costs to run an encoder with a head on one lead: operations, time and memory, all of them measured."""

import multiprocessing
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from heartbert.bundle import Bundle, load_bundle
from heartbert.errors import ConfigError
from heartbert.pipeline import HeartBert
from heartbert.predictions.heartbeats import (
    WAVEFORM_SAMPLES,
    HeartbeatHead,
    build_network,
    classify_heartbeats,
    samples_around,
)
from heartbert.predictions.sleep_epochs import cut_epochs
from heartbert.predictions.sleep_night import Night, describe_night
from heartbert.predictions.sleep_stages import build_sleep_network, ensemble_probabilities
from heartbert.protocols.sleep_data import epoch_encoder
from heartbert.records.record import ArraySource, Channel
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.survey import survey_lead

Signal = npt.NDArray[np.float32]
# What runs: the head over beats or over the epochs of a night, with the encoder below it or without.
HeadKind = Literal["beats", "beats without encoder", "night", "night without encoder"]


@dataclass(frozen=True)
class FootprintTask:
    """What is run to be measured; small enough to be handed to another process.

    Attributes
    ----------
    bundle : Path
        Folder; its preprocessing runs in every case.
    head : HeadKind
    n_units : int
        LSTM units in each direction.
    layer : int
        Encoder layer that the head reads.
    signal : ndarray of float32, shape (n_samples,)
        One lead in mV.
    fs : float
        In Hz.
    n_waveform : int
        Numbers of the waveform that the head reads beside the embedding of each beat.
    n_repeats : int
    """

    bundle: Path
    head: HeadKind
    n_units: int
    layer: int
    signal: Signal
    fs: float
    n_waveform: int = 0
    n_repeats: int = 5

    @property
    def seconds(self) -> float:
        """Duration of the lead."""
        return self.signal.size / self.fs


@dataclass(frozen=True)
class Footprint:
    """What was measured.

    Attributes
    ----------
    mflops : float
        Million floating-point operations a lead-second in matrix products, a multiplication with its addition counted
        as two; encoder and head, padding included.
    latency_ms : float
        Time a lead-second from signal to probabilities, beat detection left out: the median of the repeats.
    peak_mb : float
        Most memory that a process of its own held, libraries and weights included.
    n_encoder, n_head : int
        Parameters.
    n_threads : int
    """

    mflops: float
    latency_ms: float
    peak_mb: float
    n_encoder: int
    n_head: int
    n_threads: int


@dataclass(frozen=True)
class _Runnable:
    run: Callable[[], object]
    n_encoder: int
    n_head: int


def measure_footprint(task: FootprintTask) -> Footprint:
    """Run and measure in this process; its memory counts whatever was there before.

    Raises
    ------
    ConfigError
        If there is no repeat.
    """
    if task.n_repeats < 1:
        raise ConfigError(f"{task.n_repeats} repeats are to be timed; at least 1 is needed. Raise it.")
    made = _prepare(task)
    made.run()  # the first one pays for what is compiled and allocated once
    latency_s = statistics.median(_seconds_of(made.run) for _ in range(task.n_repeats))
    peak_mb = _peak_mb()
    return Footprint(
        mflops=count_flops(made.run) / task.seconds / 1e6,
        latency_ms=latency_s / task.seconds * 1e3,
        peak_mb=peak_mb,
        n_encoder=made.n_encoder,
        n_head=made.n_head,
        n_threads=torch.get_num_threads(),
    )


def measure_in_fresh_process(task: FootprintTask) -> Footprint:
    """Run and measure in a process of its own, so that memory is that of the task alone."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        return executor.submit(measure_footprint, task).result()


def count_flops(run: Callable[[], object]) -> int:
    """Count the floating-point operations in matrix products, those of attention and LSTM included.

    Fused kernels hide what they multiply, so attention and LSTM run unfused while they are counted.

    Examples
    --------
    >>> layer = torch.nn.Linear(10, 3)
    >>> count_flops(lambda: layer(torch.zeros(5, 10)))
    300
    """
    counter = FlopCounterMode(display=False)
    with warnings.catch_warnings():
        # torch 2.13 warns of a missing Intel GPU whenever oneDNN is switched off or on.
        warnings.simplefilter("ignore", UserWarning)
        with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False), counter:
            run()
    return int(counter.get_total_flops())


def count_parameters(module: torch.nn.Module) -> int:
    """Count all parameters, those that learn and those that do not; shared ones once."""
    return sum(parameter.numel() for parameter in module.parameters())


def _prepare(task: FootprintTask) -> _Runnable:
    bundle = load_bundle(task.bundle)
    channel = Channel("II", task.fs, "mV", task.signal.size, "ecg", ArraySource(task.signal))
    prepare = _prepare_beats if task.head.startswith("beats") else _prepare_night
    return prepare(task, bundle, channel)


def _prepare_beats(task: FootprintTask, bundle: Bundle, channel: Channel) -> _Runnable:
    survey = survey_lead(bundle.preprocessing.stream(channel))
    scaling = bundle.preprocessing.scaling_rule.fit(survey.ranges)
    reads_encoder = task.head == "beats"
    n_waveform = task.n_waveform if reads_encoder else 0
    n_embedding = 3 * int(bundle.model.config.hidden_size) + n_waveform if reads_encoder else WAVEFORM_SAMPLES.size
    network = build_network(n_embedding, n_units=task.n_units, dropout=0.0, n_waveform=n_waveform).eval()
    head = HeartbeatHead(network, task.layer)

    def embeddings() -> npt.NDArray[np.float16]:
        if reads_encoder:
            return HeartBert(bundle).beat_embeddings(
                channel, scaling, survey.r_peaks, layer=task.layer, n_waveform=n_waveform
            )
        blocks = bundle.preprocessing.stream(channel)
        signal = np.concatenate([scaling.apply(block.inner_signal) for block in blocks])
        return samples_around(signal, survey.r_peaks, WAVEFORM_SAMPLES)

    n_encoder = count_parameters(bundle.model.base_model) if reads_encoder else 0
    return _Runnable(
        lambda: classify_heartbeats(head, embeddings(), survey.r_peaks), n_encoder, count_parameters(network)
    )


def _prepare_night(task: FootprintTask, bundle: Bundle, channel: Channel) -> _Runnable:
    """Stage the whole epochs of the lead; beats and their variability are found once, outside of what is timed."""
    reads_encoder = task.head == "night"
    encoder = epoch_encoder(bundle, task.layer)
    epochs, _ = cut_epochs(bundle.preprocessing.stream(channel))
    night = describe_night(survey_lead(bundle.preprocessing.stream(channel)).r_peaks / TARGET_FS, len(epochs))
    n_embedding = encoder.n_embedding if reads_encoder else 0
    network = build_sleep_network(n_embedding, n_units=task.n_units).eval()
    none = np.empty((len(epochs), 0), dtype=np.float32)

    def run() -> object:
        embeddings = encoder.encode(epochs) if reads_encoder else none
        return ensemble_probabilities([network], Night(night.features, embeddings))

    n_encoder = count_parameters(encoder.encoder) if reads_encoder else 0
    return _Runnable(run, n_encoder, count_parameters(network))


def _seconds_of(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _peak_mb() -> float:
    """Return the most memory that this process held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when this process was started
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
