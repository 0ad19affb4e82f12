"""Results of the benchmarks -> plots as SVG."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from heartbert.files import replacing_file

# Okabe and Ito: apart under colour blindness. Ours first.
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4d4d4d", "#000000")
_MARKERS = "osD^vP*X"
_AXIS_LABELS = {"subjects": "share of the training subjects", "labels": "share of the labels of each training subject"}


def write_svg(figure: Figure, path: Path) -> None:
    """Write a figure as SVG; equal figures give equal files."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "heartbert"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    with replacing_file(path) as temporary:
        temporary.write_text(stream.getvalue(), encoding="utf-8")


def draw_label_efficiency(result: Mapping[str, Any]) -> Figure:
    """Draw the score of every row by share, its interval, and the line that ours has to reach; a plot for each axis."""
    figure = Figure(figsize=(5.6 * len(result["axes"]), 4.6), layout="constrained")
    plots = figure.subplots(1, len(result["axes"]), squeeze=False, sharey=True)[0]
    for axes, (name, points) in zip(plots, result["axes"].items(), strict=True):
        _draw_curves(axes, points, result["ours"])
        claim = result["claims"][name]
        axes.axhline(claim["baseline_score"]["mean"], color="#4d4d4d", linestyle=":", linewidth=1)
        axes.set_xlabel(_AXIS_LABELS[name])
    plots[0].set_ylabel(f"{result['score']}, mean over seeds, 95 % interval")
    plots[0].legend(fontsize=8)
    return figure


def _draw_curves(axes: Axes, points: Sequence[Mapping[str, Any]], ours: str) -> None:
    shares = [point["share"] for point in points]
    rows = sorted(points[0]["scores"], key=lambda row: row != ours)
    for number, row in enumerate(rows):
        scores = [point["scores"][row] for point in points]
        # Rows stand a little beside each other, so that no interval hides another.
        beside = [share * 1.04**number for share in shares]
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        axes.plot(beside, [one["mean"] for one in scores], color=colour, marker=marker, markersize=4, label=row)
        axes.vlines(beside, [one["low"] for one in scores], [one["high"] for one in scores], color=colour, lw=1)
    axes.set_xscale("log")
    axes.set_xticks(shares)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)


def draw_parameter_efficiency(result: Mapping[str, Any]) -> Figure:
    """Draw the score of every setting by what learns in it and by what it costs to run; the Pareto fronts are lines."""
    figure = Figure(figsize=(11.2, 4.8), layout="constrained")
    plots = figure.subplots(1, 2, sharey=True)
    costs = {"n_trainable": "trainable parameters", "mflops": "million floating-point operations a lead-second"}
    kinds = list(dict.fromkeys(row["kind"] for row in result["rows"]))
    for axes, (cost, label) in zip(plots, costs.items(), strict=True):
        for number, kind in enumerate(kinds):
            of_kind = [row for row in result["rows"] if row["kind"] == kind]
            _draw_points(axes, of_kind, cost, kind, number)
        front = sorted((row[cost], row["score"]["mean"]) for row in result["rows"] if cost in row["pareto"])
        axes.plot(*zip(*front, strict=True), color="#4d4d4d", linewidth=1, linestyle="--", zorder=0)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    plots[0].set_ylabel(f"{result['score']}, 95 % interval")
    plots[0].legend(fontsize=8)
    return figure


def _draw_points(axes: Axes, rows: Sequence[Mapping[str, Any]], cost: str, kind: str, number: int) -> None:
    colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
    costs = [row[cost] for row in rows]
    axes.vlines(
        costs, [row["score"]["low"] for row in rows], [row["score"]["high"] for row in rows], color=colour, lw=1
    )
    axes.plot(costs, [row["score"]["mean"] for row in rows], marker, color=colour, label=kind)
    for row, x in zip(rows, costs, strict=True):
        axes.annotate(row["label"], (x, row["score"]["mean"]), xytext=(4, 4), textcoords="offset points", fontsize=7)


def draw_rivals(result: Mapping[str, Any]) -> Figure:
    """Draw the score of every encoder and baseline with its interval, the best on top."""
    rows = sorted(result["rows"], key=lambda row: row["score"]["mean"])
    figure = Figure(figsize=(8.4, 0.8 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for number, row in enumerate(rows):
        score = row["score"]
        colour = _COLOURS[0] if row["name"] == result["ours"] else _COLOURS[6]
        axes.plot([score["low"], score["high"]], [number, number], color=colour, linewidth=2)
        axes.plot(score["mean"], number, "o", color=colour)
        axes.plot(score["by_seed"], [number] * len(score["by_seed"]), "|", color=colour, alpha=0.6)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_xlabel(f"{result['score']}, 95 % interval; strokes are seeds")
    axes.grid(axis="x", alpha=0.3)
    return figure
