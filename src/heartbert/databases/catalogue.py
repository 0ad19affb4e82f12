"""The open databases by their published slug: facts, licence, and what to beware of.

Facts are those of the databases' own pages on PhysioNet and of their papers; a number that could not be checked is
None. Durations and sizes follow from the numbers of samples and their format.
"""

import difflib
from dataclasses import dataclass

from heartbert.errors import ConfigError

FILES_URL = "https://physionet.org/files"
_ODC_BY = "ODC-By 1.0"


@dataclass(frozen=True)
class Database:
    """One published database.

    Attributes
    ----------
    slug, version : str
        As in its address on PhysioNet.
    title : str
    n_records, n_subjects : int or None
        Recordings, and the people that they show; None where nobody knows.
    n_leads : int
        ECG leads of a recording.
    fs : float
        Sampling frequency of the ECG in Hz.
    hours : float or None
        All recordings together.
    licence : str
    size_bytes : int or None
        Of all signal files; annotations and documents come on top.
    doi, citation : str
        Of the database on PhysioNet, and of its paper.
    labels : str
        What is annotated, and in which files.
    traps : tuple of str
        What to beware of.
    also_named : tuple of str
        Folder names under which it is found, without version.
    first_line : str
        Regular expression for the first line of its headers.
    weights_may_ship : bool
        False where the licence forbids to publish weights trained on it under ours.
    """

    slug: str
    version: str
    title: str
    n_records: int
    n_subjects: int | None
    n_leads: int
    fs: float
    hours: float | None
    licence: str
    size_bytes: int | None
    doi: str
    citation: str
    labels: str
    traps: tuple[str, ...]
    also_named: tuple[str, ...]
    first_line: str
    weights_may_ship: bool = True

    @property
    def url(self) -> str:
        """Address of the folder with its files."""
        return f"{FILES_URL}/{self.slug}/{self.version}/"

    @property
    def licence_note(self) -> str | None:
        """What the licence forbids; None where it asks for no more than to name the source."""
        if self.weights_may_ship:
            return None
        return (
            f"{self.licence} forbids commercial use and asks for the same licence on what is made of it: "
            "weights trained on it may not be shipped with heartbert. Use it to evaluate, or keep the weights apart."
        )


DATABASES = (
    Database(
        slug="mitdb",
        version="1.0.0",
        title="MIT-BIH Arrhythmia Database",
        n_records=48,
        n_subjects=47,
        n_leads=2,
        fs=360.0,
        hours=24.1,
        licence=_ODC_BY,
        size_bytes=48 * 650_000 * 2 * 3 // 2,
        doi="10.13026/C2F305",
        citation="G. B. Moody, R. G. Mark, IEEE Eng. Med. Biol. 20(3):45-50, 2001",
        labels="beats and rhythms (.atr), here as AAMI classes N, S, V, F, Q; fold: DS1, DS2 or paced",
        traps=(
            "201 and 202 are one man, and the usual split puts 201 into DS1 and 202 into DS2.",
            "102, 104, 107 and 217 are paced; EC57 leaves them out.",
            "Leads differ: 102 and 104 have no MLII, and 114 stores its leads in the other order.",
            "x_mitdb holds the first ten minutes of 23 of the recordings once more; they are left out here.",
            "HeartBERT was pre-trained on all 48, test recordings included; say so, or leave them out.",
            "15 recordings of qtdb are excerpts of these.",
        ),
        also_named=("mit-bih-arrhythmia-database", "mitbih"),
        # Three digits are a common name for a recording; the length of 30 minutes is not.
        first_line=r"(?:[12]\d\d 2 360 650000|x_[12]\d\d 2 360 \d+)\b.*",
    ),
    Database(
        slug="ptb-xl",
        version="1.0.3",
        title="PTB-XL, a large publicly available electrocardiography dataset",
        n_records=21_799,
        n_subjects=18_869,
        n_leads=12,
        fs=500.0,
        hours=60.6,
        licence="CC BY 4.0",
        size_bytes=21_799 * 12 * 2 * (5_000 + 1_000),
        doi="10.13026/kfzx-aw45",
        citation="P. Wagner et al., Sci. Data 7:154, 2020",
        labels=(
            "five diagnostic superclasses NORM, MI, STTC, CD, HYP, none to several a recording "
            "(ptbxl_database.csv, scp_statements.csv); fold: strat_fold, 1 to 10"
        ),
        traps=(
            "One person can have several recordings; patient_id tells, and strat_fold keeps a person in one fold.",
            "records100 holds the recordings of records500 once more at 100 Hz; here each counts once.",
            "Labels of folds 9 and 10 were all seen by a person: 9 is meant for validation, 10 for the test.",
            "Recordings were withdrawn between versions: 21,837 in 1.0.1, 21,799 in 1.0.3.",
            "HeartBERT was pre-trained on all of it.",
            "A recording that ptbxl_database.csv does not list is taken for a person of its own.",
        ),
        also_named=("ptbxl", "ptb-xl-a-large-publicly-available-electrocardiography-dataset"),
        first_line=r"\d{5}_(?:hr|lr|filtered) 12 \d+ \d+\b.*",
    ),
    Database(
        slug="edb",
        version="1.0.0",
        title="European ST-T Database",
        n_records=90,
        n_subjects=79,
        n_leads=2,
        fs=250.0,
        hours=180.0,
        licence=_ODC_BY,
        size_bytes=90 * 1_800_000 * 2 * 3 // 2,
        doi="10.13026/C2D59Z",
        citation="A. Taddei et al., Eur. Heart J. 13:1164-1172, 1992",
        labels="beats, rhythms, ST and T episodes (.atr), here the beats as AAMI classes",
        traps=(
            "No file says which of the 90 recordings show the same person. The groups used here follow from age, sex, "
            "findings, medication and recorder in the headers; in doubt one person: 78, where 79 are stated.",
            "Leads come in fifteen orders and none is in all recordings; choose them by name.",
            "The offset is not corrected: many signals lie several mV from zero.",
            "99 of 100 beats are normal.",
            "HeartBERT was pre-trained on all of it; 33 recordings of qtdb are excerpts of these.",
        ),
        also_named=("european-st-t-database",),
        first_line=r"e0\d{3} 2 250 \d+\b.*",
    ),
    Database(
        slug="slpdb",
        version="1.0.0",
        title="MIT-BIH Polysomnographic Database",
        n_records=18,
        n_subjects=16,
        n_leads=1,
        fs=250.0,
        hours=85.6,
        licence=_ODC_BY,
        size_bytes=662_040_000,
        doi="10.13026/C23K5S",
        citation="Y. Ichimaru, G. B. Moody, Psychiatry Clin. Neurosci. 53:175-177, 1999",
        labels="R&K sleep stages W, 1, 2, 3, 4, R of 30-s epochs, with events of breathing (.st); beats (.ecg)",
        traps=(
            "slp01a and slp01b are one man's night in two parts, and so are slp02a and slp02b.",
            "16 men with suspected sleep apnoea, some under treatment (CPAP): no healthy sleepers, no women.",
            "A note is a stage followed by events ('4 LA LA'); MT and M are not stages.",
            "Notes of slp41 and slp45 end in a NUL character.",
            "Only one channel is an ECG; blood pressure, EEG and respiration lie beside it.",
            "HeartBERT split the 3-s slices of an epoch at random, so its scores say nothing about a new person.",
        ),
        also_named=("mit-bih-polysomnographic-database",),
        first_line=r"slp\d\d[abx]? \d 250\b.*",
    ),
    Database(
        slug="icentia11k-continuous-ecg",
        version="1.0",
        title="Icentia11k Single Lead Continuous Raw Electrocardiogram Dataset",
        n_records=541_794,
        n_subjects=11_000,
        n_leads=1,
        fs=250.0,
        hours=None,
        licence="CC BY-NC-SA 4.0",
        size_bytes=None,
        doi="10.13026/kk0v-r952",
        citation="S. Tan et al., Computing in Cardiology, 2021",
        labels="beats N, S, V, Q and rhythms (.atr), here the beats as AAMI classes",
        traps=(
            "CC BY-NC-SA: no weight trained on it may be shipped.",
            "Up to 50 segments of about 70 minutes show one person (folder p00000): split by folder.",
            "Segments of one person need not follow each other in time.",
            "20 technologists marked the beats; there is no class F.",
            "About 1.1 TB if every segment has its 70 minutes; take a part of it with --only 'p00/p00000/*'.",
        ),
        also_named=("icentia11k", "icentia11k-single-lead-continuous-raw-electrocardiogram-dataset"),
        first_line=r"p\d{5}_s\d\d 1 250\b.*",
        weights_may_ship=False,
    ),
    Database(
        slug="qtdb",
        version="1.0.0",
        title="QT Database",
        n_records=105,
        n_subjects=None,
        n_leads=2,
        fs=250.0,
        hours=26.2,
        licence=_ODC_BY,
        size_bytes=70_874_430,
        doi="10.13026/C24K53",
        citation="P. Laguna et al., Computers in Cardiology 24:673-676, 1997",
        labels="waveform boundaries of 30 to 50 beats a recording (.q1c and others); the beats of 82 recordings (.atr)",
        traps=(
            "Every recording is a 15-minute excerpt of another database: 15 of mitdb (sel100 to sel233), 33 of edb "
            "(sele...), 13 of svdb, 10 of nsrdb, others of sudden-death, ST change and long-term recordings.",
            "Excerpts of mitdb and edb are the same person there: leave them out of training where those are the test.",
            "The gain of many recordings is unknown or an estimate; intervals are right, amplitudes may not be.",
            "The marked beats lie in the last five minutes.",
        ),
        also_named=("qt-database",),
        first_line=r"sel(?:\d{2,5}|e0\d{3}) 2 250\b.*",
    ),
    Database(
        slug="challenge-2017",
        version="1.0.0",
        title="AF Classification from a Short Single Lead ECG Recording: PhysioNet/CinC Challenge 2017",
        n_records=8_528,
        n_subjects=None,
        n_leads=1,
        fs=300.0,
        hours=77.0,
        licence=_ODC_BY,
        size_bytes=166_283_042,
        doi="10.13026/d3hm-sf11",
        citation="G. D. Clifford et al., Computing in Cardiology 44, 2017",
        labels="rhythm of a recording: N normal, A atrial fibrillation, O other, ~ too noisy (REFERENCE-v3.csv)",
        traps=(
            "Nobody knows who was recorded how often: a person may be on both sides of any split.",
            "The folder validation holds 300 of the training recordings once more; they are left out here.",
            "Labels were revised twice: REFERENCE-v3.csv is the last; 412 labels differ from the first.",
            "Recordings last 9 to 61 s, and noisy ones are shorter: length gives the class away.",
            "The device was held either way round: polarity is unknown.",
        ),
        also_named=(
            "cinc2017",
            "challenge2017",
            "training2017",
            "af-classification-from-a-short-single-lead-ecg-recording-"
            "the-physionet-computing-in-cardiology-challenge-2017",
            "af-classification-from-a-short-single-lead-ecg-recording-"
            "the-physionetcomputing-in-cardiology-challenge-2017",
        ),
        first_line=r"A\d{5} 1 300\b.*",
    ),
)


def find_database(slug: str) -> Database:
    """Return a database by its published slug.

    Raises
    ------
    ConfigError
        If there is none of that slug; the message gives the nearest, and all.

    Examples
    --------
    >>> find_database("mitdb").url
    'https://physionet.org/files/mitdb/1.0.0/'
    """
    by_slug = {database.slug: database for database in DATABASES}
    if slug in by_slug:
        return by_slug[slug]
    names = {name: database.slug for database in DATABASES for name in (database.slug, *database.also_named)}
    near = difflib.get_close_matches(slug.casefold(), names, n=1)
    hint = f"; did you mean '{names[near[0]]}'?" if near else ";"
    raise ConfigError(f"there is no database '{slug}'{hint} Known are {', '.join(by_slug)}.")
