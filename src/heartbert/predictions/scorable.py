"""Stage 7 of 7: embeddings -> predictions. What of a window or of a beat can be scored."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from heartbert.predictions.heartbeats import beat_intervals
from heartbert.signals.quality import Stretch
from heartbert.signals.resampling import TARGET_FS
from heartbert.tokens import Tokens


def hide_unscorable(
    tokens: Tokens, window_starts: npt.NDArray[np.int64], unscorable: npt.NDArray[np.bool_]
) -> tuple[Tokens, npt.NDArray[np.bool_]]:
    """Hide tokens from the encoder of which more than half of the samples are unscorable.

    Parameters
    ----------
    tokens : Tokens
    window_starts : ndarray of int64, shape (n_windows,)
        First sample of each window in `unscorable`.
    unscorable : ndarray of bool, shape (n_samples,)

    Returns
    -------
    tokens : Tokens
        With those tokens out of the attention mask.
    usable : ndarray of bool, shape (n_rows, n_tokens)
        True for tokens that cover samples and are not hidden.
    """
    n_bad = np.concatenate(([0], np.cumsum(unscorable)))
    first = window_starts[tokens.rows_of][:, None] + tokens.offsets[..., 0]
    last = window_starts[tokens.rows_of][:, None] + tokens.offsets[..., 1]
    hidden = 2 * (n_bad[last] - n_bad[first]) > last - first
    return replace(tokens, attention_mask=tokens.attention_mask & ~hidden), (last > first) & ~hidden


def beat_quality(
    r_peaks: npt.NDArray[np.int64], unscorable: Sequence[Stretch], n_samples: int
) -> npt.NDArray[np.float64]:
    """Say how much of each beat, from before its P wave to after its T wave, can be scored in a lead.

    Parameters
    ----------
    r_peaks : ndarray of int64, shape (n_beats,)
        At 360 Hz.
    unscorable : sequence of Stretch
        Of the lead, in time order, not overlapping.
    n_samples : int
        Samples of the lead at 360 Hz; what lies beyond them cannot be scored either.

    Returns
    -------
    quality : ndarray of float64, shape (n_beats,)
        Share of the beat's samples; 0 where the R-peak itself cannot be scored.
    """
    edges = [0.0, *(edge * TARGET_FS for one in unscorable for edge in (one.start_s, one.stop_s)), float(n_samples)]
    scorable = np.concatenate(([0.0], np.cumsum(np.diff(edges) * (np.arange(len(edges) - 1) % 2 == 0))))

    def before(samples: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.interp(samples, edges, scorable)  # scorable samples before each

    starts, stops = beat_intervals(r_peaks)
    share = (before(stops[:, -1]) - before(starts[:, 0])) / (stops[:, -1] - starts[:, 0])
    return np.where(before(r_peaks + 1) - before(r_peaks) > 0.5, share, 0.0)
