"""A lead read in blocks is the lead read at once, and memory does not grow with its length."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.records.record import ArraySource, Channel, SampleSource
from heartbert.signals import streaming
from heartbert.signals.filtering import BandPass
from heartbert.signals.resampling import resample
from heartbert.signals.streaming import Block, MeasuredChannel, stream_blocks

BAND = BandPass(0.5, 40.0)
RATES = [100.0, 128.0, 250.0, 257.3, 1000 / 3, 360.0, 500.0]


@dataclass
class WatchedSource:
    """Samples in memory that note how many are read at once."""

    values: npt.NDArray[np.float32]
    reads: list[int] = field(default_factory=list)

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop`` and note their number."""
        part = self.values[start:stop]
        self.reads.append(part.size)
        return part


def _lead(signal: npt.NDArray[np.float32], fs: float, source: SampleSource | None = None) -> Channel:
    return Channel("II", fs, "mV", signal.size, "ecg", source or ArraySource(signal))


def _wander(n_samples: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return noise on a baseline that drifts by several mV."""
    return np.cumsum(np.random.default_rng(seed).normal(0, 0.05, n_samples)).astype(np.float32)


def _join(blocks: Sequence[Block]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    codes = np.concatenate([block.inner_codes for block in blocks])
    return np.concatenate([block.inner_signal for block in blocks]), codes


@settings(max_examples=12, deadline=None)
@given(
    fs=st.sampled_from(RATES),
    duration_s=st.floats(0.5, 40.0),
    block_samples=st.integers(400, 9000),
    seed=st.integers(0, 99),
)
def test_blocks_join_exactly_whatever_their_size(fs: float, duration_s: float, block_samples: int, seed: int) -> None:
    """Beats and tokens must not depend on how much memory a block takes."""
    channel = _lead(_wander(round(fs * duration_s), seed), fs)

    signal, codes = _join(list(stream_blocks(channel, BAND, block_samples=block_samples)))

    whole_signal, whole_codes = _join(list(stream_blocks(channel, BAND, block_samples=10**6)))
    assert signal == pytest.approx(whole_signal, abs=1e-4)
    assert codes.tolist() == whole_codes.tolist()


@settings(max_examples=12, deadline=None)
@given(
    fs=st.sampled_from([100.0, 250.0, 360.0]),
    gap=st.tuples(st.floats(0.0, 25.0), st.floats(0.05, 15.0)),
    block_samples=st.integers(700, 4000),
)
def test_blocks_join_exactly_around_gaps(fs: float, gap: tuple[float, float], block_samples: int) -> None:
    """A gap that reaches over several blocks must not change the beats beside it."""
    lead = _wander(round(fs * 30))
    lead[round(fs * gap[0]) : round(fs * sum(gap))] = np.nan
    channel = _lead(lead, fs)

    signal, codes = _join(list(stream_blocks(channel, BAND, block_samples=block_samples)))

    whole_signal, whole_codes = _join(list(stream_blocks(channel, BAND, block_samples=10**6)))
    assert codes.tolist() == whole_codes.tolist()
    assert signal[codes == 0] == pytest.approx(whole_signal[codes == 0], abs=1e-4)


@pytest.mark.parametrize("fs", RATES)
def test_blocks_equal_resampling_and_filtering_of_the_whole_lead(fs: float) -> None:
    """The short path of `Preprocessing.texts` and the long one of `analyze` have to agree."""
    lead = _wander(round(fs * 20))

    signal, _ = _join(list(stream_blocks(_lead(lead, fs), BAND, block_samples=1000)))

    inner = slice(1000, -1000)  # the ends are extended before resampling here, after it there
    assert signal[inner] == pytest.approx(BAND.apply(resample(lead, fs))[inner], abs=1e-4)


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("n_samples", [1, 2, 10])
def test_short_leads_are_streamed(fs: float, n_samples: int) -> None:
    """A cut-out of a few samples must end in a message about its length, not in a crash."""
    signal, codes = _join(list(stream_blocks(_lead(_wander(n_samples), fs), BAND, block_samples=2000)))

    assert signal.size == codes.size == max(1, round(n_samples * 360 / fs))
    assert np.isfinite(signal).all()


def test_blocks_cover_the_lead_in_order() -> None:
    """Windows are counted through the blocks, so these may leave nothing out."""
    blocks = list(stream_blocks(_lead(_wander(2500), 250.0), BAND, block_samples=1000))

    assert [(block.start, block.stop) for block in blocks] == [
        (0, 1000),
        (1000, 2000),
        (2000, 3000),
        (3000, 3600),
    ]
    assert {block.signal.size - 2 * block.context_samples - (block.stop - block.start) for block in blocks} == {0}


def test_gaps_become_codes_and_finite_samples() -> None:
    """One NaN would spread through the filter over five seconds of beats."""
    lead = _wander(2500)
    lead[500:750], lead[1800] = np.nan, np.inf

    signal, codes = _join(list(stream_blocks(_lead(lead, 250.0), BAND, block_samples=1000)))

    assert np.isfinite(signal).all()
    assert set(codes[720:1080].tolist()) == {1}
    assert codes[2592] == 1
    assert codes[:660].tolist() == [0] * 660


def test_a_lead_without_any_sample_is_missing_throughout() -> None:
    """A channel of an unplugged sensor is all NaN."""
    lead = np.full(2500, np.nan, dtype=np.float32)

    signal, codes = _join(list(stream_blocks(_lead(lead, 250.0), BAND, block_samples=1000)))

    assert not signal.any()
    assert set(codes.tolist()) == {1}


def test_reads_stay_bounded_however_long_the_lead_is() -> None:
    """A night of eight leads does not fit into memory."""
    sources = [WatchedSource(_wander(round(250 * seconds))) for seconds in (200, 800)]

    for source in sources:
        _join(list(stream_blocks(_lead(source.values, 250.0, source), BAND, block_samples=3600)))

    assert max(sources[0].reads) == max(sources[1].reads) < 250 * 35


def test_first_hour_is_decoded_once_and_the_rest_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept in memory changes nothing but the time."""
    monkeypatch.setattr(streaming, "_KEPT_S", 60.0)
    source = WatchedSource(_wander(250 * 100))
    channel = _lead(source.values, 250.0, source)

    partly_kept = _join(list(stream_blocks(channel, BAND, block_samples=3600)))
    n_read = sum(source.reads)
    monkeypatch.setattr(streaming, "_KEPT_S", 100.0)
    source.reads.clear()
    kept = _join(list(stream_blocks(channel, BAND, block_samples=3600)))

    assert np.array_equal(partly_kept[0], kept[0])
    assert sum(source.reads) == source.values.size < n_read


def test_range_of_a_channel_ignores_gaps() -> None:
    """The rails of a converter are recognised by the extreme values of the recording."""
    lead = np.array([np.nan, 3, -1, np.inf, 2], dtype=np.float32)

    measured = MeasuredChannel(_lead(lead, 250.0), 2)

    assert (measured.low, measured.high) == (-1.0, 3.0)


def test_range_of_nothing_is_zero() -> None:
    """An all-missing channel has no extreme values."""
    measured = MeasuredChannel(_lead(np.full(5, np.nan, dtype=np.float32), 250.0), 2)

    assert (measured.low, measured.high) == (0.0, 0.0)
