"""Sleep stages from a recording, through the whole path."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from heartbert.analysis import Analysis
from heartbert.bundle import load_bundle
from heartbert.errors import BundleError, ConfigError, SignalTooShortError, SignalValueError
from heartbert.evaluation.heartbeats import match_beats
from heartbert.pipeline import SLEEP_BY_DEFAULT_S, HeartBert
from heartbert.predictions.sleep_labels import STAGE_SETS
from heartbert.predictions.sleep_night import SleepInput
from heartbert.records.record import ArraySource, Record
from heartbert.signals.survey import survey_lead
from heartbert.training.sleep_bundling import SleepChoice, bundle_with_sleep
from heartbert.training.sleep_config import SleepConfig
from tests.sleeping import beats_of_stages, cycle_of_stages, labelled_night, night_record
from tests.synthetic import record_of

CONFIG = SleepConfig(layer=1, n_units=4, n_embedding_units=2, n_training_epochs=1, n_networks=1)
START = datetime(2024, 5, 1, 23, 7)


@pytest.fixture(scope="module")
def hb_of(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[SleepInput], HeartBert]:
    """Return a function that gives the tiny bundle with a sleep head of some inputs."""
    nights = [labelled_night(name, seed=seed, n_embedding=64) for seed, name in enumerate(("slp03", "slp04"))]
    made: dict[str, HeartBert] = {}

    def build(inputs: SleepInput) -> HeartBert:
        if inputs not in made:
            folder = tmp_path_factory.mktemp(inputs) / "bundle"
            bundle_with_sleep(load_bundle(tiny_bundle), nights, folder, SleepChoice(inputs, CONFIG))
            made[inputs] = HeartBert.load(folder)
        return made[inputs]

    return build


@pytest.fixture(scope="module")
def nap() -> Record:
    """Return twelve and a quarter minutes with a start."""
    stages = cycle_of_stages(25, seed=5)
    record = night_record(stages, start=START)
    channel = record.channels[0]
    return replace(record, channels=(replace(channel, n_samples=channel.n_samples - 1500),))


@pytest.fixture(scope="module")
def analysis(hb_of: Callable[..., HeartBert], nap: Record) -> Analysis:
    """Return the nap analysed on its detected beats."""
    return hb_of("beats").analyze(nap)


@pytest.mark.parametrize("inputs", ["beats", "tokens", "both"])
def test_every_whole_epoch_is_staged(hb_of: Callable[..., HeartBert], nap: Record, inputs: SleepInput) -> None:
    """All sets of classes, whatever the head reads, from the time that the file tells."""
    predictions = hb_of(inputs).stage_sleep(nap)

    assert predictions.n_epochs == 24
    assert predictions.start == START
    for name, stage_set in STAGE_SETS.items():
        assert predictions.probabilities[name].shape == (24, len(stage_set.classes))
        np.testing.assert_allclose(predictions.probabilities[name].sum(axis=1), 1, rtol=1e-5)


def test_the_beats_of_a_generated_night_are_found() -> None:
    """Else every test here would be one of noise."""
    stages = cycle_of_stages(20)
    beats = beats_of_stages(stages)

    found = survey_lead(HeartBert.load().bundle.preprocessing.stream(night_record(stages).lead())).r_peaks / 360.0

    matched, _ = match_beats(beats[1:-1], found)
    assert matched.size == beats.size - 2
    assert abs(found.size - beats.size) <= 2


def test_detected_beats_given_back_come_out_the_same(hb_of: Callable[..., HeartBert]) -> None:
    """At 360 Hz nothing is rounded."""
    record = night_record(cycle_of_stages(20), fs=360.0)
    hb = hb_of("beats")
    beats = survey_lead(hb.bundle.preprocessing.stream(record.lead())).r_peaks

    plain, given = hb.stage_sleep(record), hb.stage_sleep(record, r_peaks=beats)

    np.testing.assert_array_equal(given.probabilities["stages5"], plain.probabilities["stages5"])


def test_stages_do_not_depend_on_where_blocks_end(
    hb_of: Callable[..., HeartBert], nap: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch may lie in two blocks. The beats are given: the detector starts anew in each block."""
    hb, beats = hb_of("both"), np.arange(30, 72_000, 90)
    whole = hb.stage_sleep(nap, r_peaks=beats)

    monkeypatch.setattr("heartbert.preprocessing.BLOCK_S", 47.0)
    blocks = hb.stage_sleep(nap, r_peaks=beats)

    np.testing.assert_allclose(blocks.probabilities["stages3"], whole.probabilities["stages3"], atol=0.05)


def test_a_lost_electrode_leaves_the_other_epochs_staged(hb_of: Callable[..., HeartBert], nap: Record) -> None:
    """Three minutes without signal have no tokens, and the night goes on."""
    samples = nap.lead().read().copy()
    samples[20_000:38_000] = np.nan

    predictions = hb_of("both").stage_sleep(record_of(samples, 100.0))

    assert np.isfinite(predictions.probabilities["stages5"]).all()


class WatchedSource(ArraySource):
    """Samples in memory that remember the longest part that was read at once."""

    longest = 0

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples ``start <= index < stop``."""
        WatchedSource.longest = max(WatchedSource.longest, stop - start)
        return super().read(start, stop)


def test_eight_hours_are_staged_without_ever_being_in_memory(hb_of: Callable[..., HeartBert]) -> None:
    """What is kept of a lead is told by the tests of the tap; here no more than a block of it is read at a time."""
    record = night_record(cycle_of_stages(960))
    channel = record.channels[0]
    watched = replace(channel, source=WatchedSource(channel.read()))

    predictions = hb_of("beats").stage_sleep(replace(record, channels=(watched,)))

    assert predictions.n_epochs == 960
    assert 0 < WatchedSource.longest < channel.n_samples // 20


def test_too_short_a_recording_is_refused_with_the_reason(hb_of: Callable[..., HeartBert]) -> None:
    """Before any work."""
    record = night_record(cycle_of_stages(19))

    with pytest.raises(SignalTooShortError, match=r"record 'night', lead 'II' lasts 9\.5 min; .* at least 10 min"):
        hb_of("beats").stage_sleep(record)


def test_a_recording_without_beats_is_refused(hb_of: Callable[..., HeartBert]) -> None:
    """A hypnogram of nothing would look like one of something."""
    flat = record_of(np.zeros(60_000, dtype=np.float32), 100.0)

    with pytest.raises(SignalValueError, match="record 'synthetic', lead 'II' has no beat; sleep is staged from"):
        hb_of("beats").stage_sleep(flat)


def test_beats_of_another_recording_are_refused(hb_of: Callable[..., HeartBert], nap: Record) -> None:
    """As when they are classified."""
    with pytest.raises(ConfigError, match="the given beats: beat 1 is at sample 900000"):
        hb_of("beats").stage_sleep(nap, r_peaks=np.array([10, 900_000]))


def test_a_bundle_without_sleep_head_says_how_to_get_one(tiny_bundle: Path, nap: Record) -> None:
    """The message names the command."""
    with pytest.raises(BundleError, match="has no sleep head; train one with 'heartbert train-sleep'"):
        HeartBert.load(tiny_bundle).stage_sleep(nap)


def test_analysis_gets_the_stages_of_its_own_lead(
    hb_of: Callable[..., HeartBert], nap: Record, analysis: Analysis
) -> None:
    """Two ways to one hypnogram; time, limit and origin are told."""
    hb, told = hb_of("beats"), []

    staged = hb.with_sleep(analysis, min_confidence=0.4, progress=lambda *step: told.append(step[0]))

    assert staged.sleep is not None
    expected = hb.stage_sleep(nap).probabilities["stages5"]
    np.testing.assert_array_equal(staged.sleep.predictions.probabilities["stages5"], expected)
    assert staged.sleep.predictions.min_confidence == 0.4
    assert staged.sleep.origin.who == "men examined for sleep apnoea"
    assert staged.seconds_by_stage["sleep"] > 0
    assert told == ["finding beats", "staging sleep"]
    with pytest.raises(ConfigError, match="min_confidence is 40"):
        hb.with_sleep(analysis, min_confidence=40)


def test_analysis_of_given_beats_is_staged_on_them(
    hb_of: Callable[..., HeartBert], nap: Record, analysis: Analysis
) -> None:
    """Who corrected the beats wants the hypnogram of the corrected ones."""
    hb, beats = hb_of("beats"), analysis.beats.samples[::2]
    given = replace(analysis, beats_given=True, beats=replace(analysis.beats, samples=beats))

    staged = hb.with_sleep(given)

    assert staged.sleep is not None
    expected = hb.stage_sleep(nap, r_peaks=beats).probabilities["stages5"]
    np.testing.assert_array_equal(staged.sleep.predictions.probabilities["stages5"], expected)


def test_sleep_is_wanted_by_default_from_an_hour_on(
    hb_of: Callable[..., HeartBert], tiny_bundle: Path, nap: Record
) -> None:
    """A shorter recording is rarely of sleep, and a bundle without head has no say."""
    hb, short = hb_of("beats"), nap.lead()
    long = replace(short, n_samples=round(SLEEP_BY_DEFAULT_S * short.fs))

    assert hb.wants_sleep(long)
    assert not hb.wants_sleep(short)
    assert not HeartBert.load(tiny_bundle).wants_sleep(long)
    assert hb.wants_sleep(short, "yes")
    assert not hb.wants_sleep(long, "no")


def test_sleep_that_is_wanted_and_impossible_is_refused_before_the_work(
    hb_of: Callable[..., HeartBert], tiny_bundle: Path, nap: Record
) -> None:
    """Minutes of analysis would be lost."""
    with pytest.raises(BundleError, match="has no sleep head"):
        HeartBert.load(tiny_bundle).wants_sleep(nap.lead(), "yes")
    with pytest.raises(SignalTooShortError, match=r"lead 'II' lasts 1\.0 min"):
        hb_of("beats").wants_sleep(replace(nap.lead(), n_samples=6000), "yes")
    with pytest.raises(ConfigError, match="sleep is 'maybe'; choose one of auto, yes, no"):
        hb_of("beats").wants_sleep(nap.lead(), "maybe")  # type: ignore[arg-type]
