"""The comparison of encoders -> one HTML page, complete in itself."""

import io
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from heartbert.files import replacing_file
from heartbert.protocols.comparison_plots import draw_rivals
from heartbert.results.summary import DISCLAIMER

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1d2329; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #d5dae0; padding: 0.3rem 0.6rem; text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.ours { font-weight: bold; }
svg { max-width: 100%; height: auto; }
.note { color: #55606b; font-size: 0.9rem; }
</style>
</head>
<body>
<h1>$title</h1>
<p>$sentence</p>
<table>
<tr><th>row</th><th class="number">$score</th><th class="number">95 %</th><th class="number">ours less this</th></tr>
$rows
</table>
$plot
<h2>How it was measured</h2>
<ul>
$facts
</ul>
<p class="note">$disclaimer</p>
</body>
</html>
"""
)
_MARK = " *"


def write_rivals_page(result: Mapping[str, Any], path: Path) -> None:
    """Write the page of what `compare_rivals` found; it links to nothing outside."""
    stream = io.StringIO()
    draw_rivals(result).savefig(stream, format="svg", metadata={"Date": None})
    svg = stream.getvalue()
    page = _PAGE.substitute(
        title=escape(f"Encoders compared on {result['database']}"),
        sentence=escape(result["sentence"]),
        score=escape(result["score"]),
        rows="\n".join(_row(row, result["ours"]) for row in result["rows"]),
        plot=svg[svg.index("<svg") :],
        facts="\n".join(f"<li>{escape(fact)}</li>" for fact in _facts(result)),
        disclaimer=escape(DISCLAIMER),
    )
    with replacing_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _row(row: Mapping[str, Any], ours: str) -> str:
    score, difference = row["score"], row["ours_less_this"]
    cells = (
        f"{score['mean']:.3f}",
        f"{score['low']:.3f} to {score['high']:.3f}",
        ""
        if row["name"] == ours
        else f"{difference['mean']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]",
    )
    name = escape(row["name"] + (_MARK if row["training_data_unknown"] else ""))
    kind = ' class="ours"' if row["name"] == ours else ""
    return f"<tr{kind}><td>{name}</td>" + "".join(f'<td class="number">{cell}</td>' for cell in cells) + "</tr>"


def _facts(result: Mapping[str, Any]) -> list[str]:
    facts = [
        f"Scored: {result['side']}, {', '.join(result['scored'])}.",
        f"Intervals: {result['intervals']}; {result['n_seeds']} seeds. Every encoder is frozen and has the same head.",
        f"Chosen: {result['how_chosen']}.",
        *(f"Allowed leak: {leak}." for leak in result["leaks"]),
    ]
    if any(row["training_data_unknown"] for row in result["rows"]):
        facts.append("*: what this encoder was trained on is not known here, the scored recordings may be among it.")
    return facts
