"""Persons have one name wherever they appear."""

from pathlib import Path

import pytest

from heartbert.databases.subjects import read_patients, subject_of_recording
from heartbert.errors import DatabaseError


@pytest.mark.parametrize(
    ("slug", "recording", "person"),
    [
        ("mitdb", "202", "mitdb/201"),
        ("slpdb", "slp02b", "slpdb/slp02a"),
        ("qtdb", "sel100", "mitdb/100"),
        ("qtdb", "sele0104", "edb/e0104"),
        ("qtdb", "sele0122", "edb/e0118"),
        ("qtdb", "sel16265", "qtdb/sel16265"),
        ("edb", "e0121", "edb/e0118"),
        ("edb", "e0210", "edb/e0206"),
        ("edb", "e0103", "edb/e0103"),
        ("icentia11k-continuous-ecg", "p00000_s00", "icentia11k-continuous-ecg/p00000"),
        ("icentia11k-continuous-ecg", "p00000_s49", "icentia11k-continuous-ecg/p00000"),
        ("challenge-2017", "A00001", "challenge-2017/A00001"),
        ("ptb-xl", "00001", "ptb-xl/patient-15709"),
        ("ptb-xl", "00002", "ptb-xl/00002"),
    ],
)
def test_subject_of_recording_knows_recordings_of_one_person(slug: str, recording: str, person: str) -> None:
    """The same heart in training and test makes a score meaningless."""
    assert subject_of_recording(slug, recording, {"00001": "15709"}) == person


def test_read_patients_reads_numbers_with_and_without_a_point(tmp_path: Path) -> None:
    """Versions of PTB-XL write patient_id both ways."""
    (tmp_path / "table.csv").write_text("ecg_id,patient_id\n1,15709.0\n21837,9\n")

    assert read_patients(tmp_path / "table.csv") == {"00001": "15709", "21837": "9"}


@pytest.mark.parametrize("text", ["ecg_id,age\n1,5\n", "ecg_id,patient_id\n1,\n", "ecg_id,patient_id\n1\n"])
def test_read_patients_refuses_a_damaged_table(tmp_path: Path, text: str) -> None:
    """A patient who is not known may be on both sides of a split."""
    (tmp_path / "table.csv").write_text(text)

    with pytest.raises(DatabaseError, match=r"no number in 'ecg_id' or 'patient_id' in line 2 .*Download it again"):
        read_patients(tmp_path / "table.csv")
