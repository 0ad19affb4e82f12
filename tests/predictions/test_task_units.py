"""Units of a recording are cut and embedded where they are, and padding is told from signal."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.bundle import Bundle, load_bundle
from heartbert.errors import ConfigError, LeadNotFoundError, SignalTooShortError
from heartbert.pipeline import HeartBert
from heartbert.predictions.heartbeats import beat_intervals
from heartbert.predictions.intervals import embed_intervals, usable_share
from heartbert.predictions.task_units import UnitInput, Units, cut_parts, embed_units, n_embedding_of, units_of
from heartbert.records import read_record
from heartbert.records.record import Record
from heartbert.signals.resampling import TARGET_FS
from heartbert.signals.survey import survey_lead
from heartbert.tokens.leads import tokenize_lead
from tests.labelled import write_record
from tests.synthetic import record_of, synthetic_ecg


@pytest.fixture(scope="module")
def bundle(tiny_pretrained: Path) -> Bundle:
    return load_bundle(tiny_pretrained)


@pytest.fixture(scope="module")
def record() -> Record:
    return record_of(synthetic_ecg(75.0, 250.0, seed=3)[0], 250.0)


def test_beats_are_averaged_as_the_pipeline_does(bundle: Bundle, record: Record) -> None:
    """One way to pool a beat, whether its windows come in blocks or are picked out."""
    channel = record.lead()
    survey = survey_lead(bundle.preprocessing.stream(channel))
    scaling = bundle.preprocessing.scaling_rule.fit(survey.ranges)
    expected = HeartBert(bundle).beat_embeddings(channel, scaling, survey.r_peaks, layer=1)
    lead = tokenize_lead(channel, bundle.preprocessing, bundle.tokenizer)

    found = embed_intervals(
        lead,
        bundle.token_reader,
        beat_intervals(survey.r_peaks),
        window_samples=bundle.preprocessing.window_samples,
        layer=1,
    )

    assert found.reshape(expected.shape) == pytest.approx(expected, rel=2e-2, abs=2e-2)


def test_order_of_intervals_does_not_matter(bundle: Bundle, record: Record) -> None:
    """A table need not be sorted, and stretches may overlap."""
    lead = tokenize_lead(record.lead(), bundle.preprocessing, bundle.tokenizer)
    starts = np.array([[20_000], [0], [5_000], [100]])
    stops = starts + np.array([[2_000], [27_000], [100], [9_000]])
    order = np.array([2, 0, 3, 1])
    settings_of = {"window_samples": bundle.preprocessing.window_samples, "layer": 2}

    found = embed_intervals(lead, bundle.token_reader, (starts, stops), **settings_of)
    permuted = embed_intervals(lead, bundle.token_reader, (starts[order], stops[order]), **settings_of)

    assert permuted == pytest.approx(found[order], abs=1e-4)
    assert np.abs(found).max() > 0


def test_no_interval_gives_no_vector(bundle: Bundle, record: Record) -> None:
    """A recording without any beat is no error."""
    lead = tokenize_lead(record.lead(), bundle.preprocessing, bundle.tokenizer)
    none = np.empty((0, 3), dtype=np.int64)

    assert embed_intervals(lead, bundle.token_reader, (none, none), window_samples=2000, layer=1).shape == (0, 3, 32)


def test_quality_is_the_share_that_can_be_scored(bundle: Bundle) -> None:
    """Half a window flat is half a window."""
    signal = synthetic_ecg(20.0, 360.0, seed=1)[0]
    signal[3600:] = 0.1
    lead = tokenize_lead(record_of(signal, 360.0).lead(), bundle.preprocessing, bundle.tokenizer)

    shares = usable_share(lead, np.array([0, 1800, 5400, 6000]), np.array([3000, 5400, 7200, 9000]))

    assert shares == pytest.approx([1.0, 0.5, 0.0, 0.0], abs=0.15)


@given(lengths=st.lists(st.integers(1, 400_000), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_parts_cover_a_stretch_without_overlap(lengths: list[int]) -> None:
    """Nothing of a stretch is lost, and nothing counts twice."""
    starts = np.arange(len(lengths)) * 500_000
    units = Units("window", starts, starts + np.array(lengths))

    first, last, there = cut_parts(units)

    assert (first[:, 0] == units.starts).all()
    for row, inside in enumerate(there):
        assert last[row][inside][-1] == units.stops[row]
        assert (first[row][inside][1:] == last[row][inside][:-1]).all()
        assert inside[0]


@pytest.mark.parametrize(("kind", "n_units"), [("record", 1), ("window", 7), ("epoch", 2)])
def test_recording_is_cut_into_whole_units(bundle: Bundle, record: Record, kind: str, n_units: int) -> None:
    """75 s hold seven windows of 10 s and two epochs."""
    units = units_of(kind, record, record.lead(), bundle.preprocessing, window_s=10.0)

    assert len(units) == n_units
    assert units.stops[-1] <= 75 * TARGET_FS


def test_recording_shorter_than_an_epoch_is_refused(bundle: Bundle) -> None:
    """Nothing was asked that could be answered."""
    short = record_of(synthetic_ecg(20.0, 250.0)[0], 250.0)

    with pytest.raises(SignalTooShortError, match=r"lasts 20.0 s; one epoch needs 30 s"):
        units_of("epoch", short, short.lead(), bundle.preprocessing, window_s=None)


@pytest.mark.parametrize("unit", ["record", "window", "epoch", "beat"])
def test_vectors_are_finite_and_as_wide_as_said(bundle: Bundle, record: Record, unit: str) -> None:
    """A head is built for that many numbers."""
    read = UnitInput(unit, 1)
    units = units_of(unit, record, record.lead(), bundle.preprocessing, window_s=7.0)

    embedded = embed_units(read, units, read.channels(record), (bundle.preprocessing, bundle.token_reader))

    assert embedded.vectors.shape[::3] == (len(units), n_embedding_of(read, 32))
    assert np.isfinite(embedded.vectors).all()
    assert embedded.mask[:, 0, 0].all()
    assert embedded.quality == pytest.approx(1.0, abs=0.05)


def test_beat_that_was_not_detected_is_described_too(bundle: Bundle, record: Record) -> None:
    """Who labels beats may see more of them than the detector; where none is detected, the given ones are all."""
    parts = bundle.preprocessing, bundle.token_reader
    read = UnitInput("beat", 1)
    beat = np.array([5000])
    silent = record_of(np.random.default_rng(0).normal(0, 0.01, 3000).astype(np.float32), 250.0)

    found = embed_units(read, Units("beat", beat, beat + 1), read.channels(record), parts)
    alone = embed_units(read, Units("beat", beat - 4000, beat - 3999), read.channels(silent), parts)

    assert found.mask.all()
    assert alone.vectors.shape == found.vectors.shape


def test_unscorable_unit_is_masked(bundle: Bundle) -> None:
    """A head must not read zeros as signal."""
    signal = synthetic_ecg(40.0, 360.0, seed=1)[0]
    signal[7200:] = 0.1
    flat = record_of(signal, 360.0)
    read = UnitInput("window", 1, window_s=10.0)
    units = units_of("window", flat, flat.lead(), bundle.preprocessing, window_s=10.0)

    embedded = embed_units(read, units, read.channels(flat), (bundle.preprocessing, bundle.token_reader))

    assert embedded.mask[:, 0, 0].tolist() == [True, True, False, False]
    assert not embedded.vectors[2:].any()


def test_leads_are_put_at_their_places(bundle: Bundle, tmp_path: Path) -> None:
    """Recordings may have their leads in any order, and fewer than others."""
    write_record(tmp_path, "a", [0.2] * 10, seed=0, n_leads=2)
    record = read_record(tmp_path / "a.npz")
    read = UnitInput("record", 1, leads=("v5", "i", "ii"))
    units = units_of("record", record, record.lead(), bundle.preprocessing, window_s=None)

    embedded = embed_units(read, units, read.channels(record), (bundle.preprocessing, bundle.token_reader))

    assert embedded.mask[0, :, 0].tolist() == [False, True, True]


def test_recording_without_any_of_the_leads_is_refused(record: Record) -> None:
    """The message names both lists."""
    with pytest.raises(LeadNotFoundError, match="has the leads 'ii'; the task reads 'v1', 'v2'"):
        UnitInput("record", 1, leads=("v1", "v2")).channels(record)


def test_one_lead_of_a_task_of_several_cannot_be_chosen(record: Record) -> None:
    """Its network weighs them against each other."""
    with pytest.raises(ConfigError, match="reads 2 leads by name; leave out lead='II'"):
        UnitInput("record", 1, leads=("ii", "v2")).channels(record, "II")


def test_recording_without_a_beat_has_no_unit(bundle: Bundle) -> None:
    """Nothing is predicted, and nothing fails."""
    flat = record_of(np.full(7200, 0.1, dtype=np.float32), 360.0)
    read = UnitInput("beat", 1)
    units = units_of("beat", flat, flat.lead(), bundle.preprocessing, window_s=None)

    embedded = embed_units(read, units, read.channels(flat), (bundle.preprocessing, bundle.token_reader))

    assert embedded.vectors.shape == (0, 1, 1, n_embedding_of(read, 32))


def test_beats_without_a_detected_one_are_their_own_usual_beat(bundle: Bundle) -> None:
    """A flat lead has no beat to compare with."""
    flat = record_of(np.full(7200, 0.1, dtype=np.float32), 360.0)
    read, beat = UnitInput("beat", 1), np.array([3000, 4000])

    embedded = embed_units(
        read, Units("beat", beat, beat + 1), read.channels(flat), (bundle.preprocessing, bundle.token_reader)
    )

    assert not embedded.mask.any()
    assert not embedded.vectors.any()
