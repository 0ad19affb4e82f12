"""What a person reads: the hypnogram of a night with its probabilities (hypnodensity), drawn."""

from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import FuncFormatter, MaxNLocator

from heartbert.predictions.sleep_labels import EPOCH_S, STAGE_SETS, SleepPredictions, StageSetName

# Colours of Okabe and Ito, which stay apart under colour blindness, by class.
CLASS_COLOURS = MappingProxyType(
    {
        "W": "#e69f00",
        "R": "#d55e00",
        "NREM": "#0072b2",
        "light": "#56b4e9",
        "N1": "#9fd4f5",
        "N2": "#56b4e9",
        "deep": "#00436b",
        "N3": "#00436b",
    }
)
# From the top of the plot down: awake, REM, then ever deeper sleep.
_DEPTH = ("W", "R", "NREM", "light", "N1", "N2", "deep", "N3")
_OPEN_COLOUR = "#9aa5b1"


def draw_hypnogram(
    figure: FigureBase,
    predictions: SleepPredictions,
    *,
    stage_set: StageSetName = "stages5",
    least_probability: float = 0.0,
) -> None:
    """Draw the most probable class of each epoch, and below it the probabilities of all of them.

    Parameters
    ----------
    figure : FigureBase
        Figure or sub-figure to draw into.
    predictions : SleepPredictions
    stage_set : {"stages3", "stages4", "stages5"}
    least_probability : float, default 0
        Epochs that are less certain are shaded and have no class.
    """
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1.4])
    classes = STAGE_SETS[stage_set].classes
    shown = [name for name in _DEPTH if name in classes]
    edges_h = np.arange(predictions.n_epochs + 1) * EPOCH_S / 3600.0
    _draw_steps(above, predictions, stage_set, edges_h=edges_h, least_probability=least_probability, shown=shown)
    bottom = np.zeros(predictions.n_epochs)
    for name in reversed(shown):
        top = bottom + predictions.probabilities[stage_set][:, classes.index(name)]
        below.stairs(top, edges_h, baseline=bottom, fill=True, color=CLASS_COLOURS[name], label=name)
        bottom = top
    below.set_ylim(0, 1)
    below.set_ylabel("probability")
    below.legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False, reverse=True)
    _label_time(below, predictions.start, float(edges_h[-1]))


def _draw_steps(
    axes: Axes,
    predictions: SleepPredictions,
    stage_set: StageSetName,
    *,
    edges_h: np.ndarray,
    least_probability: float,
    shown: list[str],
) -> None:
    hypnogram = predictions.hypnogram(stage_set, least_probability=least_probability)
    classes = STAGE_SETS[stage_set].classes
    row_of = np.array([len(shown) - 1 - shown.index(name) for name in classes])
    rows = np.where(hypnogram >= 0, row_of[hypnogram], np.nan)
    axes.stairs(rows, edges_h, baseline=None, color="black", linewidth=1.0)
    for name in shown:
        here = np.where(hypnogram == classes.index(name), float(row_of[classes.index(name)]), np.nan)
        axes.hlines(here, edges_h[:-1], edges_h[1:], colors=CLASS_COLOURS[name], linewidth=4)
    for start in edges_h[:-1][hypnogram < 0]:
        axes.axvspan(start, start + EPOCH_S / 3600.0, color=_OPEN_COLOUR, alpha=0.4, linewidth=0)
    axes.set_yticks(range(len(shown)), shown[::-1])
    axes.set_ylim(-0.5, len(shown) - 0.5)
    axes.set_ylabel("stage")
    axes.grid(axis="x", color="#e3e7eb", linewidth=0.6)


def _label_time(axes: Axes, start: datetime | None, last_h: float) -> None:
    """Label the axis with the time of day, or with hours since the start where that is not known."""
    axes.set_xlim(0, max(last_h, EPOCH_S / 3600.0))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    if start is None:
        axes.set_xlabel("hours since the start of the recording")
        return
    begin = start
    axes.xaxis.set_major_formatter(FuncFormatter(lambda hours, _: f"{begin + timedelta(hours=hours):%H:%M}"))
    axes.set_xlabel("time of day")
