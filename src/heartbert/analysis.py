"""What one recording came to: the result that `HeartBert.analyze` returns and reports are made from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heartbert.predictions.calibration import Calibration
from heartbert.predictions.labels import BeatPredictions
from heartbert.predictions.sleep_labels import SleepPredictions
from heartbert.predictions.sleep_origin import SleepOrigin
from heartbert.records.record import Channel, Record
from heartbert.signals.quality import Stretch


@dataclass(frozen=True)
class Embeddings:
    """Vectors of consecutive windows, tokens or beats of a lead, in time order.

    Attributes
    ----------
    start_s, stop_s : ndarray of float64, shape (n_rows,)
        Time that each row covers, in seconds from the start of the recording.
    n_tokens : ndarray of int64, shape (n_rows,)
        Scorable tokens of a window, 0 where it has none; 1 for a token or a beat.
    vectors : ndarray of float32, shape (n_rows, hidden_size) or, for beats, (n_rows, n_parts * hidden_size)
        Means of token embeddings; NaN where `n_tokens` is 0. Parts of a beat without scorable signal are 0.
    """

    start_s: npt.NDArray[np.float64]
    stop_s: npt.NDArray[np.float64]
    n_tokens: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]


@dataclass(frozen=True)
class StagedSleep:
    """Sleep stages of a recording, and what is known of the head that gave them.

    Attributes
    ----------
    predictions : SleepPredictions
        Epochs below its `min_confidence` are left open.
    origin : SleepOrigin
        From the bundle's manifest.
    """

    predictions: SleepPredictions
    origin: SleepOrigin


@dataclass(frozen=True)
class Analysis:
    """Everything that was found in one lead of one recording.

    Attributes
    ----------
    record : Record
    channel : Channel
        The lead that was analysed.
    beats : BeatPredictions
    windows : Embeddings
    unscorable : tuple of Stretch
        Parts without a usable signal, in time order, not overlapping.
    scale_low, scale_high : float
        Amplitudes that the scaling maps to 0 and 1, in the channel's unit.
    n_clipped_samples : int
        Samples (at 360 Hz) outside that range.
    n_samples_360hz : int
        Samples at 360 Hz in all.
    seconds_by_stage : dict of str to float
        Wall time of each stage of the path.
    bundle_name : str
        Name and version of the bundle that made the result.
    heartbeat_scores : dict of str to float
        Held-out scores of the heartbeat head as measured when it was trained, from the bundle's manifest.
    calibration : Calibration or None
        What its probabilities are worth, measured at the same time; None in bundles that do not say it.
    leads : tuple of str
        Leads that classified the beats, the one that was analysed first.
    beats_given : bool
        True where the beats were given by the caller, False where they were detected.
    sleep : StagedSleep or None
        None where sleep was not staged.
    """

    record: Record
    channel: Channel
    beats: BeatPredictions
    windows: Embeddings
    unscorable: tuple[Stretch, ...]
    scale_low: float
    scale_high: float
    n_clipped_samples: int
    n_samples_360hz: int
    seconds_by_stage: dict[str, float]
    bundle_name: str
    heartbeat_scores: dict[str, float]
    calibration: Calibration | None = None
    leads: tuple[str, ...] = ()
    beats_given: bool = False
    sleep: StagedSleep | None = None
