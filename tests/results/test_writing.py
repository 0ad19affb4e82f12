"""The folder of results."""

from dataclasses import replace

import pytest

from heartbert.databases.slpdb import read_scored_night
from heartbert.results import write_results


@pytest.mark.parametrize("given", ["analysis", "no_beats"])
def test_results_are_all_written_and_listed(given, tmp_path, request):
    """The list that the command line prints is what lies in the folder."""
    folder = tmp_path / "new" / "folder"

    paths = write_results(request.getfixturevalue(given), folder)

    assert [path.name for path in paths] == [
        "report.html",
        "ecg.png",
        "beats.dat",
        "beats.hea",
        "beats.atr",
        "beats.csv",
        "embeddings.parquet",
        "summary.json",
    ]
    assert sorted(folder.iterdir()) == sorted(paths)


def test_results_replace_older_ones_and_leave_other_files(analysis, make_analysis, tmp_path):
    """A folder is used again; what a person added to it stays."""
    (tmp_path / "notes.txt").write_text("mine")
    write_results(analysis, tmp_path)

    write_results(make_analysis("NN", duration_s=2.0), tmp_path)

    assert (tmp_path / "beats.csv").read_text().count("\n") == 3
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_results_of_a_staged_night_have_its_hypnogram(analysis, staged, tmp_path):
    """The stages are annotations of the record that holds the beats; doubtful epochs are left open."""
    paths = write_results(replace(analysis, sleep=staged), tmp_path)

    assert [path.name for path in paths[8:]] == [
        "hypnogram.png",
        "hypnogram.csv",
        "hypnogram.edf",
        "beats.st",
        "sleep.json",
    ]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert read_scored_night(tmp_path / "beats").stages.tolist() == [0, 0, -1, 2, 2, 3, 3, 4, 4, 0]


def test_results_without_sleep_remove_an_older_hypnogram(analysis, staged, tmp_path):
    """It may be that of another person, beside the beats of this one."""
    write_results(replace(analysis, sleep=staged), tmp_path)

    paths = write_results(analysis, tmp_path)

    assert sorted(tmp_path.iterdir()) == sorted(paths)
