"""The plot of what probabilities are worth."""

import numpy as np
import pytest

from heartbert.predictions.calibration import Calibration, ReliabilityBin, RiskPoint
from heartbert.results import plots
from heartbert.results.reliability import draw_reliability

CALIBRATION = Calibration(
    temperature=1.7,
    n_beats=1000,
    ece=0.021,
    ece_uncalibrated=0.08,
    ece_left_out=0.03,
    reliability=(ReliabilityBin(200, 0.55, 0.5), ReliabilityBin(800, 1.0, 0.99)),
    risk_coverage=(RiskPoint(0.0, 1.0, 0.1), RiskPoint(0.9, 0.8, 0.01), RiskPoint(0.99, 0.0, None)),
)


def test_plot_shows_every_bin_and_every_point_that_has_a_risk():
    """Accuracy at each mean confidence, and risk at each coverage."""
    figure = plots.new_figure(3.6)

    draw_reliability(figure, CALIBRATION)

    left, right = figure.axes
    assert [bar.get_height() for bar in left.patches] == [0.5, 0.99]
    assert [bar.get_x() + bar.get_width() for bar in left.patches] == pytest.approx([9 / 15, 1.0])
    np.testing.assert_array_equal(right.lines[0].get_xydata(), [[1.0, 0.1], [0.8, 0.01]])
    assert [text.get_text() for text in right.texts] == ["0", "0.9"]
    assert "0.021" in left.get_title()


def test_plot_can_be_drawn_as_a_picture():
    """Layout and fonts fail only when a figure is drawn."""
    figure = plots.new_figure(3.6)
    draw_reliability(figure, CALIBRATION)

    assert plots.png_bytes(figure).startswith(b"\x89PNG")
