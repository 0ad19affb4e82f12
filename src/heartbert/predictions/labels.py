"""Stage 7 of 7: embeddings -> predictions. The classes, and what each file symbol stands for."""

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError


class AamiClass(IntEnum):
    """Heartbeat classes of ANSI/AAMI EC57:2012, in the order of every probability row."""

    N = 0
    """Normal, bundle branch block, or an escape beat of atrial or nodal origin."""
    S = 1
    """Supraventricular ectopic."""
    V = 2
    """Ventricular ectopic."""
    F = 3
    """Fusion of a ventricular and a normal beat."""
    Q = 4
    """Paced, fusion of paced and normal, or unclassifiable."""


BEAT_CLASS_OF_SYMBOL = MappingProxyType(
    {
        symbol: beat_class
        for beat_class, symbols in {
            AamiClass.N: "NLRejB",  # B: bundle branch block whose side is not given
            AamiClass.S: "AaJSn",  # n: supraventricular escape is not used in the MIT-BIH database
            AamiClass.V: "VEr",  # r: R-on-T premature ventricular contraction
            AamiClass.F: "F",
            AamiClass.Q: "/fQ?",
        }.items()
        for symbol in symbols
    }
)
"""AAMI class of each WFDB beat symbol; symbols that are no beat have no entry."""


def check_confidence(min_confidence: float) -> None:
    """Refuse a limit of confidence that is no probability.

    Raises
    ------
    ConfigError
        If it is not within 0 to 1.
    """
    if not 0 <= min_confidence <= 1:
        raise ConfigError(
            f"min_confidence is {min_confidence}; it is the lowest probability, 0 to 1, at which a beat keeps its "
            "class. Give for example 0.6"
        )


@dataclass(frozen=True)
class BeatPredictions:
    """Heartbeats of one lead, in time order.

    Attributes
    ----------
    samples : ndarray of int64, shape (n_beats,)
        R-peaks as sample indices of the recording at its own sampling frequency.
    fs : float
        That sampling frequency in Hz.
    probabilities : ndarray of float32, shape (n_beats, 5)
        Probability of N, S, V, F, Q (`AamiClass`); each row sums to 1.
    min_confidence : float
        Beats whose highest probability is below it are not classified: their class is Q. 0 classifies all.

    Raises
    ------
    ConfigError
        If `min_confidence` is not within 0 to 1.
    """

    samples: npt.NDArray[np.int64]
    fs: float
    probabilities: npt.NDArray[np.float32]
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        check_confidence(self.min_confidence)

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """Time of each R-peak in seconds from the start of the recording, shape (n_beats,)."""
        return self.samples / self.fs

    @property
    def confidences(self) -> npt.NDArray[np.float32]:
        """Highest probability of each beat, shape (n_beats,)."""
        return np.asarray(self.probabilities.max(axis=1, initial=0))

    @property
    def abstained(self) -> npt.NDArray[np.bool_]:
        """Whether each beat is Q because no class is probable enough, shape (n_beats,)."""
        return np.asarray(self.confidences < self.min_confidence)

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """Most probable `AamiClass` of each beat, Q where it is not probable enough, shape (n_beats,)."""
        return np.where(self.abstained, int(AamiClass.Q), np.argmax(self.probabilities, axis=1))
