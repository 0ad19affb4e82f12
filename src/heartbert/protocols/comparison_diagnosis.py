"""Diagnosis as a task of the benchmarks: PTB-XL, macro-AUROC of the superclasses, intervals over persons."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from heartbert.databases.labelling import SUPERCLASSES
from heartbert.errors import ConfigError
from heartbert.pipeline import HeartBert
from heartbert.progress import Progress, no_progress
from heartbert.protocols.comparison import Draw, DrawnLabels, Floats, Outcome, draw_subjects
from heartbert.protocols.diagnosis import guard_split
from heartbert.protocols.diagnosis_data import (
    DiagnosisRecord,
    Side,
    Split,
    amplitude_of,
    read_diagnosis_database,
    split_folds,
    targets_of,
)
from heartbert.protocols.diagnosis_inputs import Input, InputSettings, InputStore, default_layer
from heartbert.protocols.diagnosis_rows import OURS, ROWS, Part, RowSettings, Values
from heartbert.protocols.diagnosis_scoring import auroc


@dataclass(frozen=True)
class DiagnosisComparison:
    """See `heartbert.protocols.comparison.ComparisonTask`; made by `open_diagnosis`.

    A recording has its superclasses or has not, so a share of the labels of a person means nothing here: draws of
    subjects are all there is.

    Attributes
    ----------
    split : Split
    inputs : mapping of Input to ndarray
        What rows read of the recordings of `split.records`, in their order.
    inputs_told : mapping of Input to str
        What each of them depends on.
    settings : RowSettings
    facts, identity : mapping
    """

    split: Split
    inputs: Mapping[Input, Values]
    inputs_told: Mapping[Input, str]
    settings: RowSettings
    facts: Mapping[str, Any]
    identity: Mapping[str, Any]
    ours: str = OURS
    score_name: str = "macro-AUROC"
    unit: str = "person"

    @property
    def rows(self) -> Sequence[str]:
        """All rows."""
        return tuple(ROWS)

    def told(self, row: str) -> Mapping[str, Any]:
        """Return the settings of a row, whose seed is in the draw, and what it reads."""
        return {"settings": asdict(self.settings), "input": self.inputs_told[ROWS[row].reads]}

    def drawn(self, draw: Draw) -> DrawnLabels:
        """Count the recordings of a draw that have each superclass."""
        present = targets_of([self.split.training[index] for index in self._training(draw)]).sum(axis=0)
        counts = dict(zip(SUPERCLASSES, present.astype(int).tolist(), strict=True))
        return DrawnLabels(self._subjects(draw), counts)

    def run(self, row: str, draw: Draw) -> Outcome:
        """Train a row and give the probabilities of every person's recordings, (n_persons, n_recordings, 5)."""
        values, chosen = self.inputs[ROWS[row].reads], self._training(draw)
        n_training, n_before = len(self.split.training), len(self.split.training) + len(self.split.stopping)
        training: Part = (values[:n_training][chosen], targets_of(self.split.training)[chosen])
        stopping: Part = (values[n_training:n_before], targets_of(self.split.stopping))
        found = ROWS[row].train(training, stopping, self.settings, draw.seed)(values[n_before:])
        person, place = _places(self.split.scored)
        outcome = np.zeros((person.max() + 1, place.max() + 1, len(SUPERCLASSES)))
        outcome[person, place] = found
        return outcome

    def scores(self, outcomes: Floats, weights: Floats) -> Floats:
        """Return the mean area under the curve of the superclasses that some scored recordings have and some have not.

        A class that a draw of persons has nobody with, or nobody without, does not count in that draw.
        """
        person, place = _places(self.split.scored)
        targets = targets_of(self.split.scored)
        counts = weights[:, person]  # (n_draws, n_records)
        probabilities = outcomes[:, person, place]  # (n_seeds, n_records, 5)
        kept = [label for label in range(len(SUPERCLASSES)) if 0 < targets[:, label].sum() < len(targets)]
        areas = [[auroc(targets[:, label], one[:, label], counts) for label in kept] for one in probabilities]
        return np.asarray(np.nanmean(np.array(areas), axis=1).T)

    def _subjects(self, draw: Draw) -> tuple[str, ...]:
        if draw.label_share < 1:
            raise ConfigError(
                f"{draw.label_share:.0%} of the labels of a person were asked for; a recording of PTB-XL has all of "
                "its labels or none. Draw a share of the subjects: --axes subjects."
            )
        persons = sorted({one.examples.person for one in self.split.training})
        return draw_subjects(persons, draw.subject_share, draw.seed)

    def _training(self, draw: Draw) -> npt.NDArray[np.intp]:
        """Return the places of the drawn recordings on the training side."""
        persons = set(self._subjects(draw))
        return np.flatnonzero([one.examples.person in persons for one in self.split.training])


def _places(records: Sequence[DiagnosisRecord]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the number of each recording's person, and which of that person's recordings it is."""
    _, person = np.unique([one.examples.person for one in records], return_inverse=True)
    place = [np.count_nonzero(person[:number] == one) for number, one in enumerate(person)]
    return person, np.array(place)


def open_diagnosis(
    folder: Path,
    work: Path,
    *,
    bundle: Path | None = None,
    side: Side = "validation",
    settings: RowSettings | None = None,
    progress: Progress = no_progress,
) -> DiagnosisComparison:
    """Open PTB-XL for the benchmarks, with the rows of the diagnosis table.

    Parameters
    ----------
    folder : Path
        PTB-XL, whole or in part.
    work : Path
        Folder of inputs that are done.
    bundle : Path, optional
        Its frozen encoder is ours; by default the one that ships.
    side : {"validation", "test"}
        Fold 9 or fold 10 is scored.
    settings : RowSettings, optional
    progress : callable

    Raises
    ------
    LeakageError
        If a person is on two sides, or the bundle does not say what it was trained on.
    ConfigError, DatabaseError, BundleError
    """
    loaded = HeartBert.load(bundle).bundle
    split = split_folds(read_diagnosis_database(folder, progress=progress), side)
    leaks = guard_split(split, loaded.manifest)
    amplitude = amplitude_of(split.records, progress=progress)
    store = InputStore(work, InputSettings(bundle, default_layer(loaded)), amplitude)
    reads = tuple(dict.fromkeys(row.reads for row in ROWS.values()))
    inputs = {name: store.read(name, split.records, progress=progress) for name in reads}
    sides = {name: [one.path.stem for one in getattr(split, name)] for name in ("training", "stopping", "scored")}
    facts = {
        "database": "ptb-xl",
        "side": side,
        "amplitude": amplitude,
        "training": sides["training"],
        "chosen_on": sides["stopping"],
        "scored": sides["scored"],
        "leaks": leaks,
        "bundles": [loaded.name],
        "how_chosen": "training epochs and boosting rounds, by all labels of the recordings in chosen_on, for every "
        "row alike",
        "label_stretch": "a recording has all of its labels or none",
    }
    targets = {name: targets_of(getattr(split, name)).tolist() for name in sides}
    identity = {"database": "ptb-xl", "side": side, "amplitude": amplitude, **sides, "targets": targets}
    return DiagnosisComparison(
        split, inputs, {name: store.key(name) for name in reads}, settings or RowSettings(), facts, identity
    )
