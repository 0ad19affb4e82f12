"""What a person reads: one HTML page about a codec, complete in itself, and the same numbers as JSON."""

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from matplotlib.figure import FigureBase

from heartbert.evaluation.codec import PUBLISHED_PATH
from heartbert.evaluation.codec_databases import CodecMeasurement, DistortionRow
from heartbert.evaluation.codec_plan import OPTIMUM, PUBLISHED, SHIPPED
from heartbert.evaluation.codec_tokens import RARE, TokenRow
from heartbert.files import replacing_file
from heartbert.results import codec_plots
from heartbert.results.plots import new_figure, png_bytes
from heartbert.results.summary import DISCLAIMER

__all__ = ["DISCLAIMER", "headline_rows", "write_codec_report"]

PAGE_FILE, JSON_FILE = "codec.html", "codec.json"


def write_codec_report(measurement: CodecMeasurement, folder: Path) -> list[Path]:
    """Write ``codec.json`` and ``codec.html``, a page without links to anything outside.

    Parameters
    ----------
    measurement : CodecMeasurement
    folder : Path
        Created if needed; each file is replaced only by a complete one, the page last.

    Returns
    -------
    paths : list of Path
        The page and the JSON file.
    """
    template = Template(files("heartbert.results").joinpath("codec_report.html").read_text("utf-8"))
    contents = {
        folder / JSON_FILE: json.dumps(codec_json(measurement), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        folder / PAGE_FILE: template.substitute(_page_parts(measurement)),
    }
    for path, content in contents.items():
        with replacing_file(path) as temporary:
            temporary.write_text(content, "utf-8")
    return [folder / PAGE_FILE, folder / JSON_FILE]


def codec_json(measurement: CodecMeasurement) -> dict[str, Any]:
    """Return every number of the report; what could not be computed is None.

    ``snr_db``, ``tokens_per_second_of_ecg`` and ``rare_token_share`` are the numbers to quote; ``definitions`` says
    what they are and ``measured_on`` on what.
    """
    plan = measurement.plan
    first, shipped = measurement.databases[0], _shipped_tokens(measurement)
    published = {row.quantiser: row.pooled_snr_db for row in _rows_of(measurement, PUBLISHED_PATH.name)}
    content = {
        "disclaimer": DISCLAIMER,
        "heartbert_version": version("heartbert"),
        "snr_db": {
            "optimal": published[OPTIMUM],
            **{name.replace("-", "_"): ratio for name, ratio in published.items() if name != SHIPPED},
        },
        "tokens_per_second_of_ecg": shipped.tokens_per_second,
        "rare_token_share": shipped.rare_share,
        "definitions": _definitions(measurement),
        "measured_on": {
            **asdict(first),
            "published_path": PUBLISHED_PATH.name,
            "shipped_vocabulary": shipped.vocabulary,
        },
        "settings": {
            "path": plan.path.name,
            "shipped_path": measurement.shipped_path.name,
            "n_levels": plan.n_levels,
            "window_samples": plan.window_samples,
            "vocabularies": plan.vocabularies,
            "training_samples": plan.training_samples,
        },
        "databases": [asdict(row) for row in measurement.databases],
        "distortion": [asdict(row) for row in measurement.distortion],
        "drift": [asdict(row) for row in measurement.drift],
        "tokens": [asdict(row) for row in measurement.tokens],
        "level_use": [
            {"database": first.database, "path": path, "quantiser": quantiser, "n_samples": uses.tolist()}
            for (path, quantiser), uses in measurement.level_use.items()
        ],
        "records": {database.name: [path.stem for path in database.paths] for database in plan.databases},
    }
    finite: dict[str, Any] = _without_nan(content)
    return finite


def headline_rows(measurement: CodecMeasurement) -> list[tuple[str, str]]:
    """Return the main numbers in words, the same as on the page."""
    first, shipped = measurement.databases[0], _shipped_tokens(measurement)
    published = {row.quantiser: row for row in _rows_of(measurement, PUBLISHED_PATH.name)}
    in_use = {row.quantiser: row for row in _rows_of(measurement, measurement.shipped_path.name)}
    return [
        ("measured on", f"{first.database}, {first.n_leads:,} leads, {first.n_samples / 360 / 3600:,.1f} lead-hours"),
        (f"{OPTIMUM}, published path", f"{_db(published[OPTIMUM].pooled_snr_db)} dB"),
        (f"{PUBLISHED} (as the published code), same path", f"{_db(published[PUBLISHED].pooled_snr_db)} dB"),
        ("shipped codec, median lead", f"{_db(in_use[SHIPPED].lead_snr_db_median)} dB"),
        ("tokens a second of ECG", f"{shipped.tokens_per_second:.1f}"),
        ("samples a token", f"{shipped.samples_per_token:.2f}"),
        (f"tokens seen fewer than {RARE} times", f"{shipped.rare_share:.1%}"),
    ]


def _definitions(measurement: CodecMeasurement) -> dict[str, str]:
    first = measurement.databases[0].database
    return {
        "snr_db": (
            f"10 log10(variance / mean squared error) of all scorable samples of {first} together, scaled to [0, 1] by "
            f"the published path ({PUBLISHED_PATH.name}), {measurement.plan.n_levels} levels, codebook fitted on the "
            f"same samples. 'optimal' is the global optimum of their histogram, which is what '{OPTIMUM}' is here."
        ),
        "tokens_per_second_of_ecg": f"360 tokens / samples, shipped codec and tokenizer, scorable windows of {first}.",
        "rare_token_share": f"Share of the shipped vocabulary that occurs fewer than {RARE} times in {first}.",
        "lead_snr_db": "The same ratio for one lead alone; it is equal in scaled and in physical units.",
        "clipped_share": "Samples outside the scaling's range; their true distance from what they decode to is error.",
        "filtered paths": "Decoded signals are compared with the filtered ones: what a filter removes is no error.",
        "fitted on": (
            f"Codebooks and tokenizers are fitted on {first} only. 'shipped' ones come with the bundle, whose manifest "
            "names the recordings they were fitted on; these may be among the ones measured here."
        ),
    }


def _page_parts(measurement: CodecMeasurement) -> dict[str, str]:
    """Return the HTML for each placeholder of the template, everything from files escaped."""
    first = measurement.databases[0]
    rows = [row for row in measurement.distortion if row.database == first.database]
    return {
        "first": escape(first.database),
        "disclaimer": escape(DISCLAIMER),
        "n_levels": str(measurement.plan.n_levels),
        "published_path": escape(PUBLISHED_PATH.name),
        "shipped_path": escape(measurement.shipped_path.name),
        "version": escape(version("heartbert")),
        "figures": "".join(
            f"<div>{escape(name)}<b>{escape(value)}</b></div>" for name, value in headline_rows(measurement)[1:]
        ),
        "database_table": _database_table(measurement),
        "pooled_table": _pooled_table(rows),
        "lead_table": _lead_table(rows),
        "cell_table": _cell_table(rows),
        "token_table": _token_table(measurement.tokens),
        "drift_table": _drift_table(measurement),
        "definition_rows": "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>"
            for name, text in _definitions(measurement).items()
        ),
        **_figures(measurement, rows),
    }


def _figures(measurement: CodecMeasurement, rows: Sequence[DistortionRow]) -> dict[str, str]:
    def drawn(height_inches: float, draw: Callable[[FigureBase], None]) -> str:
        figure = new_figure(height_inches)
        draw(figure)
        return base64.b64encode(png_bytes(figure)).decode("ascii")

    excerpts = measurement.excerpts
    return {
        "ratio_png": drawn(6.5, lambda figure: codec_plots.draw_ratios(figure, rows)),
        "level_png": drawn(3.6, lambda figure: codec_plots.draw_level_use(figure, measurement)),
        "vocabulary_png": drawn(3.4, lambda figure: codec_plots.draw_vocabularies(figure, measurement.tokens)),
        "excerpts": _figure(
            drawn(2.1 * len(excerpts), lambda figure: codec_plots.draw_excerpts(figure, excerpts)),
            "Beats before and after the codecs",
        )
        if excerpts
        else "<p>No recording in the middle of its database has three scorable seconds.</p>",
    }


def _figure(png: str, what: str) -> str:
    return f'<figure><img alt="{escape(what)}" src="data:image/png;base64,{png}"></figure>'


def _database_table(measurement: CodecMeasurement) -> str:
    header = ("database", "recordings", "leads", "lead-hours", "leads left out", "unit unknown", "people shared")
    return _table(
        header,
        [
            (
                row.database,
                f"{row.n_records:,}",
                f"{row.n_leads:,}",
                f"{row.n_samples / 360 / 3600:,.1f}",
                f"{row.n_left_out:,}",
                f"{row.n_unknown_unit:,}",
                f"{row.n_shared:,}",
            )
            for row in measurement.databases
        ],
    )


def _pooled_table(rows: Sequence[DistortionRow]) -> str:
    best = {row.path: row for row in rows if row.quantiser == OPTIMUM}
    clipping = {path: (f"{row.clipped_share:.3%}", f"{row.clipping_error_share:.1%}") for path, row in best.items()}
    header = ("samples clipped", f"their part of {OPTIMUM}'s error")
    return _path_table(rows, lambda row: _db(row.pooled_snr_db), header, clipping)


def _lead_table(rows: Sequence[DistortionRow]) -> str:
    return _path_table(rows, lambda row: f"{_db(row.lead_snr_db_median)} ({_db(row.lead_snr_db_p5)})", (), {})


def _path_table(
    rows: Sequence[DistortionRow],
    cell: Callable[[DistortionRow], str],
    header: Sequence[str],
    columns: Mapping[str, Sequence[str]],
) -> str:
    """Return paths as rows with `columns` of their own, then a column for each quantiser."""
    quantisers = list(dict.fromkeys(row.quantiser for row in rows))
    cells = {(row.path, row.quantiser): cell(row) for row in rows}
    table = [
        (path, *columns.get(path, ()), *(cells.get((path, one), "") for one in quantisers))
        for path in dict.fromkeys(row.path for row in rows)
    ]
    return _table(("scaling, filter", *header, *quantisers), table)


def _cell_table(rows: Sequence[DistortionRow]) -> str:
    header = ("scaling, filter", "quantiser", "bits a sample", "levels never used", "share of the rarest level")
    shown = {PUBLISHED, OPTIMUM, "uniform", SHIPPED}
    return _table(
        header,
        [
            (row.path, row.quantiser, f"{row.entropy_bits:.2f}", f"{row.n_unused}", f"{row.rarest_share:.4%}")
            for row in rows
            if row.quantiser in shown
        ],
        n_names=2,
    )


def _token_table(rows: Sequence[TokenRow]) -> str:
    header = (
        *("database", "codec", "vocabulary", "samples a token", "tokens a second", "used"),
        *(f"seen < {RARE} times", "tokens for 90 %", "longest", "bits a token", "bits a sample"),
    )
    return _table(
        header,
        [
            (
                row.database,
                row.coder,
                f"{row.vocabulary:,}",
                f"{row.samples_per_token:.2f}",
                f"{row.tokens_per_second:.1f}",
                f"{row.used_share:.1%}",
                f"{row.rare_share:.1%}",
                f"{row.n_covering:,}",
                f"{row.longest_samples:,}",
                f"{row.bits_per_token:.2f}",
                f"{row.bits_per_sample:.2f}",
            )
            for row in rows
        ],
        n_names=2,
    )


def _drift_table(measurement: CodecMeasurement) -> str:
    rows_of = {(row.database, row.path, row.quantiser): row for row in measurement.distortion}
    header = (
        *("database", "scaling, filter", "codebook", "levels with it (dB)", "refitted here (dB)", "loss (dB)"),
        *("level divergence (bits)", "median lead (dB)", "clipped"),
    )
    table = []
    for row in measurement.drift:
        distortion = rows_of[row.database, row.path, row.quantiser]
        table.append(
            (
                row.database,
                row.path,
                row.quantiser,
                _db(row.fitted_snr_db),
                _db(row.refitted_snr_db),
                _db(row.loss_db),
                f"{row.level_divergence_bits:.4f}",
                _db(distortion.lead_snr_db_median),
                f"{distortion.clipped_share:.3%}",
            )
        )
    return _table(header, table, n_names=3) if table else "<p>Only one database was given.</p>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, n_names: int = 1) -> str:
    """Return an HTML table whose columns are numbers after the first `n_names`."""

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = ["" if index < n_names else ' class="number"' for index in range(len(cells))]
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))

    body = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{line(header, "th")}</tr>\n{body}</table></div>'


def _rows_of(measurement: CodecMeasurement, path: str) -> list[DistortionRow]:
    first = measurement.databases[0].database
    return [row for row in measurement.distortion if row.database == first and row.path == path]


def _shipped_tokens(measurement: CodecMeasurement) -> TokenRow:
    return next(row for row in measurement.tokens if row.coder == SHIPPED)


def _db(ratio_db: float) -> str:
    return "–" if math.isnan(ratio_db) else f"{ratio_db:.2f}"


def _without_nan(content: Any) -> Any:
    """Return JSON content with None for NaN."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content
