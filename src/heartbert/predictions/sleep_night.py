"""Stage 6 of 7: tokens -> embeddings. What the sleep head reads of a night: one row an epoch.

The heart rate of one person asleep is that of another awake, so each quantity comes twice: against the person's own
night, and as it is.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.errors import SignalTooShortError
from heartbert.predictions.sleep_epochs import EpochEncoder, cut_epochs
from heartbert.predictions.sleep_labels import EPOCH_S
from heartbert.records.record import Channel
from heartbert.signals.hrv import HRV_FEATURES, night_variability

SleepInput = Literal["beats", "tokens", "both"]
"""What of a night a head reads."""
# Shortest recording that is staged: slow-wave sleep and wakefulness differ in minutes, not in seconds.
SHORTEST_NIGHT_S = 600.0
# Features beyond the variability: hours since the start, and how far the night has gone; quality of the epoch.
_TIME, _QUALITY = ("hours since start", "share of the night"), ("accepted time", "accepted intervals", "unscorable")
NIGHT_FEATURES: tuple[str, ...] = (
    *(f"{name}, against the night" for name in HRV_FEATURES),
    *HRV_FEATURES,
    *_TIME,
    *_QUALITY,
)
"""What each column of `Night.features` is."""
# Interquartile range of a normal distribution in standard deviations.
_IQR_OF_NORMAL = 1.349
_LARGEST_DEVIATION = 5.0


@dataclass(frozen=True)
class Night:
    """One recording as the sleep head reads it.

    Attributes
    ----------
    features : ndarray of float32, shape (n_epochs, n_features)
        In the order of `NIGHT_FEATURES`; finite.
    embeddings : ndarray of float32, shape (n_epochs, n_embedding)
        Vectors of the epochs' tokens, less the night's mean; NaN for an epoch without any.
    """

    features: npt.NDArray[np.float32]
    embeddings: npt.NDArray[np.float32]

    @property
    def n_epochs(self) -> int:
        """Number of 30-s epochs."""
        return int(self.features.shape[0])

    def seen_by(self, inputs: SleepInput) -> "Night":
        """Return the night as a head of these inputs sees it."""
        if inputs == "beats":
            return self.without_tokens()
        return self.without_beats() if inputs == "tokens" else self

    def without_beats(self) -> "Night":
        """Return the night with nothing but embeddings, time and the share that cannot be scored."""
        features = self.features.copy()
        features[:, : 2 * len(HRV_FEATURES)] = 0.0
        features[:, -len(_QUALITY) : -1] = 0.0
        return replace(self, features=features)

    def without_tokens(self) -> "Night":
        """Return the night as its beats alone show it."""
        return replace(self, embeddings=np.full_like(self.embeddings, np.nan))


def describe_night(
    times_s: npt.NDArray[np.float64],
    n_epochs: int,
    *,
    unscorable: npt.NDArray[np.float32] | None = None,
    embeddings: npt.NDArray[np.float32] | None = None,
) -> Night:
    """Put together what is known of each epoch of a night.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n_beats,)
        Beats, detected or given, in seconds from the start of the first epoch.
    n_epochs : int
        Epochs of 30 s.
    unscorable : ndarray of float32, shape (n_epochs,), optional
        Share of each epoch that the recording's quality does not allow to score; by default 0.
    embeddings : ndarray of float32, shape (n_epochs, n_embedding), optional
        NaN for an epoch without tokens.

    Returns
    -------
    night : Night

    Raises
    ------
    SignalTooShortError
        If the night is shorter than 10 minutes.
    """
    check_duration(n_epochs * EPOCH_S)
    variability = night_variability(times_s, n_epochs)
    hours = np.arange(n_epochs) * EPOCH_S / 3600.0
    time = np.stack([hours, np.arange(n_epochs) / n_epochs], axis=1)
    bad = np.zeros(n_epochs) if unscorable is None else unscorable
    filled = fill_gaps(variability.features)
    columns = [against_night(filled), filled, time, variability.quality, bad[:, None]]
    vectors = np.empty((n_epochs, 0)) if embeddings is None else embeddings
    return Night(np.concatenate(columns, axis=1).astype(np.float32), centre(vectors.astype(np.float32)))


def night_of_lead(channel: Channel, encoder: EpochEncoder, times_s: npt.NDArray[np.float64]) -> Night:
    """Describe a night from one lead and the beats that were found in it, or given.

    Parameters
    ----------
    channel : Channel
        An ECG lead of any length from 10 minutes on; what is left after the last whole epoch is not used.
    encoder : EpochEncoder
    times_s : ndarray of float64, shape (n_beats,)
        Beats in seconds from the start of the recording.

    Returns
    -------
    night : Night

    Raises
    ------
    SignalTooShortError
        If the lead is shorter than 10 minutes.
    """
    check_duration(channel.duration_s, name=f"lead '{channel.name}'")
    epochs, unscorable = cut_epochs(encoder.preprocessing.stream(channel))
    return describe_night(times_s, len(epochs), unscorable=unscorable, embeddings=encoder.encode(epochs))


def check_duration(duration_s: float, *, name: str = "the recording") -> None:
    """Refuse a recording that is too short to be staged.

    Raises
    ------
    SignalTooShortError
        If it is shorter than 10 minutes.
    """
    if duration_s < SHORTEST_NIGHT_S:
        raise SignalTooShortError(
            f"{name} lasts {duration_s / 60:.1f} min; sleep is staged from heart-rate variability over minutes, so at "
            f"least {SHORTEST_NIGHT_S / 60:g} min are needed. Give the recording of a night or a nap."
        )


def fill_gaps(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Put a column's median in the place of what is missing; 0 in a column without any value."""
    known = np.isfinite(features)
    median = [
        np.median(column[there]) if there.any() else 0.0 for column, there in zip(features.T, known.T, strict=True)
    ]
    return np.where(known, features, np.array(median, dtype=np.float32))


def against_night(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale each column to median 0 and interquartile range as of a standard normal; cut off at 5.

    Parameters
    ----------
    features : ndarray of float32, shape (n_epochs, n_features)
        Finite.
    """
    median = np.median(features, axis=0)
    low, high = np.percentile(features, (25, 75), axis=0)
    scale = (high - low) / _IQR_OF_NORMAL + 1e-3 * np.abs(median) + 1e-6
    deviation = np.clip((features - median) / scale, -_LARGEST_DEVIATION, _LARGEST_DEVIATION)
    return np.asarray(deviation, dtype=np.float32)


def centre(embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Take the night's mean from the vectors that are there: what is left is how an epoch differs from the others."""
    known = np.isfinite(embeddings).all(axis=1)
    if not known.any():
        return embeddings
    return np.asarray(embeddings - embeddings[known].mean(axis=0), dtype=np.float32)
