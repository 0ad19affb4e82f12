"""The codec report, as text and as JSON."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heartbert.evaluation.codec import PUBLISHED_PATH, SignalPath
from heartbert.evaluation.codec_databases import CodecMeasurement, DatabaseRow, DistortionRow, DriftRow
from heartbert.evaluation.codec_excerpts import Excerpt
from heartbert.evaluation.codec_plan import CodecPlan, Database
from heartbert.evaluation.codec_tokens import TokenRow
from heartbert.results import codec_page
from heartbert.results.codec_page import codec_json, headline_rows, write_codec_report
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import ScalingRule
from tests.results.test_report import Balance

ROBUST = SignalPath(BandPass(0.5, 40.0), ScalingRule("robust", 1.5))
QUANTISERS = {"lloyd-max": 35.6, "quantile": 25.0, "uniform": 32.2, "shipped": 34.0}


def distortion_row(database: str, path: SignalPath, quantiser: str) -> DistortionRow:
    """Return a row whose ratios tell quantisers apart; the 5th percentile is not known."""
    ratio_db = QUANTISERS[quantiser]
    return DistortionRow(
        database, path.name, quantiser, 720, 2, ratio_db, ratio_db - 1, math.nan, 0.25, 0.5, 6.3, 0, 1e-4
    )


def token_row(database: str, coder: str, vocabulary: int) -> TokenRow:
    """Return a row of five samples a token."""
    return TokenRow(database, coder, vocabulary, None, 720, 144, 5.0, 72.0, 0.9, 0.5, 100, 32, 9.0, 1.8)


@pytest.fixture
def measurement() -> CodecMeasurement:
    """Return a measurement of two databases with invented numbers."""
    names = ("first", "<second>")
    pairs = [(PUBLISHED_PATH, name) for name in QUANTISERS if name != "shipped"]
    pairs += [(ROBUST, name) for name in QUANTISERS]
    signal = np.sin(np.arange(1080, dtype=np.float32) / 50)
    excerpt = Excerpt("first", "$100", "MLII", "mV", 900.0, {"shipped": (signal, signal), "other": (signal, -signal)})
    databases = tuple(Database(name, (Path("a.hea"),)) for name in names)
    return CodecMeasurement(
        plan=CodecPlan(databases, ROBUST, 8, 400, (16,), 5000),
        shipped_path=ROBUST,
        databases=tuple(DatabaseRow(name, 1, 2, 720, 0, 1, 3) for name in names),
        distortion=tuple(distortion_row(name, *pair) for name in names for pair in pairs),
        drift=(DriftRow("<second>", ROBUST.name, "lloyd-max", 30.0, 31.5, 1.5, 0.125),),
        tokens=tuple(token_row(name, *coder) for name in names for coder in (("shipped", 4096), (ROBUST.name, 16))),
        level_use={(path.name, name): np.arange(8) for path, name in pairs},
        excerpts=(excerpt,),
    )


@pytest.fixture
def page_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that writes a report, with stand-ins for its pictures, and returns its page."""
    monkeypatch.setattr(codec_page, "png_bytes", lambda figure: b"picture")

    def write(measurement: CodecMeasurement) -> str:
        page, _ = write_codec_report(measurement, tmp_path)
        return page.read_text("utf-8")

    return write


def test_page_states_that_it_is_no_medical_device_and_what_was_fitted_on_what(measurement, page_of) -> None:
    """Whoever reads one number has read both."""
    page = page_of(measurement)

    assert 0 < page.index("Everything on this page is fitted on first only") < page.index("35.60 dB")
    assert 0 < page.index("Research software, not a medical device") < page.index("35.60 dB")


def test_page_holds_every_table(measurement, page_of) -> None:
    """Distortion pooled and by lead, use of levels, tokens, drift."""
    page = page_of(measurement)

    for expected in (
        "34.60 (–)",
        "25.000%",
        "50.0%",
        "record-range, unfiltered",
        "4,096",
        "72.0",
        "1.50",
        "0.1250",
        "0.0100%",
    ):
        assert expected in page, expected
    assert "people shared" in page


def test_page_is_well_formed_escaped_and_needs_no_network(measurement, page_of) -> None:
    """Names of folders come from outside."""
    page = page_of(measurement)
    balance = Balance()

    balance.feed(page)

    assert (balance.open, balance.errors) == ([], [])
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"https?://|<script|<link|@import", page)
    assert "<second>" not in page
    assert "&lt;second&gt;" in page


def test_page_without_excerpts_or_drift_says_so(measurement, page_of) -> None:
    """One database whose middle is flat."""
    page = page_of(replace(measurement, excerpts=(), drift=()))

    assert "No recording in the middle of its database" in page
    assert "Only one database was given" in page
    assert page.count("data:image/png;base64,") == 3


def test_json_has_the_numbers_to_quote_and_says_what_they_are(measurement, tmp_path: Path) -> None:
    """A benchmark takes them over without a look at the tables."""
    _, path = write_codec_report(measurement, tmp_path)

    content = json.loads(path.read_text("utf-8"))

    assert content["snr_db"] == {"optimal": 35.6, "lloyd_max": 35.6, "quantile": 25.0, "uniform": 32.2}
    assert (content["tokens_per_second_of_ecg"], content["rare_token_share"]) == (72.0, 0.5)
    assert content["measured_on"]["database"] == "first"
    assert content["measured_on"]["n_samples"] == 720
    assert set(content["definitions"]) >= {"snr_db", "tokens_per_second_of_ecg", "rare_token_share"}
    assert "not a medical device" in content["disclaimer"]


def test_json_has_null_for_what_is_not_known(measurement) -> None:
    """NaN is no JSON."""
    assert {row["lead_snr_db_p5"] for row in codec_json(measurement)["distortion"]} == {None}


def test_headline_names_the_data(measurement) -> None:
    """A ratio without its database means nothing."""
    assert headline_rows(measurement)[0] == ("measured on", "first, 2 leads, 0.0 lead-hours")


def test_report_stays_as_it_was_when_writing_stops(measurement, tmp_path, monkeypatch) -> None:
    """A page and numbers of different runs must not lie side by side unnoticed: the page comes last."""
    for name in ("codec.html", "codec.json"):
        (tmp_path / name).write_text("old")
    monkeypatch.setattr(codec_page, "png_bytes", lambda figure: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        write_codec_report(measurement, tmp_path)

    assert {path.read_text() for path in tmp_path.iterdir()} == {"old"}
