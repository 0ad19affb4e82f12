"""A run's log as a picture: training and validation loss beside what counting achieves, and the probe."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from heartbert.files import replacing_file
from heartbert.training.baselines import Baselines
from heartbert.training.checkpoints import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_FILE = "loss.png"
# Okabe and Ito: apart under colour blindness.
_BLUE, _RED, _GREEN, _GREY = "#0072b2", "#d55e00", "#007a5a", "#4d4d4d"
_DPI = 130


def draw_losses(rows: Sequence[Row], baselines: Baselines | None, path: Path) -> bool:
    """Draw the losses of a run; returns False, and draws nothing, where matplotlib is not installed.

    A machine that only trains need not have it: the log and the baselines hold every number drawn.

    Parameters
    ----------
    rows : sequence of dict
        Lines of the log.
    baselines : Baselines, optional
    path : Path
        PNG to write.
    """
    if find_spec("matplotlib") is None or not rows:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # binds itself to the figure
    axes = figure.subplots()
    millions = [row["tokens"] / 1e6 for row in rows]
    axes.plot(millions, [row["training_loss"] for row in rows], color=_BLUE, alpha=0.6, label="training leads")
    axes.plot(millions, [row["validation_loss"] for row in rows], color=_RED, label="held-out leads")
    if baselines is not None:
        _draw_baselines(axes, baselines)
    axes.set_xlabel("millions of tokens read")
    axes.set_ylabel("loss (nats a hidden token)")
    axes.grid(color="#e3e7eb", linewidth=0.6)
    probed = [row for row in rows if row.get("probe_average_precision") is not None]
    if probed:
        _draw_probe(axes, probed)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    with replacing_file(path) as temporary:
        figure.savefig(temporary, format="png")
    return True


def _draw_baselines(axes: "Axes", baselines: Baselines) -> None:
    for name, style in (("unigram", ":"), ("bigram", "-."), ("trigram", "--")):
        axes.axhline(getattr(baselines, name), color=_GREY, linestyle=style, linewidth=1.0, label=name)


def _draw_probe(axes: "Axes", rows: Sequence[Row]) -> None:
    right = axes.twinx()
    scores = [row["probe_average_precision"] for row in rows]
    right.plot([row["tokens"] / 1e6 for row in rows], scores, "o-", color=_GREEN, markersize=3, label="probe, right")
    right.set_ylabel("macro-F1 of the probe")
    right.set_ylim(0, 1)
