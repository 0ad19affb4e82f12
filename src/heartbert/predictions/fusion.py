"""Stage 7 of 7: embeddings -> predictions. The same beats seen in several leads, made into one opinion."""

import numpy as np
import numpy.typing as npt

# A float32 probability below this is 0; its logarithm must stay finite.
_SMALLEST = 1e-30


class LeadFusion:
    """Averages the log-probabilities of leads that arrive one after the other; memory does not grow with them.

    A lead weighs by how much of the beat can be scored in it. A beat that no lead can score has the probabilities of
    the lead that was added first.

    Parameters
    ----------
    n_beats, n_classes : int
    """

    def __init__(self, n_beats: int, n_classes: int) -> None:
        self._first: npt.NDArray[np.float32] | None = None
        self._sum = np.zeros((n_beats, n_classes))
        self._weight = np.zeros(n_beats)

    def add(self, probabilities: npt.NDArray[np.float32], quality: npt.NDArray[np.float64]) -> None:
        """Add a lead.

        Parameters
        ----------
        probabilities : ndarray of float32, shape (n_beats, n_classes)
        quality : ndarray of float64, shape (n_beats,)
            Weight of the lead for each beat, 0 or more.
        """
        if self._first is None:
            self._first = probabilities
        self._sum += quality[:, None] * np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
        self._weight += quality

    @property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """Weighted geometric mean of the leads' probabilities, each row summing to 1; shape (n_beats, n_classes)."""
        if self._first is None:
            raise RuntimeError("probabilities were asked for before add(); add a lead first")
        mean = self._sum / np.where(self._weight > 0, self._weight, 1.0)[:, None]
        fused = np.exp(mean - mean.max(axis=1, keepdims=True, initial=-np.inf))
        fused /= fused.sum(axis=1, keepdims=True)
        return np.where(self._weight[:, None] > 0, fused, self._first).astype(np.float32)
