"""Leads held in memory, and waves of known frequency."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from heartbert.records.record import ArraySource, Channel
from heartbert.signals.filtering import BandPass


@pytest.fixture(scope="session")
def band() -> BandPass:
    """Return the filter of the presets."""
    return BandPass(0.5, 40.0)


@pytest.fixture(scope="session")
def make_channel() -> Callable[..., Channel]:
    """Return a function that makes a lead in mV from its samples."""

    def make(signal: npt.NDArray[np.float32], fs: float) -> Channel:
        return Channel("II", fs, "mV", signal.size, "ecg", ArraySource(signal))

    return make


@pytest.fixture(scope="session")
def sine() -> Callable[..., npt.NDArray[np.float32]]:
    """Return a function that samples a sine of amplitude 1."""

    def sample(frequency_hz: float, fs: float, duration_s: float) -> npt.NDArray[np.float32]:
        times_s = np.arange(round(duration_s * fs)) / fs
        return np.sin(2 * np.pi * frequency_hz * times_s).astype(np.float32)

    return sample
