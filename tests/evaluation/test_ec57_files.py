"""Annotation files are found, paired by record, and read with their subtypes."""

import json
from pathlib import Path

import numpy as np
import pytest
import wfdb

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.evaluation.ec57 import Rules
from heartbert.evaluation.ec57_files import read_marks, score_files

# wfdb 4.3 looks up its symbols with an argument that pandas 3.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

FROM_START = Rules(start_s=0)


def write_marks(
    path: Path, samples: list[int], symbols: str, *, subtypes: list[int] | None = None, fs: float | None = 360
) -> None:
    """Write an annotation file with the official writer; the suffix of `path` is the annotator."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wfdb.wrann(
        path.stem,
        path.suffix[1:],
        np.array(samples),
        symbol=list(symbols),
        subtype=np.array(subtypes or [0] * len(symbols)),
        fs=fs,
        write_dir=str(path.parent),
    )


def write_header(folder: Path, name: str, n_samples: int) -> None:
    """Write a header whose signal is not needed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.hea").write_text(f"{name} 1 360 {n_samples}\n{name}.dat 16 200 16 0 0 0 0 MLII\n")


def test_subtypes_are_those_of_the_official_reader(tmp_path: Path) -> None:
    """Long intervals, notes, channels and numbers stand between the words of an annotation file."""
    rng = np.random.default_rng(0)
    n_marks = 200
    samples = np.cumsum(rng.integers(1, 3000, n_marks))
    subtypes = rng.integers(-1, 100, n_marks)
    notes = [["", "(N", "noise"][n % 3] for n in range(n_marks)]
    wfdb.wrann(
        "100",
        "atr",
        samples,
        symbol=["N~+"[n % 3] for n in range(n_marks)],
        subtype=subtypes,
        chan=rng.integers(0, 2, n_marks),
        num=rng.integers(0, 3, n_marks),
        aux_note=notes,
        fs=360,
        write_dir=str(tmp_path),
    )

    marks = read_marks(tmp_path / "100.atr", "atr")

    official = wfdb.rdann(str(tmp_path / "100"), "atr")
    assert marks.annotations.samples.tolist() == official.sample.tolist()
    assert (marks.subtypes & 0xFF).tolist() == (official.subtype & 0xFF).tolist()


def test_subtypes_follow_their_marks_into_time_order(tmp_path: Path) -> None:
    """A skip may go backwards; marks are sorted by time. The words are written by hand after annot(5)."""

    def word(code: int, low: int) -> bytes:
        return (code << 10 | low).to_bytes(2, "little")

    note = b"## time resolution: 360"
    backwards = (-50 & 0xFFFFFFFF).to_bytes(4, "big")
    content = (
        word(22, 0) + word(63, len(note)) + note + b"\0" + word(61, 7)  # a definition, with a subtype of its own
        + word(1, 100) + word(14, 100) + word(61, 48)  # N at 100, ~ at 200
        + word(59, 0) + backwards[1::-1] + backwards[:1:-1] + word(5, 0) + word(61, 3)  # V at 150
        + word(0, 10) + word(61, 9) + word(1, 100)  # an interval without mark, then N at 260
        + b"\0\0"
    )  # fmt: skip
    (tmp_path / "x.atr").write_bytes(content)

    marks = read_marks(tmp_path / "x", "atr")

    assert marks.annotations.samples.tolist() == [100, 150, 200, 260]
    assert marks.annotations.symbols == ("N", "V", "~", "N")
    assert marks.subtypes.tolist() == [0, 3, 48, 0]


@pytest.mark.parametrize("reference", ["ref/100", "ref/100.hea", "ref/100.atr"])
@pytest.mark.parametrize("test", ["test/100", "test/100.qrs", "test"])
def test_one_record_is_scored_however_it_is_named(tmp_path: Path, reference: str, test: str) -> None:
    """With or without suffix, or as the folder that holds it."""
    write_header(tmp_path / "ref", "100", 3600)
    write_marks(tmp_path / "ref" / "100.atr", [100, 500], "NV")
    write_marks(tmp_path / "test" / "100.qrs", [100, 500], "NN")

    scores = score_files(tmp_path / reference, tmp_path / test, annotators=("atr", "qrs"), rules=FROM_START)

    assert [record.name for record in scores.records] == ["100"]
    assert (scores.counts[0, 0], scores.counts[2, 0], scores.counts.sum()) == (1, 1, 2)


@pytest.mark.parametrize("test", ["out", "out/beats", "out/beats.atr"])
def test_output_folder_of_an_analysis_is_scored(tmp_path: Path, test: str) -> None:
    """`heartbert analyze 100 -o out`, then `heartbert score 100 out`."""
    write_marks(tmp_path / "100.atr", [100, 500], "NV")
    write_marks(tmp_path / "out" / "beats.atr", [100, 500], "NV")

    scores = score_files(tmp_path / "100", tmp_path / test, rules=FROM_START)

    assert scores.records[0].name == "100"
    assert int(np.trace(scores.counts)) == 2


def test_folders_are_paired_by_name_and_what_is_missing_is_told(tmp_path: Path) -> None:
    """Annotation files, or output folders of that name; a record without either must not vanish silently."""
    for name in ("100", "101", "102"):
        write_header(tmp_path / "ref", name, 3600)
        write_marks(tmp_path / "ref" / f"{name}.atr", [100, 500], "NV")
    write_marks(tmp_path / "test" / "100.atr", [100, 500], "NV")
    write_marks(tmp_path / "test" / "102" / "beats.atr", [100], "N")

    scores = score_files(tmp_path / "ref", tmp_path / "test", rules=FROM_START)

    assert [record.name for record in scores.records] == ["100", "102"]
    assert scores.not_scored == ("101",)
    assert scores.gross["VEB Se"].value == 0.5
    assert scores.average["VEB Se"] == 0.5
    assert scores.rr_error_ms == 0


def test_duration_comes_from_the_header_of_the_reference(tmp_path: Path) -> None:
    """Extra beats between the last reference beat and the end of the record count; those behind it do not."""
    write_marks(tmp_path / "ref" / "100.atr", [100], "N")
    write_marks(tmp_path / "test" / "100.atr", [100, 3000, 4000], "NVV")

    alone = score_files(tmp_path / "ref" / "100", tmp_path / "test" / "100", rules=FROM_START)
    write_header(tmp_path / "ref", "100", 3600)
    with_header = score_files(tmp_path / "ref" / "100", tmp_path / "test" / "100", rules=FROM_START)

    assert (alone.counts[5, 2], with_header.counts[5, 2]) == (0, 1)


def test_json_holds_counts_statistics_and_rules(tmp_path: Path) -> None:
    """Numbers for other programs, and how they came about."""
    write_marks(tmp_path / "100.atr", [100, 500], "NV")
    write_marks(tmp_path / "100.qrs", [100, 500, 700, 800], "NV~~", subtypes=[0, 0, 48, 0])

    scores = score_files(tmp_path / "100", tmp_path / "100.qrs", annotators=("atr", "qrs"), rules=FROM_START)
    content = json.loads(json.dumps(scores.as_json(), allow_nan=False))

    assert content["rules"]["start_s"] == 0
    assert content["rules"]["is_standard"] is False
    assert content["labels"] == list("NSVFQOX")
    assert content["gross"]["VEB Se"] == {"part": 1, "whole": 1, "value": 1.0}
    assert content["records"][0]["counts"] == content["counts"] == scores.counts.tolist()
    assert content["shutdown_s"] == pytest.approx(100 / 360)


def test_nothing_to_compare_is_an_error(tmp_path: Path) -> None:
    """No scores are not perfect scores."""
    for name in ("100", "101", "102", "103"):
        write_marks(tmp_path / "ref" / f"{name}.atr", [100], "N")
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match=r"has no 'atr' annotations of any of the 4 .* \(100, 101, 102, \.\.\.\)"):
        score_files(tmp_path / "ref", tmp_path / "empty")
    with pytest.raises(RecordFormatError, match=r"has no '\.atr' file"):
        score_files(tmp_path / "empty", tmp_path / "ref")
    with pytest.raises(ConfigError, match="REF is a folder of several records"):
        score_files(tmp_path / "ref", tmp_path / "ref" / "100.atr")


def test_errors_name_the_record_or_the_file(tmp_path: Path) -> None:
    """In a folder of a hundred records one wants to know which."""
    write_header(tmp_path, "100", 3600)
    write_marks(tmp_path / "100.atr", [100], "N")

    with pytest.raises(ConfigError, match=r"record '100': the record ends at 10\.0 s"):
        score_files(tmp_path / "100", tmp_path / "100")
    with pytest.raises(RecordFormatError, match=r"no annotation file 101\.atr"):
        score_files(tmp_path / "101", tmp_path / "100")
    with pytest.raises(RecordFormatError, match=r"no annotation file 100\.qrs"):
        score_files(tmp_path / "100", tmp_path / "100", annotators=("atr", "qrs"))
