"""Each row of the table learns from its own input, and from no label that it may not see."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from heartbert.errors import ConfigError
from heartbert.protocols.beat_records import SIGNAL_SAMPLES, BeatRecord
from heartbert.protocols.beat_rows import BOOSTING, FEW_LABELS, OURS, ROWS, Row, Sides, train_row
from heartbert.training.config import HeartbeatsConfig
from tests.protocols.conftest import beats_at


def recording(record: str, *, seed: int, n_beats: int = 120) -> BeatRecord:
    """Return a recording whose every input gives the class away: N, or V in a third of the beats."""
    rng = np.random.default_rng(seed)
    is_v = rng.random(n_beats) < 0.33
    one = beats_at(1.0 + np.arange(n_beats), "".join("V" if v else "N" for v in is_v), record=record)  # type: ignore[arg-type]
    shown = is_v[:, None].astype(np.float64)
    signal = shown * np.exp(-((SIGNAL_SAMPLES / 40) ** 2)) + rng.normal(0, 0.05, (n_beats, SIGNAL_SAMPLES.size))
    inputs = {
        name: (shown + rng.normal(0, 0.05, (n_beats, 6))).astype(np.float16)
        for name in ("encoder", "random encoder", "waveform")
    }
    none = np.zeros((n_beats, 3), dtype=np.float16)
    return replace(one, inputs={**inputs, "signal": signal.astype(np.float16), "nothing": none})


SIDES = Sides([recording("a", seed=0), recording("b", seed=1)], [recording("c", seed=2)])
TEST = recording("d", seed=3)


@pytest.mark.parametrize("name", ROWS)
def test_row_gives_every_beat_a_probability_of_each_class(name: str, heads: HeartbeatsConfig) -> None:
    """All rows are compared in the same way."""
    probabilities = train_row(ROWS[name], SIDES, heads, seed=1)(TEST)

    assert probabilities.shape == (120, 5)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(120), abs=1e-5)


@pytest.mark.parametrize("name", [OURS, FEW_LABELS, "RR + waveform, same head", BOOSTING, "CNN on the raw signal"])
def test_row_learns_what_its_input_shows(name: str, heads: HeartbeatsConfig) -> None:
    """Every row must be able to win."""
    config = replace(heads, n_training_epochs=40, learning_rate=1e-2)

    found = np.argmax(train_row(ROWS[name], SIDES, config, seed=1)(TEST), axis=1)

    assert (found == TEST.beats.labels).mean() > 0.9


@pytest.mark.parametrize("name", ["RR, gradient boosting", "RR, same head", "majority class"])
def test_row_without_the_shape_of_beats_cannot_know(name: str, heads: HeartbeatsConfig) -> None:
    """All intervals are alike here, so whoever tells the classes apart has seen a forbidden input."""
    found = np.argmax(train_row(ROWS[name], SIDES, heads, seed=1)(TEST), axis=1)

    assert (found == TEST.beats.labels).mean() < 0.75


def test_few_labels_are_a_tenth_of_each_recording(heads: HeartbeatsConfig) -> None:
    """A share of all beats would take everything from one long recording."""
    seen: list[list[int]] = []

    def spy(sides: Sides, config: HeartbeatsConfig, seed: int) -> Callable[[BeatRecord], np.ndarray]:
        seen.append([int((one.beats.labels >= 0).sum()) for one in (*sides.training, *sides.validation)])
        return lambda record: np.zeros((record.beats.r_peaks.size, 5), dtype=np.float32)

    train_row(Row("nothing", spy, label_share=0.1), SIDES, heads, seed=0)
    train_row(Row("nothing", spy, label_share=0.001), SIDES, heads, seed=0)

    assert seen == [[12, 12, 120], [1, 1, 120]]
    assert (SIDES.training[0].beats.labels >= 0).all()


def test_boosting_says_what_to_install(heads: HeartbeatsConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn is not needed for anything else."""
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)

    with pytest.raises(ConfigError, match=r"needs scikit-learn, which is not installed. Run: pip install scikit-learn"):
        train_row(ROWS[BOOSTING], SIDES, heads, seed=1)
