"""Stage 6 of 7: tokens -> embeddings. A lead -> night, in the same pass over the lead that finds its beats."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from heartbert.predictions.sleep_epochs import EPOCH_SAMPLES, EpochEncoder, cut_epochs
from heartbert.predictions.sleep_labels import EPOCH_S
from heartbert.predictions.sleep_night import Night, describe_night
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.streaming import Block

_SAMPLES_360HZ = round(EPOCH_S * TARGET_FS)
# An epoch of which a larger share cannot be scored is not embedded: it would be read as a flat line.
LARGEST_UNSCORABLE = 0.5


class EpochTap:
    """Cuts epochs out of the blocks of a lead on their way to another reader.

    It keeps 1000 numbers an epoch, half a megabyte an hour, whatever the sampling frequency.
    """

    def __init__(self) -> None:
        self._epochs = [np.empty((0, EPOCH_SAMPLES), dtype=np.float32)]
        self._unscorable = [np.empty(0, dtype=np.float32)]
        self._signal = np.empty(0, dtype=np.float32)
        self._codes = np.empty(0, dtype=np.uint8)

    def through(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks as they are, after cutting epochs out of each.

        Parameters
        ----------
        blocks : iterable of Block
            The lead at 360 Hz in time order, as `Preprocessing.stream` gives it.
        """
        for block in blocks:
            self._add(block)
            yield block

    def _add(self, block: Block) -> None:
        signal = np.concatenate([self._signal, block.inner_signal])
        codes = np.concatenate([self._codes, block.inner_codes])
        n_whole = signal.size // _SAMPLES_360HZ * _SAMPLES_360HZ
        epochs, unscorable = cut_epochs(iter([Block(0, n_whole, 0, signal[:n_whole], codes[:n_whole])]))
        self._epochs.append(epochs)
        self._unscorable.append(unscorable)
        self._signal, self._codes = signal[n_whole:], codes[n_whole:]

    def finish(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return what `cut_epochs` does: epochs, shape (n_epochs, 1000), and the share that cannot be scored."""
        return np.concatenate(self._epochs), np.concatenate(self._unscorable)


def night_of_epochs(tap: EpochTap, encoder: EpochEncoder | None, times_s: npt.NDArray[np.float64]) -> Night:
    """Describe a night from a lead that went through a tap, and its beats.

    Parameters
    ----------
    tap : EpochTap
    encoder : EpochEncoder or None
        None for a head that reads beats alone.
    times_s : ndarray of float64, shape (n_beats,)
        Beats in seconds from the start of the recording.

    Returns
    -------
    night : Night
        An epoch of which more than half cannot be scored has no embedding.

    Raises
    ------
    SignalTooShortError
        If the lead is shorter than 10 minutes.
    """
    epochs, unscorable = tap.finish()
    if encoder is None:
        return describe_night(times_s, len(epochs), unscorable=unscorable)
    epochs[unscorable > LARGEST_UNSCORABLE] = np.nan
    return describe_night(times_s, len(epochs), unscorable=unscorable, embeddings=encoder.encode(epochs))
