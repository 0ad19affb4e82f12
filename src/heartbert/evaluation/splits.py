"""Who is in training and who in test: published splits, and which recordings show one person."""

import re
from collections.abc import Collection

# MIT-BIH Arrhythmia, split of de Chazal et al., IEEE Trans. Biomed. Eng. 51(7):1196-1206, 2004.
# fmt: off
MITDB_DS1 = (
    "101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122",
    "124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230",
)
MITDB_DS2 = (
    "100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210",
    "212", "213", "214", "219", "221", "222", "228", "231", "232", "233", "234",
)
# fmt: on
# Paced beats; EC57 leaves these records out.
MITDB_PACED = ("102", "104", "107", "217")
# DS1 records that every choice is made on: between them all four classes, five people.
MITDB_DS1_VALIDATION = ("114", "118", "205", "220", "223")

# The European ST-T Database states 79 people for 90 recordings and not who is who. These recordings agree in age, sex,
# clinical findings, medication and recorder in their headers; e0206 and e0210 in all but two years of age. Two public
# reconstructions differ in one pair; all pairs of both are here, as a person split in two would be a leak.
_EDB_GROUPS = (
    ("e0118", "e0119", "e0121", "e0122"),
    ("e0123", "e0124", "e0125", "e0126"),
    ("e0129", "e0133"),
    ("e0136", "e0139"),
    ("e0147", "e0148"),
    ("e0154", "e0155"),
    ("e0162", "e0163"),
    ("e0206", "e0210"),
)
# Recordings that show a person under another name.
_SAME_PERSON = {
    "edb": {record: group[0] for group in _EDB_GROUPS for record in group},
    "mitdb": {"202": "201"},
    "slpdb": {"slp01b": "slp01a", "slp02b": "slp02a"},
    "qtdb": {
        f"sel{number}": f"mitdb/{number}"
        for number in (100, 102, 103, 104, 114, 116, 117, 123, 213, 221, 223, 230, 231, 232, 233)
    },
}


# Copies of one recording of PTB-XL: at 500 Hz, at 100 Hz, and filtered.
_PTB_XL_COPY = re.compile(r"(\d{5})_(?:hr|lr|filtered)")


def recording_of(database: str, record: str) -> str:
    """Name the recording that a record holds: copies and excerpts in one database have the same name.

    Examples
    --------
    >>> recording_of("mitdb", "x_100"), recording_of("ptb-xl", "00001_lr"), recording_of("slpdb", "slp01a")
    ('100', '00001', 'slp01a')
    """
    if database == "mitdb":
        return record.removeprefix("x_")
    copy = _PTB_XL_COPY.fullmatch(record) if database == "ptb-xl" else None
    return copy[1] if copy else record


def person_of(database: str, record: str) -> str:
    """Name the person of a recording, the same for all recordings of that person.

    Parameters
    ----------
    database : str
        Published slug, for example ``"mitdb"``.
    record : str
        Record name, for example ``"202"``.

    Returns
    -------
    person : str
        ``"database/record"`` of the person's first recording. Who is shown in PTB-XL is in a table of that database,
        which is not read here.

    Examples
    --------
    >>> person_of("mitdb", "202"), person_of("qtdb", "sel100"), person_of("qtdb", "sele0122")
    ('mitdb/201', 'mitdb/100', 'edb/e0118')
    """
    if database == "qtdb" and record.startswith("sele0"):
        return person_of("edb", record.removeprefix("sel"))
    if database == "icentia11k-continuous-ecg":
        return f"{database}/{record.partition('_')[0]}"
    recording = recording_of(database, record)
    first = _SAME_PERSON.get(database, {}).get(recording, recording)
    return first if "/" in first else f"{database}/{first}"


def persons_named(name: str, databases: Collection[str] = ()) -> frozenset[str]:
    """Return every person that a name can mean: a person, a recording with its database, or one without.

    Parameters
    ----------
    name : str
        ``"mitdb/202"``, or ``"202"``, which may be a recording of any database.
    databases : collection of str
        Where a name without database may come from, beside the databases known to show one person twice.

    Examples
    --------
    >>> sorted(persons_named("sel100", ["mitdb"]) & {"mitdb/100", "mitdb/sel100"})
    ['mitdb/100', 'mitdb/sel100']
    """
    database, _, record = name.rpartition("/")
    if database:
        return frozenset({name, person_of(database, record)})
    return frozenset(person_of(one, record) for one in {*_SAME_PERSON, *databases})
