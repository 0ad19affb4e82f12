from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.predictions.given_beats import annotated_r_peaks, beats_in, check_r_peaks, r_peaks_at_360hz
from heartbert.records import read_record
from heartbert.records.record import Annotations, ArraySource, Channel
from tests.synthetic import write_annotated


def lead_of(fs: float, n_samples: int) -> Channel:
    """Return a lead without any wave."""
    return Channel("II", fs, "mV", n_samples, "ecg", ArraySource(np.zeros(n_samples, dtype=np.float32)))


@given(st.sets(st.integers(0, 9999), max_size=50))
def test_check_r_peaks_returns_what_can_be_beats(samples: set[int]) -> None:
    """As many beats come out as were given, the first and the last sample included."""
    beats = np.array(sorted(samples), dtype=np.int32)

    np.testing.assert_array_equal(check_r_peaks(beats, 10_000, whose="beats"), beats)


@pytest.mark.parametrize(
    ("beats", "message"),
    [
        ([0.5, 1.0], r"the beats are an array of shape \(2,\) and type float64; whole numbers"),
        ([[1, 2]], r"shape \(1, 2\)"),
        ([5, 100], "beat 1 is at sample 100, the lead has samples 0 to 99"),
        ([-1, 5], "beat 0 is at sample -1"),
        ([5, 5], "beat 0 is at sample 5 and the next at 5; beats must be in time order, one at a sample"),
        ([9, 5], "beat 0 is at sample 9 and the next at 5"),
    ],
)
def test_check_r_peaks_refuses_what_cannot_be_beats(beats: list[float], message: str) -> None:
    """Times in seconds, beats of another recording and unsorted beats would give wrong results in silence."""
    with pytest.raises(ConfigError, match=message):
        check_r_peaks(np.array(beats), 100, whose="the beats")


def test_check_r_peaks_takes_no_beat_at_all() -> None:
    """An empty list is a result, of whatever type it is."""
    assert check_r_peaks(np.array([]), 100, whose="the beats").dtype == np.int64


@pytest.mark.parametrize("fs", [128.0, 250.0, 360.0, 1000.0])
def test_r_peaks_keep_their_time_at_360_hz(fs: float) -> None:
    """Every beat moves by at most half a sample, and the last sample of a lead stays inside."""
    beats = np.array([0, 17, 400, 999])

    moved = r_peaks_at_360hz(beats, lead_of(fs, 1000), whose="the beats")

    np.testing.assert_allclose(moved / 360.0, beats / fs, atol=1.5 / 360)
    assert moved[-1] < round(1000 * 360 / fs)


def test_r_peaks_that_meet_at_360_hz_are_refused() -> None:
    """Two beats a millisecond apart are one beat marked twice."""
    with pytest.raises(ConfigError, match="the beats at 360 Hz: beat 0 is at sample 36 and the next at 36"):
        r_peaks_at_360hz(np.array([100, 101]), lead_of(1000.0, 1000), whose="the beats")


def test_beats_in_takes_beats_of_every_class_and_no_other_mark() -> None:
    """Paced beats are beats; noise, rhythm and flutter marks are none. Times are in the lead's samples."""
    annotations = Annotations(np.array([2, 4, 6, 8, 10, 12]), ("N", "~", "/", "f", "+", "Q"), ("",) * 6, 125.0)

    np.testing.assert_array_equal(beats_in(annotations, lead_of(250.0, 1000)), [4, 12, 16, 24])


def test_annotated_r_peaks_are_those_of_the_file(tmp_path: Path) -> None:
    """A recording is analysed at the beats of its own annotation."""
    path = write_annotated(tmp_path, "x", seed=0, duration_s=10.0)
    record = read_record(path)

    found = annotated_r_peaks(record, record.lead(), "atr")

    np.testing.assert_array_equal(found, wfdb.rdann(str(tmp_path / "x"), "atr").sample)


def test_annotation_without_a_beat_is_refused(tmp_path: Path) -> None:
    """A file of rhythms given by mistake must not look like a recording without beats."""
    path = write_annotated(tmp_path, "x", seed=0, duration_s=10.0)
    wfdb.wrann("x", "rhy", np.array([10]), ["+"], fs=360, write_dir=str(tmp_path))
    record = read_record(path)

    with pytest.raises(RecordFormatError, match=r"'x.rhy' annotates no beat"):
        annotated_r_peaks(record, record.lead(), "rhy")
