"""What a person reads: the plots of a report, each drawn into a figure or sub-figure that the caller gives.

Only the samples that are drawn are read, so a recording of 24 hours needs no more memory than a short one.
Classes differ in letter and in colour; the colours (Okabe and Ito) stay apart under colour blindness.
"""

import io
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from heartbert.analysis import Analysis
from heartbert.predictions.labels import AamiClass
from heartbert.results.heart_rate import heart_rate
from heartbert.results.summary import CLASS_NAMES, clock
from heartbert.signals.quality import Stretch

CLASS_COLOURS = MappingProxyType(
    {
        AamiClass.N: "#4d4d4d",
        AamiClass.S: "#0072b2",
        AamiClass.V: "#d55e00",
        AamiClass.F: "#007a5a",
        AamiClass.Q: "#a64d8c",
    }
)

# The strip: rows of 10 s, as on a 12-lead print-out.
ROW_S, N_ROWS = 10.0, 3
STRIP_S = ROW_S * N_ROWS
# What is kept free before the first beat of interest.
_LEAD_IN_S = 2.0
# ECG paper at 25 mm/s and 10 mm/mV: bold lines every 5 mm, fine ones every 1 mm.
_BOLD_S, _FINE_S, _BOLD_MV, _FINE_MV = 0.2, 0.04, 0.5, 0.1
# Above this height in mV the paper's lines would merge into a surface.
_HIGHEST_PAPER_MV = 12.0
_BOLD_COLOUR, _BOLD_POINTS = "#f0b8b8", 0.7
_FINE_COLOUR, _FINE_POINTS = "#f9dede", 0.4
_SHADE_COLOUR, _SHADE_ALPHA = "#9aa5b1", 0.35
_FRAME_COLOUR = "#aab3bc"
_DPI = 130


def choose_strip(analysis: Analysis) -> float:
    """Return where the `STRIP_S` with most beats that are not N start, else the first beats; in seconds."""
    times_s = analysis.beats.times_s
    unusual_s = times_s[analysis.beats.classes != AamiClass.N]
    if unusual_s.size:
        starts = unusual_s - _LEAD_IN_S
        n_unusual = np.searchsorted(unusual_s, starts + STRIP_S) - np.arange(unusual_s.size)
        start_s = float(starts[np.argmax(n_unusual)])
    else:
        start_s = float(times_s[0]) - _LEAD_IN_S if times_s.size else 0.0
    return float(np.floor(max(min(start_s, analysis.channel.duration_s - STRIP_S), 0.0)))


def draw_ecg_strip(figure: FigureBase, analysis: Analysis, start_s: float) -> None:
    """Draw the lead from `start_s` on in rows of 10 s on ECG paper, beats marked with their class.

    Parameters
    ----------
    figure : FigureBase
        Figure or sub-figure to draw into.
    analysis : Analysis
    start_s : float
        Start of the strip in seconds from the start of the recording.
    """
    n_rows = int(np.clip(np.ceil((analysis.channel.duration_s - start_s) / ROW_S), 1, N_ROWS))
    rows = figure.subplots(n_rows, 1, squeeze=False)[:, 0]
    pieces = [_read_piece(analysis, start_s + i * ROW_S) for i in range(n_rows)]
    low, high = _amplitude_limits(np.concatenate([samples for _, samples in pieces]))
    for i, (axes, (times_s, samples)) in enumerate(zip(rows, pieces, strict=True)):
        row_start_s = start_s + i * ROW_S
        axes.set_xlim(row_start_s, row_start_s + ROW_S)
        axes.set_ylim(low, high)
        _draw_paper(axes, millivolts=analysis.channel.unit == "mV")
        _shade(axes, analysis.unscorable)
        axes.plot(times_s, samples, color="black", linewidth=0.9)
        _mark_beats(axes, analysis)
        axes.set_ylabel(_plain_text(f"{analysis.channel.name} ({analysis.channel.unit})"), parse_math=False)
    rows[-1].set_xlabel("time since the start of the recording (h:mm:ss)")
    shown = [Patch(color=CLASS_COLOURS[key], label=f"{key.name} {name}") for key, name in CLASS_NAMES.items()]
    shaded = Patch(facecolor=_SHADE_COLOUR, alpha=_SHADE_ALPHA, label="not scorable")
    figure.legend(handles=[*shown, shaded], loc="outside upper center", ncols=6, frameon=False)


def draw_heart_rate(figure: FigureBase, analysis: Analysis, strip_start_s: float) -> None:
    """Draw the heart rate over 10 beats, and the beats that are not N, over the whole recording."""
    rate_axes, beat_axes = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.3])
    duration_s = analysis.channel.duration_s
    times_s, rate_bpm = heart_rate(analysis)
    _shade(rate_axes, analysis.unscorable)
    rate_axes.axvspan(strip_start_s, min(strip_start_s + STRIP_S, duration_s), color="#f2c14e", alpha=0.4, linewidth=0)
    rate_axes.plot(times_s, rate_bpm, color="#1b3a57", linewidth=1.0)
    if not np.isfinite(rate_bpm).any():
        _say(rate_axes, "no 10 beats in a row")
    rate_axes.set_ylabel("heart rate (bpm)")
    rate_axes.grid(color="#e3e7eb", linewidth=0.6)
    _draw_beat_rows(beat_axes, analysis)
    _shade(beat_axes, analysis.unscorable)
    beat_axes.set_xlim(0, duration_s)
    beat_axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 3, 6, 10]))
    beat_axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
    beat_axes.set_xlabel("time since the start of the recording (h:mm:ss)")


def draw_class_confidence(figure: FigureBase, analysis: Analysis) -> None:
    """Draw the probabilities of each class's beats: median, quartiles, 5th and 95th percentile."""
    axes = figure.subplots()
    beats = analysis.beats
    of_class = [beats.probabilities[(beats.classes == key) & ~beats.abstained, key] for key in AamiClass]
    boxes = axes.boxplot(
        of_class,
        orientation="horizontal",
        whis=(5, 95),  # codespell:ignore whis
        showfliers=False,
        patch_artist=True,
    )
    for key, box, median in zip(AamiClass, boxes["boxes"], boxes["medians"], strict=True):
        box.set(facecolor=CLASS_COLOURS[key], alpha=0.55)
        median.set(color="black")
    names = [
        f"{key.name} {CLASS_NAMES[key]}\n{values.size:,} beats" for key, values in zip(AamiClass, of_class, strict=True)
    ]
    axes.set_yticks(range(1, len(names) + 1), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.01)
    axes.set_xlabel("probability of the class given to the beat")
    axes.grid(axis="x", color="#e3e7eb", linewidth=0.6)


def draw_overview(analysis: Analysis) -> Figure:
    """Return the strip and, below it, the heart rate over the whole recording with the strip marked."""
    start_s = choose_strip(analysis)
    figure = new_figure(9.0)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[5, 3])[:, 0]
    draw_ecg_strip(upper, analysis, start_s)
    draw_heart_rate(lower, analysis, start_s)
    return figure


def new_figure(height_inches: float) -> Figure:
    """Return an empty figure of the report's width, outside matplotlib's global state."""
    figure = Figure(figsize=(11, height_inches), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # binds itself to the figure
    return figure


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _read_piece(analysis: Analysis, start_s: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Read one row of the strip: times in seconds, and samples with infinite ones as NaN."""
    channel = analysis.channel
    start = round(start_s * channel.fs)
    samples = channel.read(start, round((start_s + ROW_S) * channel.fs) + 1)
    return (start + np.arange(samples.size)) / channel.fs, np.where(np.isfinite(samples), samples, np.nan)


def _amplitude_limits(samples: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return limits that show all waves, leave room for the letters and do not follow a single artefact."""
    finite = samples[np.isfinite(samples)]
    if finite.size == 0 or finite.min() == finite.max():
        middle = float(finite[0]) if finite.size else 0.0
        return middle - 1.0, middle + 1.0
    lowest, middle, highest = (float(value) for value in np.percentile(finite, [0.5, 50, 99.5]))
    reach = 2 * max(highest - lowest, 1e-6)
    low, high = max(float(finite.min()), middle - reach), min(float(finite.max()), middle + reach)
    return low - 0.08 * (high - low), high + 0.45 * (high - low)


def _draw_paper(axes: Axes, *, millivolts: bool) -> None:
    """Draw the lines of ECG paper: time always, amplitude only where its unit is known.

    The lines are collections of their own because ticks, one for each line, take seconds to draw.
    """
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    for step_s, step_mv, colour, points in (
        (_FINE_S, _FINE_MV, _FINE_COLOUR, _FINE_POINTS),
        (_BOLD_S, _BOLD_MV, _BOLD_COLOUR, _BOLD_POINTS),
    ):
        axes.vlines(_multiples(left, right, step_s), low, high, color=colour, linewidth=points, zorder=0.5)
        if millivolts and high - low <= _HIGHEST_PAPER_MV:
            axes.hlines(_multiples(low, high, step_mv), left, right, color=colour, linewidth=points, zorder=0.5)
    axes.xaxis.set_major_locator(MultipleLocator(1.0))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.tick_params(length=0)
    axes.spines[:].set_color(_FRAME_COLOUR)


def _multiples(low: float, high: float, step: float) -> npt.NDArray[np.float64]:
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step


def _shade(axes: Axes, stretches: Sequence[Stretch]) -> None:
    """Shade stretches over the full height, as one collection however many there are."""
    spans = [(stretch.start_s, stretch.stop_s - stretch.start_s) for stretch in stretches]
    full_height = axes.get_xaxis_transform()
    axes.broken_barh(spans, (0, 1), transform=full_height, facecolor=_SHADE_COLOUR, alpha=_SHADE_ALPHA, linewidth=0)


def _mark_beats(axes: Axes, analysis: Analysis) -> None:
    """Write the class above each beat in view, with a tick below the letter."""
    times_s, classes = analysis.beats.times_s, analysis.beats.classes
    height = axes.get_xaxis_transform()
    for i in range(*np.searchsorted(times_s, axes.get_xlim())):
        beat_class = AamiClass(classes[i])
        colour = CLASS_COLOURS[beat_class]
        weight, size, points = ("normal", 8.0, 1.0) if beat_class == AamiClass.N else ("bold", 10.5, 1.8)
        axes.plot([times_s[i], times_s[i]], [0.76, 0.81], color=colour, linewidth=points, transform=height)
        letter = axes.text(times_s[i], 0.9, beat_class.name, color=colour, transform=height, clip_on=True)
        letter.set(ha="center", va="center", weight=weight, size=size)


def _draw_beat_rows(axes: Axes, analysis: Analysis) -> None:
    """Draw one row of ticks for each class other than N."""
    shown = [key for key in AamiClass if key != AamiClass.N]
    for row, key in enumerate(shown):
        times_s = analysis.beats.times_s[analysis.beats.classes == key]
        axes.plot(times_s, np.full(times_s.size, row), "|", color=CLASS_COLOURS[key], markersize=8)
    axes.set_yticks(range(len(shown)), [key.name for key in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_ylabel("beats")
    axes.tick_params(axis="y", length=0)


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#5b6570")


def _plain_text(text: str) -> str:
    """Return text with ? for characters that the plot's font may lack."""
    return text.encode("latin-1", "replace").decode("latin-1")
