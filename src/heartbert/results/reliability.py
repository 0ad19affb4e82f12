"""What a person reads: what a head's probabilities are worth, drawn from what its bundle stores."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import PercentFormatter

from heartbert.predictions.calibration import N_BINS, Calibration

_LINE_COLOUR, _SOFT_COLOUR = "#1b3a57", "#aab3bc"


def draw_reliability(figure: FigureBase, calibration: Calibration) -> None:
    """Draw accuracy against confidence, and risk against coverage, side by side.

    Parameters
    ----------
    figure : FigureBase
        Figure or sub-figure to draw into.
    calibration : Calibration
        With at least one beat.
    """
    left, right = figure.subplots(1, 2)
    _draw_bins(left, calibration)
    _draw_risk(right, calibration)


def _draw_bins(axes: Axes, calibration: Calibration) -> None:
    """Draw a bar for each bin, a point at its mean confidence, and the diagonal."""
    confidences = np.array([row.confidence for row in calibration.reliability])
    accuracies = np.array([row.accuracy for row in calibration.reliability])
    middles = (np.minimum(np.floor(confidences * N_BINS), N_BINS - 1) + 0.5) / N_BINS
    axes.bar(middles, accuracies, width=1 / N_BINS, color=_SOFT_COLOUR, edgecolor="white", alpha=0.6)
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle="--", label="as it should be")
    axes.plot(confidences, accuracies, "o", color=_LINE_COLOUR, markersize=4, label="mean of a bin")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("probability of the class given to the beat")
    axes.set_ylabel("share of beats that are right")
    axes.set_title(f"reliability, expected calibration error {calibration.ece:.3f}", fontsize=10)
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _draw_risk(axes: Axes, calibration: Calibration) -> None:
    """Draw the share of wrong beats against the share kept, with the limit of confidence at each point."""
    rows = calibration.risk_coverage
    points = [(row.min_confidence, row.coverage, row.risk) for row in rows if row.risk is not None]
    axes.plot(
        [coverage for _, coverage, _ in points],
        [risk for _, _, risk in points],
        "o-",
        color=_LINE_COLOUR,
        linewidth=1.2,
        markersize=4,
    )
    for limit, coverage, risk in points:
        axes.annotate(f"{limit:g}", (coverage, risk), xytext=(3, 4), textcoords="offset points", size=7.5)
    axes.set_xlabel("beats kept (coverage), with the limit of confidence")
    axes.set_ylabel("wrong among them (risk)")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(color="#e3e7eb", linewidth=0.6)
    axes.set_title("risk against coverage", fontsize=10)
