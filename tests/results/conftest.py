"""Synthetic analyses of a lead with known beats, without any model."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from heartbert.analysis import Analysis, Embeddings, StagedSleep
from heartbert.predictions.labels import AamiClass, BeatPredictions
from heartbert.predictions.sleep_labels import STAGE_SETS, SleepPredictions
from heartbert.predictions.sleep_origin import SCORES, Interval, SleepAgreement, SleepOrigin
from heartbert.records.record import ArraySource, Channel, Record
from heartbert.signals.quality import Stretch

FS = 250.0
WINDOW_S = 3.0


def probabilities_of(classes: str) -> npt.NDArray[np.float32]:
    """Return rows in which each class given by its letter has 0.9 and the others share the rest."""
    rows = np.full((len(classes), len(AamiClass)), 0.025, dtype=np.float32)
    rows[np.arange(len(classes)), [AamiClass[letter] for letter in classes]] = 0.9
    return rows


def beats_every_second(classes: str, fs: float = FS) -> BeatPredictions:
    """Return one beat a second from 0.5 s on, of the classes given by their letters."""
    samples = np.round((np.arange(len(classes)) + 0.5) * fs).astype(np.int64)
    return BeatPredictions(samples, fs, probabilities_of(classes))


def ecg_of(beats: BeatPredictions, n_samples: int) -> npt.NDArray[np.float32]:
    """Return a lead in mV with a Gaussian wave of 1 mV at each beat."""
    times_s = np.arange(n_samples) / beats.fs
    waves = [np.exp(-(((times_s - beat_s) / 0.02) ** 2)) for beat_s in beats.times_s]
    return np.sum(waves, axis=0, dtype=np.float32) if waves else np.zeros(n_samples, dtype=np.float32)


def windows_over(duration_s: float) -> Embeddings:
    """Return one four-dimensional vector for each 3 s."""
    start_s = np.arange(0, duration_s, WINDOW_S)
    vectors = np.arange(start_s.size * 4, dtype=np.float32).reshape(-1, 4)
    return Embeddings(start_s, start_s + WINDOW_S, np.full(start_s.size, 30), vectors)


@pytest.fixture
def make_analysis() -> Callable[..., Analysis]:
    """Return a function that builds an analysis with one beat a second, of classes given as letters."""

    def build(
        classes: str = "N" * 30 + "NVVVVNSNFQ" + "N" * 20,
        *,
        duration_s: float = 60.0,
        signal: npt.NDArray[np.float32] | None = None,
        unscorable: tuple[Stretch, ...] = (),
        name: str = "100",
        unit: str = "mV",
    ) -> Analysis:
        beats = beats_every_second(classes)
        signal = ecg_of(beats, round(duration_s * FS)) if signal is None else signal
        channel = Channel("MLII", FS, unit, signal.size, "ecg", ArraySource(signal))
        start = datetime(1994, 5, 27, 13, 45, 6, 500000)
        return Analysis(
            record=Record(name, "subject-1", (channel,), start, Path(f"{name}.hea")),
            channel=channel,
            beats=beats,
            windows=windows_over(duration_s),
            unscorable=unscorable,
            scale_low=-2.0,
            scale_high=2.0,
            n_clipped_samples=216,
            n_samples_360hz=round(duration_s * 360),
            seconds_by_stage={"signal": 0.5, "embeddings": 1.5},
            bundle_name="test-bundle",
            heartbeat_scores={"macro_f1": 0.612, "f1_V": 0.9},
        )

    return build


@pytest.fixture
def analysis(make_analysis: Callable[..., Analysis]) -> Analysis:
    """Return a minute with ten unusual beats from 30.5 s on and 3 s without an electrode."""
    return make_analysis(unscorable=(Stretch(10.0, 13.0, "flat"),))


@pytest.fixture
def no_beats(make_analysis: Callable[..., Analysis]) -> Analysis:
    """Return a minute of which nothing can be scored."""
    built = make_analysis(
        "", signal=np.full(round(60 * FS), np.nan, np.float32), unscorable=(Stretch(0, 60, "missing"),)
    )
    windows = replace(
        built.windows, n_tokens=np.zeros(20, dtype=np.int64), vectors=np.full((20, 4), np.nan, np.float32)
    )
    return replace(built, windows=windows, n_clipped_samples=0, heartbeat_scores={})


@pytest.fixture
def staged() -> StagedSleep:
    """Return ten epochs of which the third is doubtful, by a head whose agreement was measured."""
    stages = np.array([0, 0, 1, 2, 2, 3, 3, 4, 4, 0])
    five = np.full((stages.size, 5), 0.05, dtype=np.float32)
    five[np.arange(stages.size), stages] = 0.8
    five[2] = (0.1, 0.4, 0.3, 0.1, 0.1)
    probabilities = {name: stage_set.join(five) for name, stage_set in STAGE_SETS.items()}
    scores = {of: {name: Interval(0.5, 0.4, 0.6) for name in SCORES} for of in STAGE_SETS}
    agreement = SleepAgreement("slpdb", 16, 10181, "small 1", scores)
    origin = SleepOrigin("slpdb", 16, "men examined for sleep apnoea", agreement)
    return StagedSleep(SleepPredictions(datetime(1994, 5, 27, 23, 7), probabilities, 0.5), origin)
