"""Levels in windows, as trainer and encoder take them."""

import numpy as np
import numpy.typing as npt

from heartbert.errors import TextError


def lengths_of(windows: int | npt.NDArray[np.int64], n_samples: int) -> npt.NDArray[np.int64]:
    """Give the samples of each window.

    Parameters
    ----------
    windows : int or ndarray of int64, shape (n_windows,)
        Samples of every window, where the last may be shorter, or of each.
    n_samples : int

    Returns
    -------
    lengths : ndarray of int64, shape (n_windows,)

    Raises
    ------
    TextError
        If the windows do not add up to the samples.

    Examples
    --------
    >>> lengths_of(4000, 10_000)
    array([4000, 4000, 2000])
    """
    if isinstance(windows, int):
        if windows < 1:
            raise TextError(f"windows have {windows} samples; they need at least 1. Give a longer window.")
        return np.diff(np.append(np.arange(0, n_samples, windows), n_samples))
    lengths = np.asarray(windows, dtype=np.int64)
    if lengths.sum() != n_samples or lengths.min(initial=0) < 0:
        raise TextError(
            f"windows have {lengths.sum()} samples together, there are {n_samples} levels. Give the length of each "
            "window."
        )
    return lengths


def check_levels(levels: npt.NDArray[np.uint8], n_levels: int) -> None:
    """Refuse levels that have no letter.

    Raises
    ------
    TextError
        If a level is not below `n_levels`; the message gives the first position.
    """
    if levels.max(initial=0) >= n_levels:
        position = int(np.argmax(levels >= n_levels))
        raise TextError(
            f"level {levels[position]} at sample {position} has no letter; this tokenizer knows {n_levels} letters, "
            f"for levels 0 to {n_levels - 1}. Use the codebook it was trained with."
        )
