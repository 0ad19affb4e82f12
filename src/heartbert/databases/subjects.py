"""Who a recording shows, beyond what `evaluation.splits` knows."""

import csv
from collections.abc import Mapping
from pathlib import Path

from heartbert.errors import DatabaseError
from heartbert.evaluation.splits import person_of

PTB_XL_TABLE = "ptbxl_database.csv"


def read_patients(table: Path) -> dict[str, str]:
    """Read who is shown in PTB-XL: person by recording, both as numbers in text, the recording with five digits.

    Raises
    ------
    DatabaseError
        If the table lacks the columns or holds something else than numbers in them.
    """
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        try:
            return {f"{int(row['ecg_id']):05d}": str(int(float(row["patient_id"]))) for row in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise DatabaseError(
                f"{table} has no number in 'ecg_id' or 'patient_id' in line {rows.line_num} ({error}); "
                "both are needed to tell people apart. Download it again"
            ) from error


def subject_of_recording(slug: str, recording: str, patients: Mapping[str, str] | None = None) -> str:
    """Name the person of a recording, the same for all recordings of that person in all databases.

    Parameters
    ----------
    slug : str
        Of the database.
    recording : str
        Name of the recording; for PTB-XL its number with five digits.
    patients : mapping of str to str, optional
        Of PTB-XL, as `read_patients` gives them.

    Examples
    --------
    >>> subject_of_recording("qtdb", "sele0122"), subject_of_recording("icentia11k-continuous-ecg", "p00003_s07")
    ('edb/e0118', 'icentia11k-continuous-ecg/p00003')
    """
    if slug == "ptb-xl" and recording in (patients or {}):
        return f"{slug}/patient-{(patients or {})[recording]}"
    return person_of(slug, recording)
