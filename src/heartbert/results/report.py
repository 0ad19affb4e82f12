"""What a person reads: one HTML page about one analysed lead, complete in itself."""

import base64
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from matplotlib.figure import Figure

from heartbert.analysis import Analysis
from heartbert.files import replacing_file
from heartbert.predictions.labels import AamiClass
from heartbert.results import plots, reliability
from heartbert.results.hypnogram import draw_hypnogram
from heartbert.results.sleep_summary import sleep_rows
from heartbert.results.summary import (
    CLASS_NAMES,
    DISCLAIMER,
    RUN_BEATS,
    ClassSummary,
    Summary,
    clock,
    counted,
    percent,
    readable,
    summarise,
)
from heartbert.signals.quality import Reason, Stretch

# Rows of the table of unscorable stretches; a loose electrode can give thousands.
MOST_STRETCHES = 50

_REASONS: dict[Reason, str] = {
    "missing": "no samples stored",
    "flat": "the signal does not change: electrode off or device paused",
    "saturated": "the signal stays at the end of its range",
}
_UNKNOWN_AMPLITUDE = (
    "The file does not say how large its amplitudes are: NU (no unit) stands for its own numbers. "
    "The heart rate does not depend on it; amplitudes cannot be read as millivolts."
)
_NO_BEATS = "No beat was found. Is this channel an ECG, and is the sampling frequency right?"
_SHORT = "The recording is shorter than 10 s; class shares and heart rate rest on very few beats."
_NO_SCORES = "The bundle stores no scores of its heartbeat classifier: nothing is known about its errors."
_SCORES = (
    "Scores of the heartbeat classifier on held-out recordings, as stored in the bundle. F1 lies between 0 "
    "and 1; <code>macro</code> is the plain mean over classes, so that rare classes count as much as N."
)
# A recording shorter than this gives a note.
_SHORT_S = 10.0


def write_report(analysis: Analysis, path: Path) -> None:
    """Write the report of one analysed lead as a single HTML file without links to anything outside.

    Parameters
    ----------
    analysis : Analysis
    path : Path
        File to write; an existing one is replaced only by a complete report.
    """
    template = Template(files("heartbert.results").joinpath("report.html").read_text("utf-8"))
    page = template.substitute(_page_parts(analysis, summarise(analysis)))
    with replacing_file(path) as temporary:
        temporary.write_text(page, "utf-8")


def _page_parts(analysis: Analysis, summary: Summary) -> dict[str, str]:
    """Return the HTML for each placeholder of the template, everything from the file escaped."""
    n_beats_of = {row.aami_class: row.n_beats for row in summary.classes}
    return {
        "record_name": escape(summary.record_name),
        "lead": escape(summary.lead),
        "bundle_name": escape(summary.bundle_name),
        "disclaimer": escape(DISCLAIMER),
        "n_beats": readable(summary.n_beats),
        "mean_rate": readable(summary.mean_rate_bpm, unit="bpm"),
        "n_ventricular": readable(n_beats_of["V"]),
        "n_supraventricular": readable(n_beats_of["S"]),
        "unscorable_share": percent(summary.unscorable_share),
        "recording_rows": _rows(_recording_rows(summary)),
        "finding_rows": _rows(_finding_rows(summary)),
        "notes": "".join(f"<p><strong>Note.</strong> {escape(note)}</p>" for note in _notes(summary)),
        "class_rows": "\n".join(_class_row(row) for row in summary.classes),
        "unscorable_section": _unscorable_section(analysis, summary),
        "score_section": _score_section(summary),
        "calibration_section": _calibration_section(analysis),
        "sleep_section": _sleep_section(analysis, summary),
        "processing_rows": _rows(_processing_rows(summary)),
        **_figures(analysis),
    }


def _figures(analysis: Analysis) -> dict[str, str]:
    start_s = plots.choose_strip(analysis)
    strip, rate, confidence = plots.new_figure(5.8), plots.new_figure(3.2), plots.new_figure(2.9)
    plots.draw_ecg_strip(strip, analysis, start_s)
    plots.draw_heart_rate(rate, analysis, start_s)
    plots.draw_class_confidence(confidence, analysis)
    return {
        "strip_png": _base64_png(strip),
        "rate_png": _base64_png(rate),
        "confidence_png": _base64_png(confidence),
        "strip_caption": escape(_strip_caption(analysis, start_s)),
    }


def _base64_png(figure: Figure) -> str:
    return base64.b64encode(plots.png_bytes(figure)).decode("ascii")


def _strip_caption(analysis: Analysis, start_s: float) -> str:
    stop_s = min(start_s + plots.STRIP_S, analysis.channel.duration_s)
    if analysis.beats.samples.size == 0:
        why = "the start; there are no beats"
    elif (analysis.beats.classes != AamiClass.N).any():
        why = "the part with most beats that are not N"
    else:
        why = "the first beats; all beats of the recording are N"
    paper = "0.2 s and 0.5 mV" if analysis.channel.unit == "mV" else "0.2 s"
    return (
        f"{clock(start_s)} to {clock(stop_s)}: {why}. Each letter stands above the R wave of its beat. "
        f"Paper: {paper} between bold lines."
    )


def _recording_rows(summary: Summary) -> list[tuple[str, str]]:
    return [
        ("file", summary.file),
        ("record", summary.record_name),
        ("subject", summary.subject_id),
        ("lead", summary.lead),
        *([("leads that classify", ", ".join(summary.leads))] if len(summary.leads) > 1 else []),
        ("sampling frequency", f"{summary.fs:g} Hz"),
        ("amplitude unit", summary.unit),
        ("duration", f"{clock(summary.duration_s)} ({summary.duration_s:,.1f} s)"),
        ("start", summary.start.replace("T", " ") if summary.start else "not stored in the file"),
    ]


def _finding_rows(summary: Summary) -> list[tuple[str, str]]:
    longest = f", the longest of {summary.longest_ventricular_run}" if summary.n_ventricular_runs else ""
    return [
        ("beats", f"{readable(summary.n_beats)}{', given' if summary.beats_given else ''}"),
        *([_abstained_row(summary)] if summary.min_confidence else []),
        ("mean heart rate", readable(summary.mean_rate_bpm, unit="bpm")),
        ("lowest over 10 beats", readable(summary.min_rate_bpm, unit="bpm")),
        ("highest over 10 beats", readable(summary.max_rate_bpm, unit="bpm")),
        (f"runs of {RUN_BEATS} or more V beats", f"{summary.n_ventricular_runs}{longest}"),
        ("not scorable", f"{summary.unscorable_s:,.1f} s ({percent(summary.unscorable_share)})"),
    ]


def _abstained_row(summary: Summary) -> tuple[str, str]:
    share = summary.n_abstained / summary.n_beats if summary.n_beats else None
    return f"Q because below {summary.min_confidence:g}", f"{summary.n_abstained:,} ({percent(share)})"


def _processing_rows(summary: Summary) -> list[tuple[str, str]]:
    unit = summary.unit
    total_s = sum(summary.seconds_by_stage.values())
    return [
        ("bundle", summary.bundle_name),
        (
            "amplitude range given to the encoder",
            f"{summary.scale_low:.3g} to {summary.scale_high:.3g} {unit}",
        ),
        ("samples outside that range", percent(summary.clipped_share)),
        ("windows", readable(summary.n_windows)),
        (
            "tokens",
            f"{readable(summary.n_tokens)} ({readable(summary.tokens_per_s, 1, unit='a scored second')})",
        ),
        *((f"time: {stage}", f"{seconds:.2f} s") for stage, seconds in summary.seconds_by_stage.items()),
        ("time in all", f"{total_s:.2f} s"),
    ]


def _notes(summary: Summary) -> list[str]:
    notes = [_UNKNOWN_AMPLITUDE] if summary.unit == "NU" else []
    if summary.duration_s < _SHORT_S:
        notes.append(_SHORT)
    if summary.n_beats == 0:
        unscored = summary.unscorable_share is not None and summary.unscorable_share > 0.999
        notes.append(
            "Nothing in this recording can be scored; the reasons are listed below." if unscored else _NO_BEATS
        )
    return notes


def _class_row(row: ClassSummary) -> str:
    key = AamiClass[row.aami_class]
    numbers = [readable(row.n_beats), percent(row.share), readable(row.mean_probability, 3)]
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    swatch = f'<span class="swatch" style="background:{plots.CLASS_COLOURS[key]}"></span>'
    return f"<tr><td>{swatch}<strong>{key.name}</strong> {CLASS_NAMES[key]}</td>{cells}</tr>"


def _unscorable_section(analysis: Analysis, summary: Summary) -> str:
    if not analysis.unscorable:
        return "<p>All of the recording could be scored.</p>"
    shown = analysis.unscorable[:MOST_STRETCHES]
    n_more = summary.n_unscorable - len(shown)
    more = f"<p>… and {n_more:,} more; <code>beats.atr</code> marks all of them.</p>" if n_more else ""
    total = counted(summary.n_unscorable, "stretch", "stretches")
    beats = "Beats there are those that were given." if summary.beats_given else "No beats are reported there."
    return (
        f"<p>{total}, {summary.unscorable_s:,.1f} s together. {beats}</p>"
        '<table><tr><th>start</th><th class="number">start (s)</th><th class="number">length (s)</th>'
        f"<th>reason</th></tr>{''.join(_stretch_row(stretch) for stretch in shown)}</table>{more}"
    )


def _stretch_row(stretch: Stretch) -> str:
    numbers = [f"{stretch.start_s:.2f}", f"{stretch.stop_s - stretch.start_s:.2f}"]
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    reason = f"{stretch.reason}: {_REASONS[stretch.reason]}"
    return f"<tr><td>{clock(stretch.start_s)}</td>{cells}<td>{reason}</td></tr>"


def _score_section(summary: Summary) -> str:
    if not summary.heartbeat_scores:
        return f"<p>{_NO_SCORES}</p>"
    rows = _rows((name, readable(score, 3)) for name, score in summary.heartbeat_scores.items())
    return f"<p>{_SCORES}</p><table>{rows}</table>"


def _calibration_section(analysis: Analysis) -> str:
    """Show what the probabilities are worth, where the bundle says it."""
    calibration = analysis.calibration
    if calibration is None or not calibration.reliability:
        return ""
    figure = plots.new_figure(3.6)
    reliability.draw_reliability(figure, calibration)
    rows = "".join(
        f'<tr><td class="number">{point.min_confidence:g}</td><td class="number">{percent(point.coverage)}</td>'
        f'<td class="number">{percent(point.risk)}</td></tr>'
        for point in calibration.risk_coverage
    )
    template = Template(files("heartbert.results").joinpath("calibration.html").read_text("utf-8"))
    return template.substitute(
        png=_base64_png(figure),
        n_beats=readable(calibration.n_beats),
        temperature=readable(calibration.temperature, 2),
        ece=readable(calibration.ece, 3),
        ece_uncalibrated=readable(calibration.ece_uncalibrated, 3),
        ece_left_out=readable(calibration.ece_left_out, 3),
        rows=rows,
    )


def _sleep_section(analysis: Analysis, summary: Summary) -> str:
    """Show the hypnogram, its numbers and what they are worth, where sleep was staged."""
    if analysis.sleep is None or summary.sleep is None:
        return ""
    figure = plots.new_figure(5.0)
    limit = analysis.sleep.predictions.min_confidence
    draw_hypnogram(figure, analysis.sleep.predictions, least_probability=limit)
    template = Template(files("heartbert.results").joinpath("sleep.html").read_text("utf-8"))
    return template.substitute(
        trust=escape(summary.sleep.trust),
        png=_base64_png(figure),
        open_caption=f"Grey: no stage is as probable as {limit:g}." if limit else "",
        rows=_rows(sleep_rows(summary.sleep)),
        definitions=_rows(summary.sleep.definitions.items()),
    )


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in pairs)
