"""The two stages of a corpus on one shard: recordings -> scaled amplitudes and R-peaks -> tokens.

Memory grows neither with the number of recordings nor with their length, except by an R-peak a beat.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from heartbert.errors import HeartbertError
from heartbert.files import replacing_file
from heartbert.levels import N_BINS, Codebook
from heartbert.preprocessing import Preprocessing, load_preprocessing
from heartbert.records import Channel, read_record
from heartbert.signals.filtering import BandPass
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.scaling import ScalingRule
from heartbert.signals.streaming import Block
from heartbert.signals.survey import survey_lead
from heartbert.tokens import Tokenizer, load_tokenizer
from heartbert.tokens.windows import lengths_of
from heartbert.training.config import Config
from heartbert.training.corpus_planning import Recording
from heartbert.training.corpus_spool import (
    EncodedShard,
    ScaledShard,
    Shard,
    load_scaled,
    samples_file,
    save_encoded,
    save_scaled,
    tokens_file,
)

# A lead with less scorable signal than this teaches nothing about rhythm, in seconds.
SHORTEST_S = 5.0
# Blocks of about five minutes that are kept between the two passes over a lead: an hour is not read twice.
_KEPT_BLOCKS = 12
# Windows encoded at a time.
_WINDOWS_AT_A_TIME = 256


def signal_path(config: Config) -> Preprocessing:
    """Return the preprocessing of the settings, with any codebook: none is fitted yet."""
    signal = config.signal
    band, rule = BandPass(signal.low_hz, signal.high_hz), ScalingRule(signal.scaling, signal.span)
    return Preprocessing(band, rule, Codebook((0.5,), (0.25, 0.75)), config.tokenizer.window_samples)


def scale_shard(shard: Shard, folder: Path, config: Config) -> ScaledShard:
    """Write the scorable windows of a shard's leads as scaled amplitudes on a grid of `N_BINS` steps.

    A recording that cannot be read leaves its reason and nothing else.
    """
    preprocessing = signal_path(config)
    with replacing_file(samples_file(folder, shard)) as temporary, temporary.open("wb") as file:
        spool = _Spool(file, preprocessing)
        for index, recording in enumerate(shard.recordings):
            spool.add(index, recording)
        found = spool.finish()
    save_scaled(found, folder, shard)
    return found


class _Spool:
    """Collects the leads of a shard, those of one recording all or none."""

    def __init__(self, file: BinaryIO, preprocessing: Preprocessing) -> None:
        self._file, self._preprocessing = file, preprocessing
        self._counts = np.zeros(N_BINS, dtype=np.int64)
        self._beats: list[npt.NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        self._leads: list[tuple[int, str, int]] = []
        self._problems: list[tuple[int, str]] = []

    def add(self, index: int, recording: Recording) -> None:
        start, n_leads = self._file.tell(), len(self._leads)
        counts = np.zeros_like(self._counts)
        try:
            if recording.problem:
                raise HeartbertError(recording.problem)
            for channel in read_record(recording.path).channels:
                if channel.kind == "ecg":
                    counts += self._add_lead(index, channel)
        except HeartbertError as error:
            self._problems.append((index, str(error)))
            self._file.truncate(start)
            self._file.seek(start)
            del self._leads[n_leads:], self._beats[1 + n_leads :]
        else:
            self._counts += counts * (not recording.held_out)

    def finish(self) -> ScaledShard:
        return ScaledShard(self._counts, np.concatenate(self._beats), self._leads, self._problems)

    def _add_lead(self, index: int, channel: Channel) -> npt.NDArray[np.int64]:
        """Write a lead and return its histogram; a lead that is too short leaves nothing."""
        start = self._file.tell()
        counts = np.zeros_like(self._counts)
        beats = np.empty(0, dtype=np.int64)
        if channel.n_samples:
            beats = write_scaled(channel, self._preprocessing, self._file, counts)
        n_samples = (self._file.tell() - start) // 2
        if n_samples < SHORTEST_S * TARGET_FS:
            self._file.truncate(start)
            self._file.seek(start)
            return np.zeros_like(counts)
        self._leads.append((index, channel.name, n_samples))
        self._beats.append(start // 2 + beats)
        return counts


def write_scaled(
    channel: Channel, preprocessing: Preprocessing, file: BinaryIO, counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Write the windows of a lead that can be scored throughout, and count their amplitudes.

    Returns
    -------
    beats : ndarray of int64, shape (n_beats,)
        R-peaks in these windows, as positions among the amplitudes written.
    """
    kept: list[Block] = []
    survey = survey_lead(_keeping(preprocessing.stream(channel), kept))
    scaling = preprocessing.scaling_rule.fit(survey.ranges)
    usable = []
    for block in chain(kept, preprocessing.stream(channel, first=len(kept))):
        lengths = lengths_of(preprocessing.window_samples, block.stop - block.start)
        usable.append(np.logical_and.reduceat(block.inner_codes == 0, np.cumsum(lengths) - lengths))
        bins = np.minimum(scaling.apply(block.inner_signal) * N_BINS, N_BINS - 1).astype(np.uint16)
        written = bins[np.repeat(usable[-1], lengths)]
        file.write(written.tobytes())
        counts += np.bincount(written, minlength=N_BINS)
    return _among_kept(survey.r_peaks, np.concatenate(usable), preprocessing.window_samples)


def _keeping(blocks: Iterable[Block], kept: list[Block]) -> Iterator[Block]:
    """Pass blocks on and keep the first ones."""
    for block in blocks:
        if len(kept) < _KEPT_BLOCKS:
            kept.append(block)
        yield block


def _among_kept(
    samples: npt.NDArray[np.int64], usable: npt.NDArray[np.bool_], window_samples: int
) -> npt.NDArray[np.int64]:
    """Return where the samples of a lead lie once the windows that are not usable are taken out."""
    window, inside = np.divmod(samples, window_samples)
    before: npt.NDArray[np.int64] = np.cumsum(usable) - usable  # usable windows before each
    return np.asarray((before[window] * window_samples + inside)[usable[window]])


def encode_shard(shard: Shard, scaled_folder: Path, fit_folder: Path) -> EncodedShard:
    """Write the tokens of a shard's leads, and find those that cover an R-peak."""
    tokenizer, levels_of_bins, window_samples = _fitted(fit_folder)
    scaled = load_scaled(scaled_folder, shard)
    if scaled is None:  # a shard is finished before the fit
        raise FileNotFoundError(samples_file(scaled_folder, shard))
    dtype = token_dtype(tokenizer.n_tokens)
    bins = map_samples(samples_file(scaled_folder, shard))
    lengths: list[int] = []
    ends: list[npt.NDArray[np.int64]] = []
    start = 0
    with replacing_file(tokens_file(fit_folder, shard)) as temporary, temporary.open("wb") as file:
        for _, _, n_samples in scaled.leads:
            before = file.tell()
            covering = []
            for first in range(start, start + n_samples, step := _WINDOWS_AT_A_TIME * window_samples):
                piece = bins[first : min(first + step, start + n_samples)]
                ids, _ = tokenizer.pieces_of_levels(levels_of_bins[piece], window_samples)
                beats = scaled.beats[slice(*np.searchsorted(scaled.beats, (first, first + piece.size)))] - first
                stops = np.cumsum(tokenizer.token_lengths[ids])
                covering.append(file.tell() // dtype.itemsize + np.searchsorted(stops, beats, side="right"))
                file.write(ids.astype(dtype).tobytes())
            lengths.append((file.tell() - before) // dtype.itemsize)
            ends += covering
            start += n_samples
    beats = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *ends]))
    found = EncodedShard(np.array(lengths, dtype=np.int64), beats)
    save_encoded(found, fit_folder, shard)
    return found


def token_dtype(n_tokens: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """Return the narrowest type that holds the ids of a vocabulary."""
    return np.dtype(np.uint16) if n_tokens <= 1 << 16 else np.dtype(np.uint32)


def levels_of_bins(codebook: Codebook) -> npt.NDArray[np.uint8]:
    """Return the level of each step of the grid that amplitudes are spooled on."""
    return codebook.quantize((np.arange(N_BINS, dtype=np.float32) + 0.5) / np.float32(N_BINS))


def map_samples(path: Path) -> npt.NDArray[np.uint16]:
    """Map the amplitudes of a shard into memory, where there are any."""
    return np.memmap(path, dtype=np.uint16, mode="r") if path.stat().st_size else np.empty(0, dtype=np.uint16)


@lru_cache(maxsize=1)
def _fitted(folder: Path) -> tuple[Tokenizer, npt.NDArray[np.uint8], int]:
    """Load what was fitted, once a process: a large vocabulary takes 0.3 s."""
    preprocessing = load_preprocessing(folder)
    return load_tokenizer(folder), levels_of_bins(preprocessing.codebook), preprocessing.window_samples
