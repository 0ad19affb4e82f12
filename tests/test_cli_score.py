"""The command line: `heartbert score` prints what EC57 asks for."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from heartbert.cli import main
from heartbert.results.annotations import Mark, annotation_bytes

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def heartbert(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs the command line in this process: exit status, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["heartbert", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main.run()
        captured = capsys.readouterr()
        return int(exit_info.value.code or 0), captured.out, captured.err

    return call


def write_beats(path: Path, beats: dict[int, str]) -> None:
    """Write an annotation file at 360 Hz, beats by second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(annotation_bytes([Mark(360 * second, symbol, "") for second, symbol in beats.items()], 360.0))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return folders of reference and test annotations of records a and b; c has no test annotations."""
    reference, test = tmp_path / "ref", tmp_path / "test"
    for name in "abc":
        write_beats(reference / f"{name}.atr", {10: "N", 400: "N", 401: "V", 402: "S", 403: "N"})
    write_beats(test / "a.qrs", {400: "N", 401: "V", 402: "S", 403: "V"})
    write_beats(test / "b" / "beats.qrs", {400: "N", 401: "N", 402: "N"})
    return reference, test


def test_score_prints_records_gross_average_and_pairs(heartbert: Call, folders: tuple[Path, Path]) -> None:
    """Worked out by hand: a has one N called V, b misses an N and calls V and S normal."""
    status, out, err = heartbert("score", *folders, "-t", "qrs")

    assert status == 0
    assert err == "heartbert: not scored, no test annotations: c\n"
    assert out.startswith(
        "record\tQRS Se %\tQRS +P %\tVEB Se %\tVEB +P %\tVEB FPR %\tSVEB Se %\tSVEB +P %\tSVEB FPR %\tRR error ms\n"
        "a\t100.00\t100.00\t100.00\t50.00\t33.333\t100.00\t100.00\t0.000\t0.00\n"
        "b\t75.00\t100.00\t0.00\t-\t0.000\t0.00\t-\t0.000\t0.00\n"
        "gross\t87.50\t100.00\t50.00\t50.00\t20.000\t50.00\t100.00\t0.000\t-\n"
        "average\t87.50\t100.00\t50.00\t50.00\t16.667\t50.00\t100.00\t0.000\t0.00\n"
        "\nall records\tn\ts\tv\tf\tq\to\tx\nN\t2\t0\t1\t0\t0\t1\t0\nS\t1\t1\t0\t0\t0\t0\t0\nV\t1\t0\t1\t0\t0\t0\t0\n"
    )
    assert "O\t0\t0\t0\t0\t0\t\t\n" in out
    assert "beats missed in shutdown\t0.00 %\t0/8\n" in out
    assert "F missed in shutdown\t- %\t0/0\n" in out
    assert "total shutdown time\t0 s" in out
    assert "not a medical device" in out.splitlines()[-1]


def test_score_writes_json_and_the_pairs_of_each_record(
    heartbert: Call, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    """The standard asks for results record by record."""
    target = tmp_path / "new" / "scores.json"

    status, out, _ = heartbert("score", *folders, "-t", "qrs", "--matrices", "--json", target)

    assert status == 0
    assert out.startswith("record a\tn\ts\tv\tf\tq\to\tx\nN\t1\t0\t1\t0\t0\t0\t0\n")
    assert "\nrecord b\tn\ts" in out
    assert f"written\t{target}\n" in out
    content = json.loads(target.read_text())
    assert [record["record"] for record in content["records"]] == ["a", "b"]
    assert content["not_scored"] == ["c"]


def test_score_says_when_its_rules_are_not_those_of_the_standard(heartbert: Call, folders: tuple[Path, Path]) -> None:
    """Numbers with another window or start are not comparable."""
    reference, test = folders

    status, out, err = heartbert("score", reference / "a.atr", test / "a.qrs", "-t", "qrs", "--start", 0, "--stop", 402)

    assert status == 0
    assert err == "heartbert: learning period, stop or window differ from what EC57 prescribes\n"
    assert "record a\tn\ts\tv\tf\tq\to\tx\nN\t1\t0\t0\t0\t0\t1\t0\n" in out


def test_score_takes_window_and_labels(heartbert: Call, tmp_path: Path) -> None:
    """The options reach the comparison."""
    write_beats(tmp_path / "a.atr", {400: "N"})
    (tmp_path / "a.qrs").write_bytes(annotation_bytes([Mark(144_040, "N", "")], 360.0))

    _, wide, _ = heartbert("score", tmp_path / "a", tmp_path / "a.qrs", "-t", "qrs", "--labels", "bxb")
    _, narrow, _ = heartbert("score", tmp_path / "a", tmp_path / "a.qrs", "-t", "qrs", "--window-ms", 100)

    assert "N\t1\t0\t0\t0\t0\t0\t0\n" in wide
    assert "N\t0\t0\t0\t0\t0\t1\t0\n" in narrow


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--start", "-1"), "start is -1 s"),
        (("--window-ms", "2000"), "the match window is 2000 ms"),
        (("-t", "xyz"), "has no 'xyz' annotations of any of the 3 reference records"),
        (("-r", "xyz"), "has no '.xyz' file"),
    ],
)
def test_score_prints_an_expected_error_in_one_line(
    heartbert: Call, folders: tuple[Path, Path], options: tuple[str, str], message: str
) -> None:
    """A traceback seen by a user is a bug."""
    status, out, err = heartbert("score", *folders, *options)

    assert (status, out) == (1, "")
    assert err.startswith("heartbert: error: ")
    assert message in err


def test_score_refuses_unknown_labels_as_wrong_usage(heartbert: Call, folders: tuple[Path, Path]) -> None:
    """The choices are listed."""
    status, _, err = heartbert("score", *folders, "--labels", "aha")

    assert status == 2
    assert "bxb" in err
