"""The HTML report, as text."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from heartbert.predictions.calibration import Calibration, ReliabilityBin, RiskPoint
from heartbert.results import report
from heartbert.results.report import write_report
from heartbert.signals.quality import Stretch


@pytest.fixture
def page_of(tmp_path, monkeypatch):
    """Return a function that writes a report, with stand-ins for its pictures, and returns its text."""
    monkeypatch.setattr(report.plots, "png_bytes", lambda figure: b"picture")

    def write(analysis):
        write_report(analysis, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text("utf-8")

    return write


class Balance(HTMLParser):
    """Collects elements that are opened and not closed, or the other way round."""

    def __init__(self):
        super().__init__()
        self.open, self.errors = [], []

    def handle_starttag(self, tag, attrs):
        """Note an element that must be closed."""
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the element noted last."""
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)


def test_report_states_that_it_is_no_medical_device_before_any_result(analysis, page_of):
    """Whoever reads one number has read the warning."""
    page = page_of(analysis)

    assert 0 < page.index("Research software, not a medical device") < page.index("mean heart rate")


def test_report_holds_facts_scores_and_stages(analysis, page_of):
    """The page must answer what was measured, by what, and how far to trust it."""
    page = page_of(analysis)

    for expected in (
        "100.hea",
        "MLII",
        "250 Hz",
        "1994-05-27 13:45:06",
        "test-bundle",
        "macro_f1",
        "0.612",
        "1.0 %",
    ):
        assert expected in page
    assert "time: embeddings" in page
    assert "flat: the signal does not change" in page
    assert "1, the longest of 4" in page


def test_report_is_well_formed_and_needs_no_network(analysis, page_of):
    """It is opened years later, on a computer without a connection."""
    page = page_of(analysis)
    balance = Balance()

    balance.feed(page)

    assert (balance.open, balance.errors) == ([], [])
    assert page.count("data:image/png;base64,") == 3
    assert not re.search(r"https?://|<script|<link|@import", page)


def test_report_escapes_what_comes_from_the_file(make_analysis, page_of):
    """A record name is data: it must not run in the reader's browser."""
    analysis = make_analysis("NN", duration_s=2.0, name="<script>alert(1)</script>")
    analysis = replace(analysis, bundle_name="a&b", heartbeat_scores={"<b>": 0.5})

    page = page_of(analysis)

    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "a&amp;b" in page
    assert "<b>:" not in page


def test_report_explains_a_recording_without_any_scorable_part(no_beats, page_of):
    """An empty result needs a reason, not a traceback."""
    page = page_of(no_beats)

    assert "Nothing in this recording can be scored" in page
    assert "missing: no samples stored" in page
    assert "stores no scores" in page


def test_report_asks_about_the_channel_when_a_good_signal_has_no_beats(make_analysis, page_of):
    """A respiration channel looks like this."""
    page = page_of(make_analysis(""))

    assert "Is this channel an ECG" in page
    assert "All of the recording could be scored" in page


def test_report_notes_short_recordings_and_unknown_amplitudes(make_analysis, page_of):
    """Five seconds in arbitrary units are read with care."""
    page = page_of(make_analysis("NNNNN", duration_s=5.0, unit="NU"))

    assert "shorter than 10 s" in page
    assert "NU (no unit)" in page
    assert "0.5 mV" not in page
    assert "the first beats" in page


def test_report_lists_fifty_stretches_and_counts_the_rest(make_analysis, page_of):
    """A loose electrode gives thousands; the page must stay readable."""
    stretches = tuple(Stretch(i * 0.01, i * 0.01 + 0.005, "flat") for i in range(1250))

    page = page_of(make_analysis(unscorable=stretches))

    assert page.count("<td>flat:") == report.MOST_STRETCHES
    assert "and 1,200 more" in page


def test_report_stays_as_it_was_when_writing_stops(analysis, tmp_path, monkeypatch):
    """A half-written report would show the wrong patient's numbers in part."""
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_text", fail)

    with pytest.raises(OSError, match="disk full"):
        write_report(analysis, path)

    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_report_shows_what_probabilities_are_worth_where_the_bundle_says_it(analysis, page_of):
    """Risk and coverage tell at which limit to abstain; older bundles have none, and then nothing is shown."""
    point = RiskPoint(0.9, 0.825, 0.0123)
    calibration = Calibration(1.7, 1234, 0.021, 0.08, None, (ReliabilityBin(1234, 0.9, 0.8),), (point,))

    page = page_of(replace(analysis, calibration=calibration))

    assert page.count("data:image/png;base64,") == 4
    for expected in ("1,234 beats", "temperature 1.70", "0.021", "82.5 %", "1.2 %"):
        assert expected in page
    assert "What the probabilities are worth" not in page_of(analysis)
    assert "What the probabilities are worth" not in page_of(
        replace(analysis, calibration=replace(calibration, reliability=()))
    )


def test_report_says_how_many_beats_are_q_for_want_of_confidence(analysis, page_of):
    """Who abstains must see how often."""
    beats = replace(analysis.beats, min_confidence=0.95)

    page = page_of(replace(analysis, beats=beats))

    assert "Q because below 0.95" in page
    assert "60 (100.0 %)" in page


def test_report_of_given_beats_and_several_leads_says_so(analysis, page_of):
    """Beats that were given lie also where nothing can be scored."""
    page = page_of(replace(analysis, beats_given=True, leads=("MLII", "V5")))

    assert "60, given" in page
    assert "MLII, V5" in page
    assert "Beats there are those that were given." in page


def test_report_with_a_limit_and_no_beats(no_beats, page_of):
    """Nothing to abstain from."""
    page = page_of(replace(no_beats, beats=replace(no_beats.beats, min_confidence=0.5)))

    assert "0 (–)" in page


def test_report_shows_the_hypnogram_its_numbers_and_what_they_are_worth(analysis, staged, page_of):
    """Trust comes before the plot, and every number has its definition."""
    page = page_of(replace(analysis, sleep=staged))
    balance = Balance()

    balance.feed(page)

    assert (balance.open, balance.errors) == ([], [])
    assert page.count("data:image/png;base64,") == 4
    assert page.index("kappa of 0.50 (0.40 to 0.60)") < page.index("Hypnogram and probabilities")
    assert "total sleep time over the minutes recorded" in page
    assert "Grey: no stage is as probable as 0.5." in page


def test_report_without_limit_speaks_of_no_open_epochs(analysis, staged, page_of):
    """There are none then; and without sleep there is no section at all."""
    page = page_of(
        replace(analysis, sleep=replace(staged, predictions=replace(staged.predictions, min_confidence=0.0)))
    )

    assert "Grey: no stage" not in page
    assert "open because" not in page
    assert "<h2>Sleep</h2>" not in page_of(analysis)
