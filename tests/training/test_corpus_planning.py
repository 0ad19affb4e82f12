"""Who is excluded or held out is so with every recording, under every name, and a recording counts once."""

import os
from pathlib import Path

import pytest

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.training.corpus_planning import CorpusPlan, plan_corpus


def _headers(folder: Path, first_line: str, *names: str) -> Path:
    """Write headers alone: nothing else is read of a known database."""
    for name in names:
        path = folder / f"{name}.hea"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path.stem} {first_line}\n")
    return folder


@pytest.fixture
def mitdb(tmp_path: Path) -> Path:
    """Return a folder with four recordings of three persons, and a copy of one."""
    return _headers(tmp_path / "mitdb", "2 360 650000", "100", "201", "202", "203", "x_mitdb/x_100")


@pytest.fixture
def qtdb(tmp_path: Path) -> Path:
    """Return a folder with excerpts of mitdb, of edb, and of neither."""
    return _headers(tmp_path / "qtdb", "2 250 225000", "sel100", "sel30", "sele0122")


def _names(plan: CorpusPlan, *, held_out: bool) -> list[str]:
    return [one.name for one in plan.recordings if one.held_out is held_out]


@pytest.mark.parametrize("name", ["201", "202", "mitdb/202", "mitdb/201"])
def test_person_is_held_out_with_every_recording(mitdb: Path, name: str) -> None:
    """201 and 202 are one man."""
    plan = plan_corpus([mitdb], held_out=[name])

    assert _names(plan, held_out=True) == ["mitdb/201", "mitdb/202"]
    assert _names(plan, held_out=False) == ["mitdb/100", "mitdb/203"]
    assert plan.excluded_recordings == plan.unmatched == ()


def test_recordings_that_follow_their_person_are_reported(mitdb: Path) -> None:
    """Who excludes one recording must learn that another went with it."""
    plan = plan_corpus([mitdb], excluded=["202"], held_out=["203"])

    assert plan.same_person == ("mitdb/201",)
    assert plan.excluded_recordings == ("mitdb/201", "mitdb/202")
    assert (plan.excluded, plan.held_out) == (("202",), ("203",))


def test_person_is_excluded_in_other_databases_too(mitdb: Path, qtdb: Path) -> None:
    """15 recordings of qtdb are excerpts of mitdb."""
    plan = plan_corpus([mitdb, qtdb], excluded=["mitdb/100"])

    assert plan.excluded_recordings == ("mitdb/100", "qtdb/sel100")
    assert plan.same_person == ("qtdb/sel100",)


@pytest.mark.parametrize(
    ("name", "excluded"), [("100", "sel100"), ("mitdb/100", "sel100"), ("e0119", "sele0122"), ("edb/e0122", "sele0122")]
)
def test_excerpt_is_excluded_where_its_source_is_not_given(qtdb: Path, name: str, excluded: str) -> None:
    """The list of test recordings is that of the source."""
    plan = plan_corpus([qtdb], excluded=[name])

    assert plan.excluded_recordings == (f"qtdb/{excluded}",)
    assert plan.unmatched == ()


def test_exclusion_wins_over_holding_out(mitdb: Path) -> None:
    """Test data must not come in as validation data."""
    plan = plan_corpus([mitdb], excluded=["201"], held_out=["202", "100"])

    assert plan.excluded_recordings == ("mitdb/201", "mitdb/202")
    assert _names(plan, held_out=True) == ["mitdb/100"]


def test_patients_of_ptb_xl_are_told_apart_by_its_table(tmp_path: Path) -> None:
    """One patient has several recordings, and each lies there in two rates."""
    folder = tmp_path / "ptb-xl"
    for rate, samples in ((500, "5000"), (100, "1000")):
        suffix = "hr" if rate == 500 else "lr"
        names = [f"records{rate}/00000/0000{number}_{suffix}" for number in (1, 2, 3)]
        _headers(folder, f"12 {rate} {samples}", *names)
    (folder / "ptbxl_database.csv").write_text("ecg_id,patient_id\n1,70.0\n2,70.0\n3,80.0\n")

    for name in ("00002_hr", "00002", "ptb-xl/00002", "ptb-xl/patient-70", "00001_lr"):
        plan = plan_corpus([folder], excluded=[name])
        assert [one.path.stem for one in plan.recordings] == ["00003_hr"], name
        assert plan.recordings[0].subject_id == "ptb-xl/patient-80"


def test_recording_counts_once_although_there_are_copies(mitdb: Path) -> None:
    """Copies in a database, and a folder given twice, count double otherwise."""
    plan = plan_corpus([mitdb, mitdb / ".." / "mitdb"])

    assert _names(plan, held_out=False) == ["mitdb/100", "mitdb/201", "mitdb/202", "mitdb/203"]


def test_names_without_a_recording_are_reported(mitdb: Path) -> None:
    """A mistyped name of a test recording leaves it in the corpus."""
    assert plan_corpus([mitdb], excluded=["2O1"], held_out=["100", "x"]).unmatched == ("2O1", "x")


def test_names_without_a_recording_are_refused_if_strict(mitdb: Path) -> None:
    """Who wants all or nothing can say so."""
    with pytest.raises(ConfigError, match=r"'2O1', .* is no recording and no person .* leave out --strict"):
        plan_corpus([mitdb], excluded=["2O1"], strict=True)


def test_recording_of_an_unknown_person_keeps_the_reason(tmp_path: Path) -> None:
    """Whom a damaged file shows cannot be known, so it must not be used later either."""
    _headers(tmp_path / "mine", "no header", "a")

    plan = plan_corpus([tmp_path / "mine"])

    assert "a.hea" in plan.recordings[0].problem


def test_segments_of_a_recording_count_with_it(tmp_path: Path) -> None:
    """A header of segments never changes, and says nothing of how much there is to read."""
    folder = _headers(tmp_path / "mine", "1 250 1000", "part_1", "part_2")
    (folder / "night.hea").write_text("night/2 1 250 2000\npart_1 1000\npart_2 1000\n")
    (folder / "part_2.dat").write_bytes(bytes(2000))
    os.utime(folder / "part_2.dat", ns=(0, 2**61))

    (night,) = plan_corpus([folder]).recordings

    assert night.name == "mine/night"
    assert night.n_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert night.changed_ns == (folder / "part_2.dat").stat().st_mtime_ns


def test_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    """A wrong path would otherwise end as a smaller corpus."""
    with pytest.raises(RecordFormatError, match="holds no recording"):
        plan_corpus([tmp_path])
