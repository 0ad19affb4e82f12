"""One pass over a lead finds each beat once and each defect once, wherever blocks begin."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest

from heartbert.records.record import Channel
from heartbert.signals import survey
from heartbert.signals.filtering import BandPass
from heartbert.signals.quality import Stretch
from heartbert.signals.streaming import Block, stream_blocks
from heartbert.signals.survey import survey_lead
from tests.synthetic import synthetic_ecg

MakeChannel = Callable[[npt.NDArray[np.float32], float], Channel]


@pytest.mark.parametrize("block_samples", [1800, 2161, 7200])
def test_survey_finds_each_beat_once_when_blocks_cut_between_and_through_beats(
    band: BandPass, make_channel: MakeChannel, block_samples: int
) -> None:
    """A beat lost or doubled at every fifth minute would be read as a pause or an extra beat."""
    signal, true_peaks, _ = synthetic_ecg(120.0, 360.0, seed=3)

    found = survey_lead(stream_blocks(make_channel(signal, 360.0), band, block_samples=block_samples))

    assert found.n_samples == signal.size
    assert found.r_peaks.size == true_peaks.size
    assert np.abs(found.r_peaks - true_peaks).max() <= 18
    assert found.unscorable == ()


def test_survey_finds_a_beat_at_each_place_of_a_block_border(band: BandPass, make_channel: MakeChannel) -> None:
    """A border may fall anywhere in a QRS complex."""
    signal, true_peaks, _ = synthetic_ecg(20.0, 360.0, seed=1)
    channel = make_channel(signal, 360.0)
    borders = [int(true_peaks[12]) + shift for shift in range(-6, 7, 3)]

    found = [survey_lead(stream_blocks(channel, band, block_samples=border)).r_peaks for border in borders]

    assert {r_peaks.size for r_peaks in found} == {true_peaks.size}


def test_survey_keeps_a_beat_that_each_block_finds_on_the_other_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector's place for a beat depends on its context; the beat must not fall between two blocks."""
    positions = iter([np.array([900, 1013]), np.array([93, 400])])
    monkeypatch.setattr(survey, "detect_r_peaks", lambda signal: next(positions))

    found = survey_lead(_empty_blocks())

    assert found.r_peaks.tolist() == [800, 893, 1200]


def _empty_blocks() -> Iterator[Block]:
    """Yield two blocks of 900 samples with 100 samples of context; the border is at sample 900."""
    for start in (0, 900):
        yield Block(start, start + 900, 100, np.zeros(1100, dtype=np.float32), np.zeros(1100, dtype=np.uint8))


def test_survey_drops_beats_in_the_reflection_beyond_the_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends are extended by mirrored beats, which nobody recorded."""
    positions = iter([np.array([90, 150]), np.array([950, 1010])])
    monkeypatch.setattr(survey, "detect_r_peaks", lambda signal: next(positions))

    found = survey_lead(_empty_blocks())

    assert found.r_peaks.tolist() == [50, 1750]


def test_survey_reports_an_unscorable_stretch_once_and_without_beats(band: BandPass, make_channel: MakeChannel) -> None:
    """A lead that fell off for 20 s is one event, and noise in it is no beat."""
    signal, true_peaks, _ = synthetic_ecg(90.0, 360.0, seed=2)
    signal[30 * 360 : 50 * 360] = 0.01

    found = survey_lead(stream_blocks(make_channel(signal, 360.0), band, block_samples=1800))

    inside = (found.r_peaks >= 30 * 360) & (found.r_peaks < 50 * 360)
    assert found.unscorable == (Stretch(30.0, 50.0, "flat"),)
    assert not inside.any()
    assert true_peaks.size > found.r_peaks.size > 60 * 360 / 300


@pytest.mark.parametrize("flat_s", [(50, 70), (58, 63), (20, 25)])
def test_survey_finds_no_extra_beats_after_a_flat_stretch(
    band: BandPass, make_channel: MakeChannel, flat_s: tuple[int, int]
) -> None:
    """The detector's thresholds sink in silence; it then took T waves for beats until the end of the block."""
    signal, true_peaks, _ = synthetic_ecg(120.0, 360.0, seed=2)
    start, stop = (360 * second for second in flat_s)
    signal[start:stop] = 0.01

    found = survey_lead(stream_blocks(make_channel(signal, 360.0), band, block_samples=60 * 360))

    outside = true_peaks[(true_peaks < start) | (true_peaks >= stop)]
    assert abs(found.r_peaks.size - outside.size) <= 1


def test_survey_measures_the_scorable_amplitude(band: BandPass, make_channel: MakeChannel) -> None:
    """The scaling follows from it, so a gap must not count."""
    signal, _, _ = synthetic_ecg(60.0, 360.0)
    signal[:14400] = np.nan

    found = survey_lead(stream_blocks(make_channel(signal, 360.0), band, block_samples=3600))

    assert found.ranges.low.size <= 10
    assert found.ranges.median_amplitude == pytest.approx(1.2, abs=0.3)


def test_survey_of_an_all_missing_lead_finds_nothing(band: BandPass, make_channel: MakeChannel) -> None:
    """It has to come out as unscorable, not as an error."""
    lead = np.full(7200, np.nan, dtype=np.float32)

    found = survey_lead(stream_blocks(make_channel(lead, 360.0), band, block_samples=1800))

    assert found.r_peaks.size == 0
    assert found.ranges.median_amplitude == 0.0
    assert found.unscorable == (Stretch(0.0, 20.0, "missing"),)
