"""The WFDB record: what was written is what the official reader reads."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.evaluation.ec57_files import read_marks
from heartbert.evaluation.ec57_marks import NEVER, Clock, follow_marks
from heartbert.evaluation.ec57_marks import Stretch as MarkedStretch
from heartbert.records.record import ArraySource, Channel
from heartbert.results import annotations
from heartbert.results.annotations import Digitisation, Mark, annotation_bytes, fit_digitisation, write_wfdb
from heartbert.signals.quality import Stretch

# wfdb 4.3 looks up its symbols with an argument that pandas 3.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def channel_of(values, *, fs=250.0, unit="mV", name="MLII"):
    """Return a lead with the given samples."""
    signal = np.asarray(values, dtype=np.float32)
    return Channel(name, fs, unit, signal.size, "ecg", ArraySource(signal))


def test_wfdb_signal_reads_back_within_half_a_step(analysis, tmp_path):
    """The copy must show the same waves as the original."""
    write_wfdb(analysis, tmp_path)

    record = wfdb.rdrecord(str(tmp_path / "beats"))

    assert (record.fs, record.sig_len, record.sig_name, record.units) == (250, 15000, ["MLII"], ["mV"])
    half_step = 0.5 / record.adc_gain[0] + 1e-6
    np.testing.assert_allclose(record.p_signal[:, 0], analysis.channel.read(), atol=half_step)


def test_wfdb_header_keeps_start_first_value_and_checksum(analysis, tmp_path):
    """Viewers show the wall-clock time, and the C library verifies the checksum."""
    write_wfdb(analysis, tmp_path)

    record = wfdb.rdrecord(str(tmp_path / "beats"), physical=False)

    assert record.base_datetime == analysis.record.start
    assert record.init_value == [int(record.d_signal[0, 0])]
    assert [value % 65536 for value in record.checksum] == record.calc_checksum()  # signed in the manual


def test_wfdb_annotations_read_back_equal_and_in_time_order(analysis, tmp_path):
    """Class, place and probability of every beat, and both ends of the unscorable stretch."""
    write_wfdb(analysis, tmp_path)

    read = wfdb.rdann(str(tmp_path / "beats"), "atr")

    is_beat = np.array(read.symbol) != "~"
    np.testing.assert_array_equal(read.sample[is_beat], analysis.beats.samples)
    assert "".join(np.array(read.symbol)[is_beat]) == "N" * 31 + "VVVVNSNFQ" + "N" * 20
    assert {read.aux_note[i] for i in np.flatnonzero(is_beat)} == {"p=0.90"}
    assert read.sample[~is_beat].tolist() == [2500, 3250]
    assert [read.aux_note[i] for i in np.flatnonzero(~is_beat)] == ["flat", "scorable"]
    assert read.subtype[~is_beat].tolist() == [0x10, 0]  # the analysis has beats there
    assert not read.subtype[is_beat].any()
    assert (np.diff(read.sample) >= 0).all()
    assert read.fs == 250


def test_wfdb_marks_no_end_where_the_next_stretch_or_the_end_follows(make_analysis, tmp_path):
    """Between two stretches that touch, and after the last sample, nothing is scorable."""
    stretches = (
        Stretch(10.0, 13.0, "flat"),
        Stretch(13.0, 14.0, "missing"),
        Stretch(59.0, 60.0, "saturated"),
    )

    write_wfdb(make_analysis("", unscorable=stretches), tmp_path)

    read = wfdb.rdann(str(tmp_path / "beats"), "atr")
    assert read.sample.tolist() == [2500, 3500, 14750]
    assert read.aux_note == ["flat, missing", "scorable", "saturated"]


def test_wfdb_stretches_are_shutdowns_to_the_comparison_of_ec57(make_analysis, tmp_path):
    """Missed beats in a shutdown are counted apart by the standard, so scoring must see where it starts and ends."""
    stretches = (Stretch(10.0, 13.0, "flat"), Stretch(13.0, 14.0, "flat"), Stretch(59.0, 60.0, "saturated"))

    write_wfdb(make_analysis("", unscorable=stretches), tmp_path)

    track = follow_marks(read_marks(tmp_path / "beats", "atr"), Clock(250.0, 38), "aami")
    assert track.shutdown == (MarkedStretch(2500, 3500), MarkedStretch(14750, NEVER))


def test_wfdb_stretch_with_given_beats_is_noise_and_no_shutdown(make_analysis, tmp_path):
    """Who gave beats there could read the signal, perhaps in another lead."""
    write_wfdb(make_analysis(unscorable=(Stretch(10.0, 13.0, "flat"),), duration_s=60.0), tmp_path)

    marks = read_marks(tmp_path / "beats", "atr")

    assert marks.subtypes[[symbol == "~" for symbol in marks.annotations.symbols]].tolist() == [0x10, 0]
    assert follow_marks(marks, Clock(250.0, 38), "aami").shutdown == ()


def test_wfdb_note_says_that_a_beat_is_q_for_want_of_confidence(make_analysis, tmp_path):
    """Q of the head and Q of abstaining are two things."""
    built = make_analysis("NN", duration_s=2.0)
    beats = replace(built.beats, min_confidence=0.6)
    beats.probabilities[1] = (0.41, 0.3, 0.1, 0.1, 0.09)

    write_wfdb(replace(built, beats=beats), tmp_path)

    read = wfdb.rdann(str(tmp_path / "beats"), "atr")
    assert read.symbol == ["N", "Q"]
    assert read.aux_note == ["p=0.90", "p=0.41 below 0.60"]


def test_wfdb_annotation_file_is_empty_but_valid_without_beats_and_stretches(make_analysis, tmp_path):
    """A viewer opens the record even if nothing was found in it."""
    write_wfdb(make_analysis("", signal=np.zeros(500, dtype=np.float32)), tmp_path)

    assert (tmp_path / "beats.atr").read_bytes() == b"\0\0"
    assert wfdb.rdann(str(tmp_path / "beats"), "atr").sample.size == 0


def test_wfdb_signal_keeps_missing_samples_missing(make_analysis, tmp_path):
    """A gap must not become a flat line at zero."""
    signal = np.array([0.5, np.nan, np.inf, -0.5], dtype=np.float32)

    write_wfdb(make_analysis("", signal=signal), tmp_path)

    read = wfdb.rdrecord(str(tmp_path / "beats")).p_signal[:, 0]
    np.testing.assert_array_equal(np.isnan(read), [False, True, True, False])


def test_wfdb_header_survives_names_and_rates_it_cannot_hold(make_analysis, tmp_path):
    """Lead names from other formats hold any character, and sampling frequencies are not always whole."""
    built = make_analysis("")
    channel = replace(built.channel, name="Ableitung Ⅱ\n# x", fs=128.00000025, unit="m V")

    write_wfdb(replace(built, channel=channel, record=replace(built.record, start=None)), tmp_path)

    header = wfdb.rdheader(str(tmp_path / "beats"))
    assert header.sig_name == ["Ableitung ? # x"]
    assert header.units == ["mV"]
    assert header.fs == pytest.approx(128.00000025, abs=1e-9)
    assert header.base_datetime is None


def test_wfdb_files_stay_as_they_were_when_writing_stops(analysis, make_analysis, tmp_path, monkeypatch):
    """Signal, header and beats of two different analyses must never stand side by side."""
    write_wfdb(analysis, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(marks: list[Mark], fs: float) -> bytes:
        raise OSError("disk full")

    monkeypatch.setattr(annotations, "annotation_bytes", fail)

    with pytest.raises(OSError, match="disk full"):
        write_wfdb(make_analysis("NN", duration_s=2.0), tmp_path)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_wfdb_signal_is_streamed_in_constant_memory(make_analysis, tmp_path):
    """A recording of 24 hours must not be held in memory to be written."""

    class Zeros:
        def read(self, start: int, stop: int) -> np.ndarray:
            return np.zeros(stop - start, dtype=np.float32)

    built = make_analysis("")
    channel = replace(built.channel, n_samples=10 * annotations.BLOCK_SAMPLES, source=Zeros())

    tracemalloc.start()
    write_wfdb(replace(built, channel=channel), tmp_path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 40 * annotations.BLOCK_SAMPLES  # a few arrays of one block; all samples need 80 bytes a sample
    assert (tmp_path / "beats.dat").stat().st_size == 20 * annotations.BLOCK_SAMPLES


@given(
    low=st.floats(-1e6, 1e6, width=32),
    width=st.floats(0, 1e6, width=32),
    share=st.floats(0, 1),
    size=st.integers(1, 5),
)
def test_digitisation_keeps_every_sample_within_one_step(low, width, share, size):
    """Whatever offset and range a lead has, 16 bits hold it without clipping."""
    values = np.linspace(low, np.float32(low) + np.float32(width * share), size, dtype=np.float32)
    digitisation = fit_digitisation(channel_of(values))

    restored = (digitisation.apply(values).astype(np.float64) - digitisation.baseline) / digitisation.gain

    np.testing.assert_allclose(restored, values, rtol=1e-9, atol=1.0 / digitisation.gain)


def test_digitisation_uses_most_of_the_16_bits():
    """The gain is round, and still at least a fifth of the range is used."""
    digitisation = fit_digitisation(channel_of([-1.0, 3.0]))

    assert digitisation.gain == 10000.0
    assert digitisation.apply(np.array([-1, 3], dtype=np.float32)).tolist() == [-20000, 20000]


def test_digitisation_has_a_default_when_no_sample_is_stored():
    """There is no range to fit, and the file must still be written."""
    assert fit_digitisation(channel_of([np.nan, np.nan])) == Digitisation(1000.0, 0)


@settings(max_examples=30, deadline=None)
@given(
    intervals=st.lists(st.one_of(st.integers(0, 3000), st.integers(0, 2**33)), min_size=1, max_size=8),
    note=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
)
def test_annotation_bytes_read_back_for_any_interval_and_note(tmp_path_factory, intervals, note):
    """Long gaps need skips, odd notes need padding; the official reader is the judge."""
    marks = [Mark(int(sample), "V", note) for sample in np.cumsum(intervals) + 1]
    path: Path = tmp_path_factory.mktemp("marks") / "x.atr"

    path.write_bytes(annotation_bytes(marks, 360.0))

    read = wfdb.rdann(str(path.with_suffix("")), "atr")
    assert read.sample.tolist() == [mark.sample for mark in marks]
    assert read.aux_note == [note] * len(marks)
