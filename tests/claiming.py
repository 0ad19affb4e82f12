"""For the benchmarks: a task whose scores are known, and nights that are quickly made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import wfdb

from heartbert.protocols.comparison import Draw, DrawnLabels, Floats, Outcome, draw_subjects, summed_scores
from tests.sleeping import cycle_of_stages, notes_of
from tests.synthetic import synthetic_ecg

SUBJECTS = tuple(f"s{number}" for number in range(10))
Accuracy = Callable[[Draw], float]


@dataclass(frozen=True)
class KnownTask:
    """Every row classifies the share of 100 examples of each person rightly that `accuracies` says."""

    accuracies: Mapping[str, Accuracy]
    database: str = "known"
    ours: str = "ours"
    score_name: str = "accuracy"
    unit: str = "person"
    trained: list[tuple[str, Draw]] = field(default_factory=list)

    @property
    def rows(self) -> Sequence[str]:
        """Return both rows."""
        return tuple(self.accuracies)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return what a result needs to be shown."""
        return {
            "database": self.database,
            "side": "validation",
            "scored": ["a", "b", "c", "d"],
            "leaks": ["the encoder has seen one"],
            "how_chosen": "nothing",
            "label_stretch": "one stretch of each",
        }

    @property
    def identity(self) -> Mapping[str, Any]:
        """Return the name of the data."""
        return {"database": self.database}

    def told(self, row: str) -> Mapping[str, Any]:
        """Return the one setting."""
        return {"setting": 1}

    def drawn(self, draw: Draw) -> DrawnLabels:
        """Draw subjects; one alone has no V."""
        subjects = draw_subjects(SUBJECTS, draw.subject_share, draw.seed)
        return DrawnLabels(subjects, {"N": 10 * len(subjects), "V": 0 if len(subjects) == 1 else 3})

    def run(self, row: str, draw: Draw) -> Outcome:
        """Count right examples of four persons, and remember that it was asked."""
        self.trained.append((row, draw))
        right = round(100 * self.accuracies[row](draw))
        return np.array([[right, 100]] * 4, dtype=np.float64)

    def scores(self, outcomes: Floats, weights: Floats) -> Floats:
        """Return the share classified rightly."""
        return summed_scores(outcomes, weights, lambda totals: totals[..., 0] / totals[..., 1])


def write_nights(folder: Path, names: Sequence[str]) -> Path:
    """Write records of ten minutes at 250 Hz as slpdb publishes them; 30 s of one heart, again and again."""
    signal, samples, _ = synthetic_ecg(30.0, 250.0)
    tiled = np.tile(signal, 20)[:, None].astype(float)
    beats = np.concatenate([samples + number * signal.size for number in range(20)])
    for seed, name in enumerate(names):
        wfdb.wrsamp(
            name, fs=250, units=["mV"], sig_name=["ECG"], p_signal=tiled, fmt=["212"], adc_gain=[500.0],
            baseline=[0], write_dir=str(folder), comments=["44 M 89 32-01-89"],
        )  # fmt: skip
        wfdb.wrann(name, "ecg", beats, ["N"] * beats.size, fs=250, write_dir=str(folder))
        starts = np.maximum(np.arange(20) * 7500, 1)
        notes = notes_of(cycle_of_stages(20, seed=seed))
        wfdb.wrann(name, "st", starts, ['"'] * 20, aux_note=notes, fs=250, write_dir=str(folder))
    return folder
