"""Icentia11k: beats of patients who are in training or in test and never in both."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError, RecordFormatError
from heartbert.evaluation.heartbeats import reference_beats
from heartbert.evaluation.leakage import Examples
from heartbert.progress import Progress, no_progress
from heartbert.protocols.beat_splits import Split
from heartbert.protocols.beat_table import TableSettings, make_table
from heartbert.records import read_annotations

DATABASE = "icentia11k-continuous-ecg"
# Shares of the patients in test and in validation; the others are trained on.
_TEST_SHARE = _VALIDATION_SHARE = 0.2
# Draws which patients and segments are taken and who is on which side: the same for everybody.
_SEED = 0
_PATTERN = "p[0-9][0-9][0-9][0-9][0-9]_s[0-9][0-9].hea"


def find_segments(
    folder: Path, *, n_patients: int | None = None, n_segments: int | None = None
) -> dict[str, tuple[Path, ...]]:
    """Find the segments with annotated beats in the published layout ``p00/p00000/p00000_s00.{hea,dat,atr}``.

    Parameters
    ----------
    folder : Path
        The database or a part of it.
    n_patients, n_segments : int, optional
        Patients taken, and segments of each, drawn at random; all by default. A segment has about 70 minutes.

    Returns
    -------
    segments : dict of str to tuple of Path
        Headers by patient.

    Raises
    ------
    RecordFormatError
        If there is no such segment.
    """
    by_patient: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob(_PATTERN)):
        by_patient[path.stem.partition("_")[0]].append(path)
    rng = np.random.default_rng(_SEED)
    found: dict[str, tuple[Path, ...]] = {}
    for patient in rng.permutation(sorted(by_patient)).tolist():
        if n_patients is not None and len(found) == n_patients:
            break
        paths = [by_patient[patient][number] for number in rng.permutation(len(by_patient[patient])).tolist()]
        if annotated := list(islice(filter(has_beats, paths), n_segments)):
            found[patient] = tuple(sorted(annotated))
    if not found:
        raise RecordFormatError(
            f"'{folder}' holds no annotated segment like p00/p00000/p00000_s00.hea; give the folder of Icentia11k. A "
            "part of it comes with: heartbert download icentia11k-continuous-ecg --only 'p00/p0000?/*'"
        )
    return dict(sorted(found.items()))


def has_beats(path: Path) -> bool:
    """Return whether a recording has an annotation file with a beat; segments of noise have none."""
    return path.with_suffix(".atr").is_file() and reference_beats(read_annotations(path, "atr"))[0].size > 0


def split_patients(segments: dict[str, tuple[Path, ...]]) -> Split:
    """Deal patients to the sides: a fifth to the test, a fifth to validation, the others to training.

    Raises
    ------
    ConfigError
        If there are fewer than three patients.
    """
    if len(segments) < 3:
        raise ConfigError(
            f"{len(segments)} patients with annotated beats; at least 3 are needed, one for each side. Fetch more."
        )
    patients = np.random.default_rng(_SEED).permutation(sorted(segments)).tolist()
    n_test = max(1, round(_TEST_SHARE * len(patients)))
    n_held = n_test + max(1, round(_VALIDATION_SHARE * len(patients)))
    test, validation, training = patients[:n_test], patients[n_test:n_held], patients[n_held:]
    return Split("", _examples(training, segments), _examples(validation, segments), _examples(test, segments))


def _examples(patients: Sequence[str], segments: dict[str, tuple[Path, ...]]) -> tuple[Examples, ...]:
    return tuple(Examples(DATABASE, path.stem) for patient in sorted(patients) for path in segments[patient])


def evaluate_icentia11k(
    bundle: Bundle,
    segments: dict[str, tuple[Path, ...]],
    output: Path,
    settings: TableSettings,
    *,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Make the table of a bundle's encoder on patients that it was not trained on; see `make_table`.

    Classes are N, S, V and Q; there is no F, so macro-F1 is that of N, S and V.

    Parameters
    ----------
    bundle : Bundle
    segments : dict of str to tuple of Path
        As `find_segments` gives them.
    output : Path
        Folder of the results.
    settings : TableSettings

    Raises
    ------
    ConfigError
        If there are fewer than three patients.
    LeakageError
        If the encoder has seen a test patient.
    """
    paths = {path.stem: path for found in segments.values() for path in found}
    splits = (split_patients(segments),)
    return make_table(bundle, splits, lambda one: paths[one.record], output, settings, progress=progress)
