"""Stage 1 of 7: record file -> Record. What every recording must satisfy, whatever its format."""

import math

from heartbert.errors import ConfigError, RecordFormatError

# Highest accepted sampling frequency in Hz; the fastest ECG equipment records at about 50 kHz.
MAX_FS = 100_000.0
# Relative difference between two statements of a sampling frequency that are still the same.
FS_TOLERANCE = 1e-3


def check_fs(fs: float, what: str) -> float:
    """Return the sampling frequency found in a file if it is possible.

    Parameters
    ----------
    fs : float
        In Hz.
    what : str
        File, and channel where it has its own, for the message.

    Raises
    ------
    RecordFormatError
        If `fs` is not finite, not positive or above 100 kHz.
    """
    if not (math.isfinite(fs) and 0 < fs <= MAX_FS):
        raise RecordFormatError(
            f"{what}: sampling frequency is {fs:g} Hz; allowed is more than 0 and at most {MAX_FS:g} Hz. "
            "Correct the file or export it again"
        )
    return float(fs)


def check_given_fs(fs: float | None) -> None:
    """Refuse an impossible sampling frequency given by the caller.

    Raises
    ------
    ConfigError
    """
    if fs is not None and not (math.isfinite(fs) and 0 < fs <= MAX_FS):
        raise ConfigError(f"fs is {fs:g} Hz; allowed is more than 0 and at most {MAX_FS:g} Hz. Correct --fs or fs=...")


def check_same_fs(fs: float | None, found: list[float], what: str) -> None:
    """Refuse a given sampling frequency that contradicts every one in the file.

    Parameters
    ----------
    fs : float or None
        In Hz, given by the caller.
    found : list of float
        In Hz, from the file.
    what : str
        File for the message.

    Raises
    ------
    ConfigError
    """
    if fs is None or any(abs(fs - value) <= FS_TOLERANCE * value for value in found):
        return
    stated = " and ".join(f"{value:g}" for value in sorted(set(found)))
    raise ConfigError(f"{what} states {stated} Hz but fs is {fs:g} Hz; leave out --fs or fs=..., or correct the file")
