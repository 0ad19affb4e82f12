"""PTB-XL as a task of the benchmarks: draws of persons, probabilities of every recording, macro-AUROC."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heartbert.errors import ConfigError
from heartbert.protocols.comparison import Draw
from heartbert.protocols.comparison_diagnosis import DiagnosisComparison, open_diagnosis
from heartbert.protocols.diagnosis_data import targets_of
from heartbert.protocols.diagnosis_rows import OURS, PREVALENCE, ROWS, RowSettings
from heartbert.protocols.label_efficiency import CurveSettings, measure_label_efficiency
from tests.diagnosing import write_ptb_xl

QUICK = replace(RowSettings().with_epochs(1), n_boosting_rounds=2)


@pytest.fixture(scope="module")
def task(tiny_pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> DiagnosisComparison:
    """Return a generated PTB-XL of five folds; two of them train, 8 stops, 9 is scored."""
    folder = write_ptb_xl(tmp_path_factory.mktemp("data") / "ptb-xl", folds=(1, 2, 8, 9, 10))
    work = tmp_path_factory.mktemp("work")
    return open_diagnosis(folder, work, bundle=tiny_pretrained, settings=QUICK)


def test_drawn_persons_bring_all_their_recordings(task: DiagnosisComparison) -> None:
    """Labels are given to people, so a share of people decides what may be learnt from."""
    whole, half = task.drawn(Draw(seed=1)), task.drawn(Draw(subject_share=0.5, seed=1))

    # Six recordings in each of two folds, the first two of one patient.
    assert (len(whole.subjects), len(half.subjects)) == (10, 5)
    assert sum(half.n_labels.values()) < sum(whole.n_labels.values())
    assert set(half.subjects) < set(whole.subjects)


def test_drawn_refuses_a_share_of_the_labels_of_a_person(task: DiagnosisComparison) -> None:
    """Half of a diagnosis is no label."""
    with pytest.raises(ConfigError, match=r"50% of the labels of a person were asked for.*--axes subjects"):
        task.drawn(Draw(label_share=0.5))


@pytest.mark.parametrize("row", ROWS)
def test_every_row_learns_from_a_draw_and_scores_every_person(task: DiagnosisComparison, row: str) -> None:
    """An outcome holds the probabilities of all recordings, those of one person together."""
    outcome = task.run(row, Draw(subject_share=0.5, seed=1))

    assert outcome.shape == (5, 2, 5)
    assert np.count_nonzero(outcome.any(axis=2)) == 6
    assert ((outcome >= 0) & (outcome <= 1)).all()


def test_scores_are_one_for_the_truth_and_a_half_for_a_constant(task: DiagnosisComparison) -> None:
    """The area under the curve needs no threshold, so a constant is worth exactly a half."""
    truth = np.zeros((5, 2, 5))
    known = task.run(PREVALENCE, Draw()).any(axis=2)
    places = np.argwhere(known)
    by_person = sorted(
        zip([one.examples.person for one in task.split.scored], targets_of(task.split.scored), strict=True),
        key=lambda one: one[0],
    )
    for (person, place), (_, targets) in zip(places, by_person, strict=True):
        truth[person, place] = targets

    scores = task.scores(np.stack([truth, known[..., None] * 0.3 + np.zeros(5)]), np.ones((1, 5)))

    np.testing.assert_allclose(scores, [[1.0, 0.5]])


def test_curve_of_diagnosis_has_every_row(task: DiagnosisComparison, tmp_path: Path) -> None:
    """The claim about few labels is computed for diagnosis as for the other tasks."""
    result = measure_label_efficiency(task, CurveSettings((0.5, 1.0), 1, ("subjects",)), tmp_path)

    assert [set(point["scores"]) for point in result["axes"]["subjects"]] == [set(ROWS), set(ROWS)]
    assert f"'{OURS}'" in result["claims"]["subjects"]["sentence"]
