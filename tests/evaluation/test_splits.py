"""No person is on both sides of a split."""

import pytest

from heartbert.evaluation.splits import (
    MITDB_DS1,
    MITDB_DS1_VALIDATION,
    MITDB_DS2,
    MITDB_PACED,
    person_of,
    persons_named,
)


def test_mitdb_split_covers_the_database_once() -> None:
    """48 records in all; results compare only if the split is the published one."""
    sides = [*MITDB_DS1, *MITDB_DS2, *MITDB_PACED]

    assert [len(MITDB_DS1), len(MITDB_DS2), len(MITDB_PACED)] == [22, 22, 4]
    assert len(set(sides)) == 48


def test_validation_records_are_training_records() -> None:
    """Choices are made without a look at DS2."""
    assert set(MITDB_DS1_VALIDATION) < set(MITDB_DS1)


def test_published_split_shares_one_person() -> None:
    """Records 201 (DS1) and 202 (DS2) show one man; scores state it, so it must stay known."""
    training = {person_of("mitdb", record) for record in MITDB_DS1}
    test = {person_of("mitdb", record) for record in MITDB_DS2}

    assert training & test == {"mitdb/201"}


@pytest.mark.parametrize(
    ("database", "record", "person"),
    [
        ("mitdb", "202", "mitdb/201"),
        ("mitdb", "201", "mitdb/201"),
        ("slpdb", "slp02b", "slpdb/slp02a"),
        ("qtdb", "sel100", "mitdb/100"),
        ("qtdb", "sel16272", "qtdb/sel16272"),
        ("ptb-xl", "00001_hr", "ptb-xl/00001"),
        ("mitdb", "x_202", "mitdb/201"),
        ("icentia11k-continuous-ecg", "p00003_s07", "icentia11k-continuous-ecg/p00003"),
    ],
)
def test_person_of_knows_recordings_of_one_person(database: str, record: str, person: str) -> None:
    """The same heart in training and test makes a score meaningless."""
    assert person_of(database, record) == person


def test_persons_named_covers_every_database_where_none_is_given() -> None:
    """The manifest of a bundle names recordings alone; none of the persons meant may be missed."""
    assert {"mitdb/201", "slpdb/202", "mine/202"} <= persons_named("202", ["mine"])
    assert persons_named("mitdb/202") == {"mitdb/201", "mitdb/202"}
