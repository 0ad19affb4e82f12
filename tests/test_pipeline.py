from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from heartbert.bundle import load_bundle
from heartbert.embeddings.encoder import build_encoder
from heartbert.errors import BundleError, ConfigError, LeadNotFoundError, SignalTooShortError, SignalValueError
from heartbert.evaluation.heartbeats import match_beats
from heartbert.pipeline import HeartBert
from heartbert.predictions.beat_windows import WindowHead, build_window_network
from heartbert.predictions.heartbeats import beat_intervals
from heartbert.records.record import ArraySource, Channel, Record
from heartbert.training.config import read_config
from tests.synthetic import record_of, synthetic_ecg


@pytest.fixture(scope="module")
def hb(tiny_bundle: Path) -> HeartBert:
    """Return the tiny bundle, loaded once."""
    return HeartBert.load(tiny_bundle)


@pytest.mark.parametrize("fs", [128.0, 250.0, 360.0, 1000.0])
def test_analyze_finds_the_beats_at_any_rate(hb: HeartBert, fs: float) -> None:
    """People bring recordings of any sampling frequency; beats are reported in their own samples."""
    signal, r_peaks, _ = synthetic_ecg(40.0, fs)

    analysis = hb.analyze(record_of(signal, fs))

    matched, _ = match_beats(r_peaks / fs, analysis.beats.times_s)
    assert matched.size == r_peaks.size == analysis.beats.samples.size
    np.testing.assert_allclose(analysis.beats.times_s, r_peaks / fs, atol=0.03)
    assert analysis.beats.probabilities.shape == (r_peaks.size, 5)


def test_analyze_covers_every_sample_with_windows(hb: HeartBert) -> None:
    """No part of a recording may be dropped, neither its end nor what exceeds the model's positions."""
    signal, _, _ = synthetic_ecg(33.3, 360.0)

    windows = hb.analyze(record_of(signal, 360.0)).windows

    assert windows.start_s[0] == 0.0
    np.testing.assert_array_equal(windows.start_s[1:], windows.stop_s[:-1])
    assert windows.stop_s[-1] == pytest.approx(signal.size / 360.0)
    assert windows.vectors.shape == (windows.start_s.size, 32)
    assert np.isfinite(windows.vectors).all()


def test_embed_tokens_cover_every_sample_once(hb: HeartBert) -> None:
    """Windows here hold more tokens than the tiny model has positions: the rest continues in further rows."""
    signal, _, _ = synthetic_ecg(33.3, 360.0)

    tokens = hb.embed(record_of(signal, 360.0), unit="token")

    np.testing.assert_allclose(tokens.start_s[1:], tokens.stop_s[:-1])
    assert tokens.start_s[0] == 0.0
    assert tokens.stop_s[-1] == pytest.approx(signal.size / 360.0)


def test_embed_beats_gives_three_parts_for_each_beat(hb: HeartBert) -> None:
    """P wave, QRS complex and T wave are averaged apart."""
    signal, r_peaks, _ = synthetic_ecg(20.0, 360.0)

    beats = hb.embed(record_of(signal, 360.0), unit="beat")

    assert beats.vectors.shape == (r_peaks.size, 3 * 32)
    np.testing.assert_allclose(beats.start_s, beat_intervals(r_peaks)[0][:, 0] / 360.0, atol=0.03)


def test_embed_windows_equals_the_windows_of_analyze(hb: HeartBert) -> None:
    """Two ways to the same vectors must agree."""
    record = record_of(synthetic_ecg(20.0, 360.0)[0], 360.0)

    np.testing.assert_array_equal(hb.embed(record).vectors, hb.analyze(record).windows.vectors)


def test_beat_embeddings_do_not_depend_on_where_blocks_end(hb: HeartBert, monkeypatch: pytest.MonkeyPatch) -> None:
    """A beat at the edge of a block must get all its tokens from both blocks."""
    record = record_of(synthetic_ecg(60.0, 360.0)[0], 360.0)
    whole = hb.embed(record, unit="beat").vectors

    monkeypatch.setattr("heartbert.preprocessing.BLOCK_S", 8.0)
    blocks = hb.embed(record, unit="beat").vectors

    # The filter's last bits depend on the block and may move a sample to the next level, and with it tokens.
    cosine = np.sum(blocks * whole, axis=1) / np.linalg.norm(blocks, axis=1) / np.linalg.norm(whole, axis=1)
    assert cosine.min() > 0.8  # a beat that lost one of its three parts would fall below 0.6


def test_analyze_marks_missing_signal_and_finds_no_beats_in_it(hb: HeartBert) -> None:
    """A loose electrode must be reported, not scored, and must not spoil the rest."""
    signal, _, _ = synthetic_ecg(60.0, 360.0)
    signal[20 * 360 : 40 * 360] = np.nan

    analysis = hb.analyze(record_of(signal, 360.0))

    (stretch,) = analysis.unscorable
    assert stretch.reason == "missing"
    assert (stretch.start_s, stretch.stop_s) == pytest.approx((20.0, 40.0), abs=0.2)
    times_s = analysis.beats.times_s
    assert not ((times_s > 20.0) & (times_s < 40.0)).any()
    assert (times_s < 20.0).sum() > 20
    inside = (analysis.windows.start_s > 20.2) & (analysis.windows.stop_s < 39.8)
    assert inside.any()
    assert np.isnan(analysis.windows.vectors[inside]).all()
    assert np.isfinite(analysis.windows.vectors[analysis.windows.n_tokens > 0]).all()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_analyze_reports_a_recording_without_signal(hb: HeartBert, value: float) -> None:
    """A flat or empty lead is a result with no beats, not a failure."""
    analysis = hb.analyze(record_of(np.full(3600, value, dtype=np.float32), 360.0))

    assert analysis.beats.samples.size == 0
    assert analysis.unscorable[0].stop_s == pytest.approx(10.0)


def test_analyze_does_not_depend_on_gain_or_offset(hb: HeartBert) -> None:
    """The range of each recording is its own, and the baseline is filtered: only the shape counts."""
    signal, _, _ = synthetic_ecg(20.0, 360.0)

    plain = hb.analyze(record_of(signal, 360.0)).windows.vectors
    changed = hb.analyze(record_of(signal * 200.0 + 900.0, 360.0, unit="NU")).windows.vectors

    np.testing.assert_allclose(changed, plain, atol=0.3)


def test_analyze_gives_the_same_result_twice(hb: HeartBert) -> None:
    """Results must come out again."""
    record = record_of(synthetic_ecg(20.0, 250.0)[0], 250.0)

    first, second = hb.analyze(record), hb.analyze(record)

    np.testing.assert_array_equal(first.beats.probabilities, second.beats.probabilities)
    np.testing.assert_array_equal(first.windows.vectors, second.windows.vectors)


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "uV"), (0.001, "V")])
def test_analyze_refuses_an_amplitude_no_ecg_has_and_names_the_unit(hb: HeartBert, factor: float, unit: str) -> None:
    """A unit wrong by 1000 is the most common mistake in private files."""
    signal, _, _ = synthetic_ecg(10.0, 360.0)

    with pytest.raises(SignalValueError, match=f"The unit is probably {unit}"):
        hb.analyze(record_of(signal * factor, 360.0))


def test_analyze_believes_a_unit_that_the_caller_gave(hb: HeartBert) -> None:
    """An animal or a fetus may have an amplitude no adult has; the caller knows."""
    record = record_of(synthetic_ecg(10.0, 360.0)[0] * 0.001, 360.0)
    record = replace(record, channels=(replace(record.channels[0], unit_given=True),))

    assert hb.analyze(record).beats.samples.size > 5


def test_analyze_refuses_less_than_a_second_and_says_how_much_is_needed(hb: HeartBert) -> None:
    """The message must hold the length found and the length needed."""
    with pytest.raises(SignalTooShortError, match=r"lead 'II': 90 samples at 360 Hz \(0.25 s\); at least 1 s"):
        hb.analyze(record_of(np.zeros(90, dtype=np.float32), 360.0))


def test_analyze_takes_the_lead_that_was_asked_for(hb: HeartBert) -> None:
    """Other channels of a recording are left alone."""
    signal, _, _ = synthetic_ecg(10.0, 360.0)
    record = record_of(signal, 360.0)
    other = Channel("V5", 360.0, "mV", signal.size, "ecg", ArraySource(signal[::-1].copy()))
    record = replace(record, channels=(*record.channels, other))

    assert hb.analyze(record).channel.name == "II"
    assert hb.analyze(record, lead="v5").channel.name == "V5"
    with pytest.raises(LeadNotFoundError, match="it has 'II' and 'V5'"):
        hb.analyze(record, lead="V1")


def test_analyze_tells_its_progress(hb: HeartBert) -> None:
    """Long work must show that it lives."""
    told: list[tuple[str, float]] = []

    hb.analyze(record_of(synthetic_ecg(10.0, 360.0)[0], 360.0), progress=lambda *step: told.append(step))

    assert [stage for stage, _ in told] == ["finding beats", "embedding"]
    assert all(0 <= fraction <= 1 for _, fraction in told)


def test_classify_heartbeats_returns_the_beats_of_analyze(hb: HeartBert) -> None:
    """The short method is the long one's part."""
    record = record_of(synthetic_ecg(10.0, 360.0)[0], 360.0)

    np.testing.assert_array_equal(hb.classify_heartbeats(record).samples, hb.analyze(record).beats.samples)


def test_analyze_needs_a_heartbeat_head(tiny_bundle: Path) -> None:
    """A bundle that was only pre-trained embeds, and says how to get a head."""
    headless = HeartBert(replace(load_bundle(tiny_bundle), heartbeats=None))
    record = record_of(synthetic_ecg(10.0, 360.0)[0], 360.0)

    assert headless.embed(record).vectors.shape[1] == 32
    with pytest.raises(BundleError, match="has no heartbeat head; train one with 'heartbert train-heartbeats'"):
        headless.analyze(record)


def test_embed_works_with_the_published_encoder_family(tiny_bundle: Path) -> None:
    """RoBERTa counts positions otherwise and has no rotary ones; the path must not care."""
    bundle = load_bundle(tiny_bundle)
    settings = replace(read_config("tiny").encoder, family="roberta")
    model = build_encoder(settings, bundle.tokenizer.n_tokens, seed=0).eval()
    record = record_of(synthetic_ecg(20.0, 360.0)[0], 360.0)

    windows = HeartBert(replace(bundle, model=model)).embed(record)

    assert windows.vectors.shape == (4, 32)
    assert np.isfinite(windows.vectors).all()


def two_leads(first: np.ndarray, second: np.ndarray) -> Record:
    """Return a record with leads II and V5, and a channel that is none."""
    record = record_of(first, 360.0)
    more = [
        Channel(name, 360.0, "mV", second.size, kind, ArraySource(second))
        for name, kind in (("V5", "ecg"), ("RESP", "other"))
    ]
    return replace(record, channels=(*record.channels, *more))


def test_analyze_classifies_the_beats_that_were_given_and_no_other(hb: HeartBert) -> None:
    """Every beat comes out where it was put, at any rate: the first and last sample, and in a gap."""
    signal, _, _ = synthetic_ecg(20.0, 250.0)
    signal[2000:2500] = np.nan
    given = np.array([0, 125, 2250, 3000, 4999])

    analysis = hb.analyze(record_of(signal, 250.0), r_peaks=given)

    np.testing.assert_array_equal(analysis.beats.samples, given)
    np.testing.assert_allclose(analysis.beats.probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert analysis.beats_given


def test_analyze_takes_an_empty_list_of_beats(hb: HeartBert) -> None:
    """Who has marked no beat gets none."""
    analysis = hb.analyze(record_of(synthetic_ecg(10.0, 360.0)[0], 360.0), r_peaks=np.array([], dtype=int))

    assert analysis.beats.probabilities.shape == (0, 5)


def test_detected_beats_given_back_come_out_the_same(hb: HeartBert) -> None:
    """At 360 Hz nothing is rounded: where beats come from must not matter."""
    record = record_of(synthetic_ecg(20.0, 360.0)[0], 360.0)
    detected = hb.analyze(record).beats

    again = hb.classify_heartbeats(record, r_peaks=detected.samples)

    np.testing.assert_array_equal(again.probabilities, detected.probabilities)


def test_analyze_refuses_beats_of_another_recording(hb: HeartBert) -> None:
    """Samples at another rate soon lie behind the end."""
    with pytest.raises(ConfigError, match="the given beats: beat 1 is at sample 3600, the lead has samples 0 to 3599"):
        hb.analyze(record_of(synthetic_ecg(10.0, 360.0)[0], 360.0), r_peaks=np.array([10, 3600]))


def test_min_confidence_makes_doubtful_beats_q(hb: HeartBert) -> None:
    """Everything else of the result stays as it is; the limit is checked before the work."""
    record = record_of(synthetic_ecg(10.0, 360.0)[0], 360.0)
    plain = hb.classify_heartbeats(record)
    limit = float(np.median(plain.confidences))

    careful = hb.classify_heartbeats(record, min_confidence=limit)

    np.testing.assert_array_equal(careful.probabilities, plain.probabilities)
    np.testing.assert_array_equal(careful.abstained, plain.confidences < limit)
    assert (careful.classes[careful.abstained] == 4).all()
    assert careful.abstained.any()
    with pytest.raises(ConfigError, match="min_confidence is 60"):
        hb.analyze(record, min_confidence=60)


def test_all_leads_classify_the_beats_of_the_preferred_one(hb: HeartBert) -> None:
    """The geometric mean of what each lead says alone of the same beats; a channel that is no ECG has no say."""
    first, _, _ = synthetic_ecg(20.0, 360.0)
    record = two_leads(first, -first)

    fused = hb.analyze(record, leads="all")

    beats = fused.beats.samples
    alone = [hb.classify_heartbeats(record, lead=name, r_peaks=beats).probabilities for name in ("II", "V5")]
    expected = np.sqrt(alone[0] * alone[1])
    np.testing.assert_allclose(fused.beats.probabilities, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)
    assert fused.leads == ("II", "V5")
    np.testing.assert_array_equal(beats, hb.analyze(record).beats.samples)


def test_all_leads_ignore_a_lead_without_signal(hb: HeartBert) -> None:
    """A loose electrode must not spoil the lead that is left."""
    first, _, _ = synthetic_ecg(20.0, 360.0)

    fused = hb.classify_heartbeats(two_leads(first, np.full_like(first, np.nan)), leads="all")

    np.testing.assert_allclose(
        fused.probabilities, hb.classify_heartbeats(two_leads(first, first)).probabilities, atol=1e-6
    )


def test_one_lead_is_enough_for_all_leads(hb: HeartBert) -> None:
    """The same call works for any recording."""
    record = record_of(synthetic_ecg(20.0, 360.0)[0], 360.0)

    np.testing.assert_array_equal(
        hb.classify_heartbeats(record, leads="all").probabilities, hb.classify_heartbeats(record).probabilities
    )
    with pytest.raises(ConfigError, match="leads is 'both'; choose one of one, all"):
        hb.analyze(record, leads="both")  # type: ignore[arg-type]


def test_window_head_gives_the_same_for_blocks_of_any_length(hb: HeartBert, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that reaches over the edge of a block needs both sides, and ends of the recording cut it."""
    torch.manual_seed(0)
    head = WindowHead(build_window_network(32, n_units=8, dropout=0.0).eval(), 1080, 2)
    windowed = HeartBert(replace(hb.bundle, heartbeats=head))
    record = record_of(synthetic_ecg(30.0, 360.0)[0], 360.0)
    beats = np.arange(5, 10_800, 311)

    whole = windowed.classify_heartbeats(record, r_peaks=beats)
    monkeypatch.setattr("heartbert.preprocessing.BLOCK_S", 8.0)
    blocks = windowed.classify_heartbeats(record, r_peaks=beats)

    np.testing.assert_allclose(whole.probabilities.sum(axis=1), 1.0, atol=1e-5)
    # The filter's last bits depend on the block and may move a sample to the next level, and with it tokens.
    assert np.median(np.abs(blocks.probabilities - whole.probabilities)) < 1e-3
    assert windowed.embed(record, unit="beat").vectors.shape[1] == 3 * 32
