"""A table of scores -> what a person reads: JSON with everything, CSV by recording, and a plot."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heartbert.files import replacing_file
from heartbert.predictions.labels import AamiClass
from heartbert.protocols.beat_rows import OURS
from heartbert.protocols.run_store import write_json
from heartbert.results.plots import png_bytes

RESULT_FILE, RECORDS_FILE, PLOT_FILE = "result.json", "records.csv", "scores.png"
_OURS_COLOUR, _OTHER_COLOUR = "#d55e00", "#4d4d4d"


def write_table(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``result.json``, ``records.csv`` and ``scores.png`` into a folder.

    Parameters
    ----------
    result : mapping
        With at least one block of scores; see `blocks_of`.
    folder : Path

    Returns
    -------
    paths : list of Path
    """
    paths = [folder / name for name in (RESULT_FILE, RECORDS_FILE, PLOT_FILE)]
    _write_records(result, paths[1])
    with replacing_file(paths[2]) as temporary:
        temporary.write_bytes(png_bytes(draw_scores(blocks_of(result))))
    write_json(paths[0], result)
    return paths


def blocks_of(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return every block of scores in a result by its name: those tables that hold rows under ``baselines``."""
    return dict(_blocks(result, ()))


def _blocks(content: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if "baselines" in content:
        yield ", ".join(names) or "reference beats", content
    for name, part in content.items():
        if isinstance(part, Mapping) and name != "baselines":
            yield from _blocks(part, (*names, name))


def rows_of(block: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the scores of the rows of a block by their name, ours last."""
    few = {"heartbert, few labels": block["few_labels_10"]} if "few_labels_10" in block else {}
    return {**block["baselines"], **few, OURS: block}


def _write_records(result: Mapping[str, Any], path: Path) -> None:
    rows = [{"table": name, **row} for name, block in blocks_of(result).items() for row in block.get("records", ())]
    with replacing_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["table", "record"])
        writer.writeheader()
        writer.writerows(rows)


def draw_scores(blocks: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw macro-F1 of every row with its interval, and the confusion matrix of ours, one line of plots a block."""
    figure = Figure(figsize=(11, 4.2 * len(blocks)), layout="constrained")
    lines = figure.subplots(len(blocks), 2, squeeze=False, width_ratios=(3, 2))
    for (name, block), (scores, confusion) in zip(blocks.items(), lines, strict=True):
        _draw_rows(scores, rows_of(block), name)
        _draw_confusion(confusion, block["confusion"])
    return figure


def _draw_rows(axes: Axes, rows: Mapping[str, Mapping[str, Any]], title: str) -> None:
    for number, (name, row) in enumerate(rows.items()):
        score = row["macro_f1"]
        colour = _OURS_COLOUR if name == OURS else _OTHER_COLOUR
        axes.plot([score["low"], score["high"]], [number, number], color=colour, linewidth=2)
        axes.plot(score["mean"], number, "o", color=colour)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_xlim(0, 1)
    axes.set_xlabel("macro-F1 with 95 % interval over recordings")
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)


def _draw_confusion(axes: Axes, table: Sequence[Sequence[float]]) -> None:
    """Draw a confusion matrix, each row as shares of its reference class."""
    counts = np.array(table, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    names = [*(one.name for one in AamiClass), "none"][: len(counts)]
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("found")
    axes.set_ylabel("reference")
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=8)
