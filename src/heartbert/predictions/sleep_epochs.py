"""Stage 6 of 7: tokens -> embeddings. The 30-s epochs of a night, brought to one band and amplitude, as vectors.

The only public text of whole nights of one ECG lead has 33.3 samples a second and equal-probability levels, so it
knows the amplitude up to a monotone map. Every recording is therefore brought to that state first: 33.3 Hz, and
amplitudes by their rank in the recording. A reference distribution then gives them back a shape, and the path goes
on as for any other signal: 360 Hz, filter, scaling, levels, tokens, encoder.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedModel

from heartbert.embeddings.embed import embed
from heartbert.errors import SignalValueError
from heartbert.levels import Codebook
from heartbert.predictions.sleep_labels import EPOCH_S
from heartbert.preprocessing import Preprocessing
from heartbert.signals.resampling import TARGET_FS, resample, resample_padded
from heartbert.signals.scaling import PIECE_S, Scaling, join_ranges, piece_ranges
from heartbert.signals.streaming import Block
from heartbert.tokens import Tokenizer

# Sampling frequency of the published text of nights, in Hz.
EPOCH_FS = 100.0 / 3.0
EPOCH_SAMPLES = 1000
_SAMPLES_360HZ = round(EPOCH_S * TARGET_FS)
# Vectors of an epoch: mean and standard deviation over its samples of the layer that is read.
N_STATISTICS = 2
# Enough rows for full batches, of some 2 MB of embeddings each.
_EPOCHS_TOGETHER = 8


def reference_amplitudes(codebook: Codebook, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Give the amplitude below which a share of the samples of a usual ECG lies.

    The distribution is that on which the codebook was fitted, recovered from the codebook alone: in the optimal
    quantiser of many levels the density of a cell of width ``w`` is proportional to ``w ** -3`` (Panter and Dite),
    so its probability to ``w ** -2``. The two open cells are taken to end at 0 and 1.

    Parameters
    ----------
    codebook : Codebook
    shares : ndarray of float64, any shape
        In [0, 1].

    Returns
    -------
    amplitudes : ndarray of float32, same shape
        Scaled amplitude, in [0, 1], not decreasing with the share.

    References
    ----------
    P. F. Panter and W. Dite, Proc. IRE 39(1):44-48, 1951.
    """
    edges = np.array([min(0.0, codebook.thresholds[0] - 1e-6), *codebook.thresholds, max(1.0, codebook.values[-1])])
    probability = np.diff(edges) ** -2.0
    cumulative = np.concatenate(([0.0], np.cumsum(probability / probability.sum())))
    return np.asarray(np.interp(shares, cumulative, edges), dtype=np.float32)


def amplitudes_by_rank(samples: npt.NDArray[np.generic], codebook: Codebook) -> npt.NDArray[np.float32]:
    """Replace the samples of one recording by reference amplitudes of the same rank.

    Any increasing map of the samples gives the same result, so levels may stand for amplitudes.

    Parameters
    ----------
    samples : ndarray, any shape
        Amplitudes or levels of one recording; NaN where there are none.
    codebook : Codebook

    Returns
    -------
    amplitudes : ndarray of float32, same shape
        NaN where `samples` are.

    Raises
    ------
    SignalValueError
        If no sample is finite.

    Examples
    --------
    >>> codebook = Codebook((0.25, 0.5, 0.75), (0.1, 0.4, 0.6, 0.9))
    >>> amplitudes_by_rank(np.array([3, 10, 10, 90]), codebook)
    array([0.125, 0.5  , 0.5  , 0.875], dtype=float32)
    """
    return AmplitudesByRank(samples, codebook).apply(samples)


class AmplitudesByRank:
    """The map of `amplitudes_by_rank` for one recording, applied to a part of it at a time.

    Parameters
    ----------
    samples : ndarray, any shape
        All amplitudes or levels of the recording; NaN where there are none.
    codebook : Codebook

    Raises
    ------
    SignalValueError
        If no sample is finite.
    """

    def __init__(self, samples: npt.NDArray[np.generic], codebook: Codebook) -> None:
        self._codebook = codebook
        self._sorted = samples[np.isfinite(samples)]
        if not self._sorted.size:
            raise SignalValueError("no sample of the recording can be scored; give a recording with an ECG.")
        self._sorted.sort()

    def apply(self, samples: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Return the reference amplitudes of some samples of the recording; NaN where they are."""
        known = np.isfinite(samples)
        below, upto = (np.searchsorted(self._sorted, samples[known], side) for side in ("left", "right"))
        amplitudes = np.full(samples.shape, np.nan, dtype=np.float32)
        amplitudes[known] = reference_amplitudes(self._codebook, (below + upto) / 2 / self._sorted.size)
        return amplitudes


@dataclass(frozen=True)
class EpochEncoder:
    """The fitted parts that turn epochs into vectors.

    Attributes
    ----------
    preprocessing : Preprocessing
    tokenizer : Tokenizer
    encoder : PreTrainedModel
        Base model, without masked-language head.
    max_tokens : int
        Positions of the encoder.
    layer : int
        Layer whose output is pooled.
    """

    preprocessing: Preprocessing
    tokenizer: Tokenizer
    encoder: PreTrainedModel
    max_tokens: int
    layer: int

    @property
    def n_embedding(self) -> int:
        """Numbers of an epoch's vector."""
        return N_STATISTICS * int(self.encoder.config.hidden_size)

    def encode(self, epochs: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Embed the epochs of one recording.

        Parameters
        ----------
        epochs : ndarray, shape (n_epochs, 1000)
            Amplitudes or levels at 33.3 Hz. An epoch with NaN is not embedded.

        Returns
        -------
        embeddings : ndarray of float32, shape (n_epochs, n_embedding)
            NaN for the epochs that were not embedded.
        """
        embeddings = np.full((epochs.shape[0], self.n_embedding), np.nan, dtype=np.float32)
        whole = np.flatnonzero(np.isfinite(epochs).all(axis=1))
        if whole.size:
            levels = self.levels(epochs[whole])
            for first in range(0, whole.size, _EPOCHS_TOGETHER):
                together = whole[first : first + _EPOCHS_TOGETHER]
                embeddings[together] = self._pool([next(levels) for _ in together])
        return embeddings

    def levels(self, epochs: npt.NDArray[np.generic]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the levels at 360 Hz, shape (10800,), of each epoch of one recording, shape (n_epochs, 1000)."""
        ranks = AmplitudesByRank(epochs, self.preprocessing.codebook)
        scaling = self._scaling(self._signal(ranks, one) for one in epochs)
        for one in epochs:  # made twice rather than kept: a night at 360 Hz is 40 MB
            yield self.preprocessing.codebook.quantize(scaling.apply(self._signal(ranks, one)))

    def _signal(self, ranks: AmplitudesByRank, epoch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        return self.preprocessing.band.apply(resample(ranks.apply(epoch), EPOCH_FS))

    def _scaling(self, signals: Iterable[npt.NDArray[np.float32]]) -> Scaling:
        piece = round(PIECE_S * TARGET_FS)
        ranges = [piece_ranges(one, np.ones(one.size, dtype=np.bool_), piece) for one in signals]
        return self.preprocessing.scaling_rule.fit(join_ranges(ranges))

    def _pool(self, levels: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Return mean and standard deviation over the samples of each of some epochs: (n_epochs, n_embedding)."""
        full, rest = divmod(_SAMPLES_360HZ, self.preprocessing.window_samples)
        windows = np.array([self.preprocessing.window_samples] * full + [rest] * (rest > 0))
        tokens = self.tokenizer.encode_levels(
            np.concatenate(levels), np.tile(windows, len(levels)), max_tokens=self.max_tokens
        )
        embedded = embed(self.encoder, tokens, layer=self.layer, last=False)
        edges = np.searchsorted(embedded.window, np.arange(len(levels) + 1) * windows.size)
        weights = (embedded.stops - embedded.starts).astype(np.float64)
        return np.stack([_statistics(embedded.inner[a:b], weights[a:b]) for a, b in pairwise(edges)])


def _statistics(vectors: npt.NDArray[np.float32], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the weighted mean and standard deviation of vectors, one after the other."""
    mean = np.average(vectors, axis=0, weights=weights)
    spread = np.sqrt(np.average((vectors - mean) ** 2, axis=0, weights=weights))
    return np.concatenate([mean, spread]).astype(np.float32)


def cut_epochs(blocks: Iterator[Block]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Cut a lead into 30-s epochs at 33.3 Hz.

    Parameters
    ----------
    blocks : iterator of Block
        The lead at 360 Hz in time order, as `Preprocessing.stream` gives it.

    Returns
    -------
    epochs : ndarray of float32, shape (n_epochs, 1000)
        A last epoch that is not complete is left out.
    unscorable : ndarray of float32, shape (n_epochs,)
        Share of the samples that cannot be scored.
    """
    epochs: list[npt.NDArray[np.float32]] = []
    unscorable: list[float] = []
    signal, codes = np.empty(0, dtype=np.float32), np.empty(0, dtype=np.uint8)
    for block in blocks:
        signal, codes = np.concatenate([signal, block.inner_signal]), np.concatenate([codes, block.inner_codes])
        n_whole = signal.size // _SAMPLES_360HZ
        for number in range(n_whole):
            part = slice(number * _SAMPLES_360HZ, (number + 1) * _SAMPLES_360HZ)
            epochs.append(_to_epoch_fs(signal[part]))
            unscorable.append(float(np.mean(codes[part] != 0)))
        signal, codes = signal[n_whole * _SAMPLES_360HZ :], codes[n_whole * _SAMPLES_360HZ :]
    cut = np.stack(epochs) if epochs else np.empty((0, EPOCH_SAMPLES), dtype=np.float32)
    return cut, np.array(unscorable, dtype=np.float32)


def _to_epoch_fs(signal: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Resample one epoch at 360 Hz to 1000 samples, extended by reflection at its ends."""
    margin = _SAMPLES_360HZ // 10
    padded = np.pad(signal, margin, mode="reflect", reflect_type="odd")
    ratio = Fraction(EPOCH_SAMPLES, _SAMPLES_360HZ)
    skip = margin * ratio.numerator // ratio.denominator
    return resample_padded(padded, ratio)[skip : skip + EPOCH_SAMPLES]
