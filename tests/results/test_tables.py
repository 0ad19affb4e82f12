"""Tables for other programs."""

import csv
import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from heartbert.results.tables import write_beats_csv, write_embeddings, write_summary_json


def test_beats_csv_has_a_row_for_each_beat_with_probabilities_and_rr(analysis, tmp_path):
    """A spreadsheet or script reads it without knowing this package."""
    write_beats_csv(analysis, tmp_path / "beats.csv")

    rows = list(csv.DictReader((tmp_path / "beats.csv").read_text().splitlines()))
    assert len(rows) == 60
    assert list(rows[0]) == ["sample", "time_s", "aami_class", "p_N", "p_S", "p_V", "p_F", "p_Q", "rr_s", "abstained"]
    assert (rows[0]["rr_s"], rows[1]["rr_s"]) == ("", "1.0000")
    assert (rows[31]["sample"], rows[31]["aami_class"], rows[31]["p_V"]) == ("7875", "V", "0.9000")


def test_beats_csv_says_which_beats_are_q_for_want_of_confidence(analysis, tmp_path):
    """Q of the head and Q of abstaining are two things."""
    beats = replace(analysis.beats, min_confidence=0.6)
    beats.probabilities[3] = (0.5, 0.3, 0.1, 0.05, 0.05)

    write_beats_csv(replace(analysis, beats=beats), tmp_path / "beats.csv")

    rows = list(csv.DictReader((tmp_path / "beats.csv").read_text().splitlines()))
    assert [index for index, row in enumerate(rows) if row["abstained"] == "1"] == [3]
    assert (rows[3]["aami_class"], rows[3]["p_N"], rows[39]["aami_class"]) == ("Q", "0.5000", "Q")


def test_beats_csv_has_only_a_header_without_beats(no_beats, tmp_path):
    """The same columns are there whatever was found."""
    write_beats_csv(no_beats, tmp_path / "beats.csv")

    assert (tmp_path / "beats.csv").read_text().count("\n") == 1


def test_embeddings_read_back_with_their_origin(analysis, tmp_path):
    """Vectors without the name of their bundle cannot be compared with any others."""
    write_embeddings(analysis, tmp_path / "embeddings.parquet")

    table = pq.read_table(tmp_path / "embeddings.parquet")
    assert table.schema.metadata[b"bundle"] == b"test-bundle"
    assert table.schema.metadata[b"lead"] == b"MLII"
    assert str(table.schema.field("embedding").type).startswith("fixed_size_list<")
    np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), analysis.windows.vectors)
    np.testing.assert_array_equal(table["start_s"], analysis.windows.start_s)
    np.testing.assert_array_equal(table["n_tokens"], analysis.windows.n_tokens)


def test_embeddings_keep_nan_for_windows_without_tokens(no_beats, tmp_path):
    """An unscorable window has no vector, and zeros would look like one."""
    write_embeddings(no_beats, tmp_path / "embeddings.parquet")

    vectors = np.stack(pq.read_table(tmp_path / "embeddings.parquet")["embedding"].to_numpy())
    assert np.isnan(vectors).all()


def test_embeddings_file_is_written_without_any_window(analysis, tmp_path):
    """The column keeps its type and size when there are no rows."""
    none = np.empty(0)
    windows = replace(
        analysis.windows,
        start_s=none,
        stop_s=none,
        n_tokens=none.astype(int),
        vectors=np.empty((0, 4), np.float32),
    )

    write_embeddings(replace(analysis, windows=windows), tmp_path / "embeddings.parquet")

    table = pq.read_table(tmp_path / "embeddings.parquet")
    assert table.num_rows == 0
    assert table.schema.field("embedding").type.list_size == 4


@pytest.mark.parametrize("given", ["analysis", "no_beats"])
def test_summary_json_is_strict_json_with_the_disclaimer(given, tmp_path, request):
    """NaN is not JSON, and the file travels without the report."""
    write_summary_json(request.getfixturevalue(given), tmp_path / "summary.json")

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    content = json.loads((tmp_path / "summary.json").read_text("utf-8"), parse_constant=refuse)
    assert "not a medical device" in content["disclaimer"]
    assert content["record_name"] == "100"
    assert [row["aami_class"] for row in content["classes"]] == list("NSVFQ")
