"""What a person reads: the plots of a codec report, each drawn into a figure that the caller gives."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import FigureBase
from matplotlib.ticker import StrMethodFormatter

from heartbert.evaluation.codec import PUBLISHED_PATH
from heartbert.evaluation.codec_databases import CodecMeasurement, DistortionRow
from heartbert.evaluation.codec_excerpts import Excerpt
from heartbert.evaluation.codec_plan import OPTIMUM, PUBLISHED, SHIPPED
from heartbert.evaluation.codec_tokens import TokenRow
from heartbert.signals.resampling import TARGET_FS

# Okabe and Ito: colours that stay apart under colour blindness; then brown and grey.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d1f", "#7f8c8d")
_GRID = "#e3e7eb"
# Ratios below this say only "unusable"; the axis ends there, in dB.
_LOWEST_SHOWN_DB = 0.0


def draw_ratios(figure: FigureBase, rows: Sequence[DistortionRow]) -> None:
    """Draw the ratios of single leads: a dot at the median and a line to the 5th percentile, a row a path."""
    paths = list(dict.fromkeys(row.path for row in rows))
    quantisers = list(dict.fromkeys(row.quantiser for row in rows))
    axes = figure.subplots()
    for index, quantiser in enumerate(quantisers):
        mine = [row for row in rows if row.quantiser == quantiser]
        offset = (index - (len(quantisers) - 1) / 2) * 0.8 / len(quantisers)
        heights = [paths.index(row.path) + offset for row in mine]
        medians = [row.lead_snr_db_median for row in mine]
        colour = _COLOURS[index % len(_COLOURS)]
        axes.hlines(heights, [row.lead_snr_db_p5 for row in mine], medians, color=colour, linewidth=1.2)
        axes.plot(medians, heights, "o", color=colour, markersize=4.5, label=quantiser)
    axes.set_yticks(range(len(paths)), paths)
    axes.set_ylim(len(paths) - 0.5, -0.5)
    axes.set_xlim(left=max(axes.get_xlim()[0], _LOWEST_SHOWN_DB))
    axes.set_xlabel("signal-to-noise ratio of a lead (dB): median over leads, line to the 5th percentile")
    axes.grid(axis="x", color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=5, frameon=False)


def draw_level_use(figure: FigureBase, measurement: CodecMeasurement) -> None:
    """Draw the share of samples in each level: published path on the left, the bundle's path on the right."""
    paths = list(dict.fromkeys([PUBLISHED_PATH.name, measurement.shipped_path.name]))
    shown = (OPTIMUM, PUBLISHED, "uniform", SHIPPED)
    for axes, path in zip(figure.subplots(1, len(paths), squeeze=False)[0], paths, strict=True):
        for index, quantiser in enumerate(shown):
            uses = measurement.level_use.get((path, quantiser))
            if uses is not None:
                shares = np.maximum(uses / uses.sum(), 1e-9)
                axes.step(np.arange(uses.size), shares, where="mid", color=_COLOURS[index], label=quantiser)
        axes.set_yscale("log")
        axes.set_ylim(bottom=1e-6)
        axes.set_title(path, fontsize=10)
        axes.set_xlabel("level")
        axes.set_ylabel("share of samples")
        axes.grid(color=_GRID, linewidth=0.6)
        axes.legend(frameon=False, fontsize=8)


def draw_vocabularies(figure: FigureBase, rows: Sequence[TokenRow]) -> None:
    """Draw the samples a token covers over the size of the vocabulary, one panel for each codec."""
    coders = list(dict.fromkeys(row.coder for row in rows))
    databases = list(dict.fromkeys(row.database for row in rows))
    sizes = sorted({row.vocabulary for row in rows})
    panels = figure.subplots(1, len(coders), squeeze=False, sharex=True, sharey=True)[0]
    for axes, coder in zip(panels, coders, strict=True):
        for index, database in enumerate(databases):
            mine = [row for row in rows if row.coder == coder and row.database == database]
            lengths = [row.samples_per_token for row in mine]
            colour = _COLOURS[index % len(_COLOURS)]
            axes.plot([row.vocabulary for row in mine], lengths, "o-", color=colour, label=database)
        axes.set_xscale("log")
        axes.set_xticks(sizes)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.tick_params(axis="x", labelsize=8)
        axes.minorticks_off()
        axes.set_title(coder, fontsize=10)
        axes.set_xlabel("tokens in the vocabulary")
        axes.grid(color=_GRID, linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)
    figure.supylabel("samples a token")


def draw_excerpts(figure: FigureBase, excerpts: Sequence[Excerpt]) -> None:
    """Draw each excerpt in a row, each codec in a column: what it was given, and what it decodes to."""
    names = list(excerpts[0].signals)
    grid = figure.subplots(len(excerpts), len(names), squeeze=False, sharex=True)
    for row, excerpt in zip(grid, excerpts, strict=True):
        for axes, (given, decoded) in zip(row, excerpt.signals.values(), strict=True):
            times_s = np.arange(given.size) / TARGET_FS
            axes.plot(times_s, given, color="#000000", linewidth=1.8, alpha=0.35, label="given")
            axes.plot(times_s, decoded, color="#d55e00", linewidth=0.8, label="decoded")
            axes.grid(color=_GRID, linewidth=0.6)
        title = f"{excerpt.database} {excerpt.record}, {excerpt.lead}, from {excerpt.start_s:.1f} s"
        row[0].set_title(title, fontsize=9, loc="left", parse_math=False)
        row[0].set_ylabel(excerpt.unit)
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(name, fontsize=10, loc="right")
    for axes in grid[-1]:
        axes.set_xlabel("time (s)")
    grid[0, 0].legend(frameon=False, fontsize=8, loc="upper right")
