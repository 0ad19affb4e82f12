"""Sleep stages and what stands for them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbert.predictions.sleep_labels import (
    NOTE_OF_STAGE,
    STAGE_SETS,
    UNSCORED,
    SleepStage,
    StageSetName,
    stage_of_note,
)


@pytest.mark.parametrize(
    ("note", "stage"),
    [
        ("W", SleepStage.W),
        ("W\0", SleepStage.W),
        ("1 OA", SleepStage.N1),
        ("2", SleepStage.N2),
        ("3 H", SleepStage.N3),
        ("4 LA LA", SleepStage.N3),
        ("R X", SleepStage.R),
        ("MT", UNSCORED),
        ("M", UNSCORED),
        ("", UNSCORED),
    ],
)
def test_stage_of_note_reads_what_slpdb_writes(note: str, stage: int) -> None:
    """A stage is followed by events, two records end notes in NUL, and movement time is no stage."""
    assert stage_of_note(note) == stage


def test_stages_3_and_4_are_one_class() -> None:
    """Rechtschaffen and Kales' stages 3 and 4 are the AASM's N3."""
    assert stage_of_note("3") == stage_of_note("4") == SleepStage.N3


@pytest.mark.parametrize("stage", list(SleepStage))
def test_notes_are_inverse(stage: SleepStage) -> None:
    """What is written must read as the same stage."""
    assert stage_of_note(NOTE_OF_STAGE[stage]) == stage


@given(st.lists(st.integers(-1, 4), max_size=30), st.sampled_from(sorted(STAGE_SETS)))
def test_labels_keep_unscored_epochs_and_stay_in_range(stages: list[int], name: StageSetName) -> None:
    """An unscored epoch that became a class would be trained on."""
    labels = STAGE_SETS[name].labels(np.array(stages, dtype=np.int64))

    assert ((labels == UNSCORED) == (np.array(stages) == UNSCORED)).all()
    assert (labels < len(STAGE_SETS[name].classes)).all()


@pytest.mark.parametrize("name", sorted(STAGE_SETS))
def test_join_adds_up_probabilities(name: StageSetName) -> None:
    """Classes that join stages get the sum of their probabilities."""
    probabilities = np.array([[0.1, 0.2, 0.3, 0.25, 0.15]], dtype=np.float32)

    joined = STAGE_SETS[name].join(probabilities)

    assert joined.shape == (1, len(STAGE_SETS[name].classes))
    np.testing.assert_allclose(joined.sum(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(joined[0, 0], 0.1, rtol=1e-6)
