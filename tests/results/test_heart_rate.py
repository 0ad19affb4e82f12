"""Heart rate and RR intervals."""

import numpy as np

from heartbert.results.heart_rate import heart_rate, rr_intervals_s
from heartbert.signals.quality import Stretch


def test_rr_intervals_skip_an_unscorable_stretch(make_analysis):
    """A stretch may hide beats, so the interval across it says nothing about the heart."""
    analysis = make_analysis("NNNN", duration_s=5.0, unscorable=(Stretch(1.6, 2.4, "flat"),))

    rr_s = rr_intervals_s(analysis)

    np.testing.assert_allclose(rr_s, [np.nan, 1.0, np.nan, 1.0])


def test_rr_intervals_keep_a_stretch_that_only_touches_a_beat(make_analysis):
    """The end of a stretch at a beat hides nothing after that beat."""
    analysis = make_analysis("NNN", duration_s=4.0, unscorable=(Stretch(0.0, 0.5, "flat"), Stretch(2.5, 4.0, "flat")))

    rr_s = rr_intervals_s(analysis)

    np.testing.assert_allclose(rr_s, [np.nan, 1.0, 1.0])


def test_heart_rate_is_the_rate_of_regular_beats(make_analysis):
    """One beat a second is 60 beats a minute, centred on the run of ten beats."""
    times_s, rate_bpm = heart_rate(make_analysis("N" * 12, duration_s=12.0))

    np.testing.assert_allclose(rate_bpm, [60.0, 60.0, 60.0])
    np.testing.assert_allclose(times_s, [5.0, 6.0, 7.0])


def test_heart_rate_is_missing_where_a_stretch_interrupts_the_run(make_analysis):
    """A gap must not show as a slow heart; runs after the gap count again."""
    analysis = make_analysis("N" * 14, duration_s=14.0, unscorable=(Stretch(1.6, 2.4, "flat"),))

    _, rate_bpm = heart_rate(analysis)

    np.testing.assert_array_equal(np.isnan(rate_bpm), [True, True, False, False, False])


def test_heart_rate_is_empty_with_fewer_than_ten_beats(make_analysis):
    """A rate over fewer beats would be called by the same name and vary more."""
    times_s, rate_bpm = heart_rate(make_analysis("N" * 9, duration_s=9.0))

    assert times_s.size == 0
    assert rate_bpm.size == 0
