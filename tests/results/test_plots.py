"""What the plots show, and that they read only what they draw."""

from dataclasses import replace

import numpy as np
import pytest

from heartbert.predictions.labels import AamiClass
from heartbert.results import plots
from heartbert.signals.quality import Stretch

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def letters_in(figure):
    """Return the class letters above the rows of a strip, in the order of the rows."""
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    return "".join(text for text in texts if text in AamiClass.__members__)


def test_strip_starts_before_the_densest_unusual_beats(make_analysis):
    """The first page should show what a reader would have to search for."""
    analysis = make_analysis("N" * 5 + "S" + "N" * 94 + "VNV" + "N" * 97, duration_s=200.0)

    assert plots.choose_strip(analysis) == 98.0


@pytest.mark.parametrize(
    ("classes", "duration_s", "start_s"),
    [("N" * 60, 60.0, 0.0), ("", 60.0, 0.0), ("N" * 59 + "V", 60.0, 30.0), ("V" * 5, 5.0, 0.0)],
)
def test_strip_lies_inside_the_recording(make_analysis, classes, duration_s, start_s):
    """At the end, and in recordings shorter than a strip, there is nothing to draw beyond."""
    assert plots.choose_strip(make_analysis(classes, duration_s=duration_s)) == start_s


def test_strip_starts_at_the_first_beats_when_all_are_normal(make_analysis):
    """Ten minutes without an electrode are not what a reader wants to see."""
    analysis = make_analysis("N" * 100, duration_s=100.0)
    late = replace(analysis.beats, samples=analysis.beats.samples[50:], probabilities=analysis.beats.probabilities[50:])

    assert plots.choose_strip(replace(analysis, beats=late)) == 48.0


def test_ecg_strip_writes_the_class_of_every_beat_in_view(analysis):
    """Colour alone does not tell the classes apart for everyone."""
    figure = plots.new_figure(5)

    plots.draw_ecg_strip(figure, analysis, 28.0)

    assert letters_in(figure) == "NNNVVVVNSNFQ" + "N" * 18


def test_ecg_strip_reads_only_what_it_draws(analysis):
    """A recording of 24 hours must not be loaded for 30 seconds of plot."""
    reads = []

    class Watched:
        def read(self, start: int, stop: int) -> np.ndarray:
            reads.append((start, stop))
            return np.zeros(stop - start, dtype=np.float32)

    day = replace(analysis.channel, n_samples=86400 * 250, source=Watched())

    plots.draw_ecg_strip(plots.new_figure(5), replace(analysis, channel=day), 100.0)

    assert min(start for start, _ in reads) == 25000
    assert max(stop for _, stop in reads) <= 130 * 250 + 1


def test_ecg_strip_has_fewer_rows_for_a_short_recording(make_analysis):
    """Empty rows would look like a lost signal."""
    figure = plots.new_figure(5)

    plots.draw_ecg_strip(figure, make_analysis("NNNN", duration_s=4.0), 0.0)

    assert len(figure.axes) == 1
    assert figure.axes[0].get_xlim() == (0.0, 10.0)  # the paper speed stays the same


def test_ecg_strip_does_not_follow_a_single_artefact(make_analysis):
    """One spike of 100 mV must not flatten all beats."""
    analysis = make_analysis("N" * 10, duration_s=10.0)
    signal = analysis.channel.read()
    signal[700] = 100.0
    figure = plots.new_figure(5)

    plots.draw_ecg_strip(figure, make_analysis("N" * 10, duration_s=10.0, signal=signal), 0.0)

    assert figure.axes[0].get_ylim()[1] < 5.0


@pytest.mark.parametrize(("unit", "heights_mv"), [("mV", [0.0, 0.5, 1.0]), ("NU", [])])
def test_ecg_strip_draws_amplitude_paper_only_for_millivolts(make_analysis, unit, heights_mv):
    """Lines of 0.5 mV under a signal of unknown amplitude would be read as a measurement."""
    figure = plots.new_figure(5)

    plots.draw_ecg_strip(figure, make_analysis("N" * 10, duration_s=10.0, unit=unit), 0.0)

    lines = [
        line for drawn in figure.axes[0].collections if drawn.get_linewidth() > 0.5 for line in drawn.get_segments()
    ]
    assert [left[1] for left, right in lines if left[1] == right[1]] == heights_mv


def test_heart_rate_shades_thousands_of_stretches_as_one_collection(make_analysis):
    """One patch each would take minutes in a recording with a loose electrode."""
    stretches = tuple(Stretch(i * 0.01, i * 0.01 + 0.005, "flat") for i in range(5000))
    figure = plots.new_figure(3)

    plots.draw_heart_rate(figure, make_analysis("", unscorable=stretches), 0.0)

    assert len(figure.axes[0].collections) == 1
    assert [text.get_text() for text in figure.axes[0].texts] == ["no 10 beats in a row"]


def test_class_confidence_names_all_classes_with_their_counts(analysis):
    """An empty row says that the class was looked for and not found."""
    figure = plots.new_figure(3)

    plots.draw_class_confidence(figure, analysis)

    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "N normal\n53 beats"
    assert len(labels) == 5


@pytest.mark.parametrize("name", ["$\\frac", "导联 II"])
def test_overview_renders_for_any_lead_name(make_analysis, name):
    """Names from files are neither formulas nor limited to the font's characters."""
    analysis = make_analysis("NVN", duration_s=3.0)
    analysis = replace(analysis, channel=replace(analysis.channel, name=name))

    assert plots.png_bytes(plots.draw_overview(analysis)).startswith(PNG_SIGNATURE)


def test_overview_renders_when_nothing_was_found(no_beats):
    """A recording without any signal still gets its picture."""
    assert plots.png_bytes(plots.draw_overview(no_beats)).startswith(PNG_SIGNATURE)
