"""Stage 7 of 7: embeddings -> predictions. Sleep stages, sets of them, and what each note of a file stands for."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

# Length of the unit that sleep is scored in, in seconds (Rechtschaffen and Kales, 1968; AASM).
EPOCH_S = 30.0


class SleepStage(IntEnum):
    """Sleep stages of the AASM manual; stages 3 and 4 of Rechtschaffen and Kales are both `N3`."""

    W = 0
    """Awake."""
    N1 = 1
    """Stage 1."""
    N2 = 2
    """Stage 2."""
    N3 = 3
    """Stages 3 and 4: slow-wave sleep."""
    R = 4
    """Rapid eye movements."""


UNSCORED = -1
"""Stage of an epoch of movement time, or of one that nobody scored."""

STAGE_OF_NOTE = MappingProxyType(
    {
        "W": SleepStage.W,
        "1": SleepStage.N1,
        "2": SleepStage.N2,
        "3": SleepStage.N3,
        "4": SleepStage.N3,
        "R": SleepStage.R,
    }
)
"""Stage of the first word of a note in the `.st` files of `slpdb`; other words (MT, M) are no stages."""

NOTE_OF_STAGE = MappingProxyType(
    {SleepStage.W: "W", SleepStage.N1: "1", SleepStage.N2: "2", SleepStage.N3: "3", SleepStage.R: "R"}
)
"""Note of a stage in a `.st` file; slow-wave sleep is written as 3."""

StageSetName = Literal["stages3", "stages4", "stages5"]


@dataclass(frozen=True)
class StageSet:
    """A number of classes, and which stages each of them joins.

    Attributes
    ----------
    classes : tuple of str
        Names in the order of every probability row.
    class_of : tuple of int
        Class of W, N1, N2, N3 and R.
    """

    classes: tuple[str, ...]
    class_of: tuple[int, int, int, int, int]

    def labels(self, stages: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Give each stage its class; unscored epochs stay -1.

        Examples
        --------
        >>> STAGE_SETS["stages3"].labels(np.array([0, 1, 2, 3, 4, -1]))
        array([ 0,  1,  1,  1,  2, -1])
        """
        return np.where(stages >= 0, np.array(self.class_of)[stages], UNSCORED)

    def join(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Add up the probabilities of the stages of each class: (n_epochs, 5) to (n_epochs, n_classes)."""
        member = np.eye(len(self.classes), dtype=np.float32)[list(self.class_of)]  # (5, n_classes)
        return probabilities @ member


STAGE_SETS: MappingProxyType[StageSetName, StageSet] = MappingProxyType(
    {
        "stages3": StageSet(("W", "NREM", "R"), (0, 1, 1, 1, 2)),
        "stages4": StageSet(("W", "light", "deep", "R"), (0, 1, 1, 2, 3)),
        "stages5": StageSet(("W", "N1", "N2", "N3", "R"), (0, 1, 2, 3, 4)),
    }
)
"""Sets of classes by name: 3 (wake, non-REM, REM), 4 (N1 and N2 are light sleep, N3 deep) and 5."""


@dataclass(frozen=True)
class SleepPredictions:
    """Sleep stages of one recording.

    Attributes
    ----------
    start : datetime or None
        Wall-clock time of the start of the first epoch, where the recording gives one.
    probabilities : dict of str to ndarray of float32, shape (n_epochs, n_classes)
        Calibrated, by set of classes ("stages3", "stages4", "stages5"); each row sums to 1.
    min_confidence : float
        Epochs whose most probable stage is less probable are doubtful.
    """

    start: datetime | None
    probabilities: dict[StageSetName, npt.NDArray[np.float32]]
    min_confidence: float = 0.0

    @property
    def n_epochs(self) -> int:
        """Number of epochs of 30 s; what is left at the end of a recording is not staged."""
        return int(self.probabilities["stages5"].shape[0])

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """Start of each epoch in seconds from the start of the first."""
        return np.arange(self.n_epochs, dtype=np.float64) * EPOCH_S

    @property
    def abstained(self) -> npt.NDArray[np.bool_]:
        """Which epochs are doubtful: none of the five stages reaches `min_confidence`."""
        return np.asarray(self.probabilities["stages5"].max(axis=1, initial=0.0) < self.min_confidence)

    def hypnogram(
        self, stage_set: StageSetName = "stages5", *, least_probability: float = 0.0
    ) -> npt.NDArray[np.int64]:
        """Return the most probable class of each epoch.

        Parameters
        ----------
        stage_set : {"stages3", "stages4", "stages5"}
        least_probability : float, default 0
            An epoch whose most probable class is less probable is left open (-1): abstention.

        Returns
        -------
        hypnogram : ndarray of int64, shape (n_epochs,)
            Index into ``STAGE_SETS[stage_set].classes``, or -1.
        """
        probabilities = self.probabilities[stage_set]
        certain = probabilities.max(axis=1, initial=0.0) >= least_probability
        return np.where(certain, np.argmax(probabilities, axis=1), UNSCORED)


def stage_of_note(note: str) -> int:
    """Return the `SleepStage` of an epoch's note, or `UNSCORED`.

    Parameters
    ----------
    note : str
        A stage followed by event codes, perhaps ended by a NUL, for example ``"4 LA LA"``.

    Examples
    --------
    >>> stage_of_note("4 LA LA") == SleepStage.N3, stage_of_note("MT")
    (True, -1)
    """
    words = note.split("\0")[0].split()
    return int(STAGE_OF_NOTE.get(words[0], UNSCORED)) if words else UNSCORED
