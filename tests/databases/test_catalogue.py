"""The table of databases is complete and says what it does not know."""

import re

import pytest

from heartbert.databases.catalogue import DATABASES, find_database
from heartbert.errors import ConfigError


def test_databases_are_those_of_the_method() -> None:
    """Whoever wants to repeat HeartBERT or compare with it needs these."""
    slugs = {database.slug for database in DATABASES}

    assert slugs == {"mitdb", "ptb-xl", "edb", "slpdb", "icentia11k-continuous-ecg", "qtdb", "challenge-2017"}


@pytest.mark.parametrize("database", DATABASES, ids=lambda database: database.slug)
def test_database_states_licence_source_and_traps(database) -> None:
    """A database without licence may not be used, and one without traps has not been looked at."""
    assert database.licence
    assert re.fullmatch(r"10\.13026/\S+", database.doi)
    assert database.url == f"https://physionet.org/files/{database.slug}/{database.version}/"
    assert len(database.traps) >= 3


def test_names_of_databases_are_unique() -> None:
    """A folder must not be two databases by its name."""
    names = [name for database in DATABASES for name in (database.slug, *database.also_named)]

    assert len(names) == len(set(names))


def test_only_icentia11k_forbids_to_ship_weights() -> None:
    """A licence overlooked is a release that must be withdrawn."""
    forbidden = [database for database in DATABASES if not database.weights_may_ship]

    assert [database.slug for database in forbidden] == ["icentia11k-continuous-ecg"]
    assert "weights trained on it may not be shipped" in str(forbidden[0].licence_note)
    assert find_database("mitdb").licence_note is None


@pytest.mark.parametrize(
    ("slug", "hint"),
    [
        ("icentia11k", "did you mean 'icentia11k-continuous-ecg'"),
        ("cinc2017", "'challenge-2017'"),
        ("xyz", "Known are"),
    ],
)
def test_find_database_names_the_nearest(slug: str, hint: str) -> None:
    """Slugs are long, and people know databases by other names."""
    with pytest.raises(ConfigError, match=hint):
        find_database(slug)
