"""The numbers that page, JSON and command line share."""

from dataclasses import replace

import pytest

from heartbert.results.summary import clock, percent, readable, readable_rows, summarise
from heartbert.signals.quality import Stretch


def test_summary_counts_beats_shares_and_mean_probability_by_class(analysis):
    """These are the figures that a reader quotes."""
    summary = summarise(analysis)

    assert summary.n_beats == 60
    assert [row.n_beats for row in summary.classes] == [53, 1, 4, 1, 1]
    assert summary.classes[2].aami_class == "V"
    assert summary.classes[2].share == pytest.approx(4 / 60)
    assert summary.classes[2].mean_probability == pytest.approx(0.9)


def test_summary_measures_rate_tokens_and_scorable_time(analysis):
    """A stretch without a score counts neither for the heart rate nor for the tokens a second."""
    summary = summarise(analysis)

    assert summary.mean_rate_bpm == pytest.approx(60.0)
    assert (summary.min_rate_bpm, summary.max_rate_bpm) == pytest.approx((60.0, 60.0))
    assert summary.unscorable_s == pytest.approx(3.0)
    assert summary.tokens_per_s == pytest.approx(600 / 57)
    assert summary.clipped_share == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("classes", "n_runs", "longest"),
    [("NVVVNVVN", 1, 3), ("VVVVNVVV", 2, 4), ("NVNVNNNN", 0, 1), ("NNNNNNNN", 0, 0)],
)
def test_summary_finds_ventricular_runs_of_three_or_more(make_analysis, classes, n_runs, longest):
    """Three ventricular beats in a row are what a clinician looks for first."""
    summary = summarise(make_analysis(classes, duration_s=8.0))

    assert (summary.n_ventricular_runs, summary.longest_ventricular_run) == (n_runs, longest)


def test_summary_ends_a_ventricular_run_at_an_unscorable_stretch(make_analysis):
    """Beats on both sides of a gap are not known to follow each other."""
    analysis = make_analysis("VVVV", duration_s=4.0, unscorable=(Stretch(1.6, 2.4, "flat"),))

    summary = summarise(analysis)

    assert (summary.n_ventricular_runs, summary.longest_ventricular_run) == (0, 2)


def test_summary_has_no_numbers_where_there_are_no_beats(no_beats):
    """None becomes a dash or null; NaN would end up in a report."""
    summary = summarise(replace(no_beats, n_samples_360hz=0, heartbeat_scores={"macro_f1": float("nan")}))

    assert summary.mean_rate_bpm is summary.min_rate_bpm is summary.max_rate_bpm is None
    assert summary.tokens_per_s is summary.clipped_share is None
    assert summary.heartbeat_scores == {"macro_f1": None}
    assert all(row.share is None and row.mean_probability is None for row in summary.classes)


def test_readable_rows_use_a_dash_for_what_is_missing(no_beats):
    """The command line must print something for every recording."""
    rows = dict(readable_rows(summarise(no_beats)))

    assert rows["mean heart rate"] == "–"
    assert rows["not scorable"] == "60.0 s in 1 stretch"
    assert rows["  V ventricular ectopic"] == "0 (–)"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (86399, "23:59:59"), (90000, "25:00:00")]
)
def test_clock_writes_hours_minutes_and_seconds(seconds, text):
    """Rounding must carry over into minutes and hours."""
    assert clock(seconds) == text


@pytest.mark.parametrize(("share", "text"), [(None, "–"), (0.0, "0.0 %"), (0.0004, "< 0.1 %"), (0.125, "12.5 %")])
def test_percent_does_not_hide_small_shares(share, text):
    """One ventricular beat among 100,000 is not 0 %."""
    assert percent(share) == text


def test_readable_writes_thousands_and_unit():
    """Beat counts of a day have six digits."""
    assert readable(101234, unit="bpm") == "101,234 bpm"


def test_summary_counts_abstained_beats_in_q_and_not_in_its_probability(analysis):
    """The mean probability is that of beats to which the class was given."""
    beats = replace(analysis.beats, min_confidence=0.6)
    beats.probabilities[:2] = (0.5, 0.2, 0.1, 0.1, 0.1)

    summary = summarise(replace(analysis, beats=beats))

    assert (summary.n_abstained, summary.min_confidence) == (2, 0.6)
    assert [row.n_beats for row in summary.classes] == [51, 1, 4, 1, 3]
    assert summary.classes[4].mean_probability == pytest.approx(0.9)
    assert dict(readable_rows(summary))["  of Q, below 0.6"] == "2"


def test_summary_says_which_leads_and_whose_beats(analysis):
    """A count made from several leads or from given beats is another count."""
    rows = dict(readable_rows(summarise(replace(analysis, leads=("MLII", "V5"), beats_given=True))))

    assert rows["leads that classify"] == "MLII, V5"
    assert rows["beats"] == "60, given"
    assert "leads that classify" not in dict(readable_rows(summarise(analysis)))
    assert summarise(analysis).leads == ("MLII",)
