"""Stage 2 of 7: Record -> signal. A signal -> fixed windows, the last one kept."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError

# Longest window of the published method, in samples at 360 Hz (11.1 s).
LONGEST_WINDOW_SAMPLES = 4000


Sample = TypeVar("Sample", bound=np.generic)


def cut_windows(signal: npt.NDArray[Sample], window_samples: int) -> tuple[npt.NDArray[Sample], npt.NDArray[np.bool_]]:
    """Cut a signal into windows that neither overlap nor lose a sample.

    Parameters
    ----------
    signal : ndarray, shape (n_samples,)
        Amplitudes or levels.
    window_samples : int
        Samples a window, 1 to 4000.

    Returns
    -------
    windows : ndarray, shape (n_windows, window_samples), dtype of `signal`
        The last window is filled up with its last sample.
    covered : ndarray of bool, same shape
        False where a window was filled up.

    Raises
    ------
    ConfigError
        If `window_samples` is outside 1 to 4000.

    Examples
    --------
    >>> windows, covered = cut_windows(np.arange(5, dtype=np.float32), 2)
    >>> windows[-1], covered[-1]
    (array([4., 4.], dtype=float32), array([ True, False]))
    """
    if not 1 <= window_samples <= LONGEST_WINDOW_SAMPLES:
        raise ConfigError(f"window_samples is {window_samples}; it must lie in 1 to {LONGEST_WINDOW_SAMPLES}.")
    missing = -signal.size % window_samples
    covered = np.arange(signal.size + missing) < signal.size
    filled = np.pad(signal, (0, missing), mode="edge") if signal.size else signal
    return filled.reshape(-1, window_samples), covered.reshape(-1, window_samples)
