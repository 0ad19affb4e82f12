"""Stage 2 of 7: Record -> signal. How regular the RR intervals around each epoch are."""

import numpy as np
import numpy.typing as npt

from heartbert.signals.hrv_intervals import Intervals

Array = npt.NDArray[np.float64]

COMPLEXITY = (
    "sample entropy",
    "DFA alpha 1",
    "correlation of successive RR",
    "share of turning points",
    "skewness of RR",
    "kurtosis of RR",
)
"""What each column of `complexity` is."""
# Box sizes in beats of the short-term exponent (Peng et al., Chaos 5(1):82-87, 1995).
_BOXES = (4, 6, 8, 11, 16)
# Most intervals of which the sample entropy is taken: its cost grows with the square.
_MOST_INTERVALS = 300
_FEWEST_INTERVALS = 50


def complexity(intervals: Intervals, middles: Array, window_s: float) -> Array:
    """Describe the regularity of the accepted intervals around each middle.

    Parameters
    ----------
    intervals : Intervals
    middles : ndarray of float64, shape (n_epochs,)
        In seconds.
    window_s : float

    Returns
    -------
    features : ndarray of float64, shape (n_epochs, 6)
        In the order of `COMPLEXITY`; NaN where there are fewer than 50 intervals.
    """
    features = np.full((middles.size, len(COMPLEXITY)), np.nan)
    for row, (start, stop) in enumerate(intervals.slices(middles, window_s)):
        rr = intervals.rr[start:stop]
        if rr.size < _FEWEST_INTERVALS:
            continue
        skip = max(0, (rr.size - _MOST_INTERVALS) // 2)
        centred = (rr - rr.mean()) / (rr.std() + 1e-3)
        features[row] = (
            sample_entropy(centred[skip : skip + _MOST_INTERVALS]),
            dfa_exponent(rr),
            np.mean(centred[1:] * centred[:-1]),
            np.mean(np.diff(np.sign(np.diff(rr))) != 0),
            np.mean(centred**3),
            min(float(np.mean(centred**4)), 20.0),
        )
    return features


def sample_entropy(values: Array, *, tolerance: float = 0.2) -> float:
    """Return the sample entropy of order 2 (Richman and Moorman, Am. J. Physiol. 278(6):H2039-H2049, 2000).

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Standardised: the tolerance is a share of the standard deviation.
    tolerance : float, default 0.2

    Returns
    -------
    entropy : float
        Natural logarithm of (pairs that match in 2) / (pairs that match in 3), one pair added to each, so that it is
        finite.

    Examples
    --------
    >>> round(sample_entropy(np.tile([-1.0, 1.0], 50)), 3)
    0.02
    """
    near = np.abs(values[:, None] - values[None]) <= tolerance
    two = near[:-2, :-2] & near[1:-1, 1:-1]
    three = two & near[2:, 2:]
    n = two.shape[0]
    return float(np.log((two.sum() - n) / 2 + 1) - np.log((three.sum() - n) / 2 + 1))


def dfa_exponent(rr: Array) -> float:
    """Return the short-term exponent of detrended fluctuation analysis, box sizes 4 to 16 beats.

    Parameters
    ----------
    rr : ndarray of float64, shape (n,)
        At least 16 intervals.
    """
    profile = np.cumsum(rr - rr.mean())
    fluctuations = [_fluctuation(profile, box) for box in _BOXES]
    return float(np.polyfit(np.log(_BOXES), np.log(fluctuations), 1)[0])


def _fluctuation(profile: Array, box: int) -> float:
    """Return the root mean square distance of the profile from a straight line in each box."""
    boxes = profile[: profile.size // box * box].reshape(-1, box)
    at = np.arange(box) - (box - 1) / 2
    slope = boxes @ at / (at @ at)
    rest = boxes - boxes.mean(axis=1, keepdims=True) - slope[:, None] * at
    return float(np.sqrt(np.mean(rest**2))) + 1e-6
