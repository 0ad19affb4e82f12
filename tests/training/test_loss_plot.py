"""The picture of a run is drawn where matplotlib is, and left out where it is not."""

import sys
from pathlib import Path

import pytest

from heartbert.training.baselines import Baselines
from heartbert.training.loss_plot import draw_losses

ROWS = [
    {"step": 1, "tokens": 100, "training_loss": 5.0, "validation_loss": 5.1},
    {"step": 2, "tokens": 200, "training_loss": 4.0, "validation_loss": float("nan"), "probe_average_precision": 0.4},
]


def test_losses_baselines_and_probe_are_drawn(tmp_path: Path) -> None:
    """A run without held-out leads has no validation loss, and most rows have no probe."""
    assert draw_losses(ROWS, Baselines(6.0, 5.0, 4.0, n_hidden=10, n_counted=100), tmp_path / "loss.png")

    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_drawn_before_the_first_row(tmp_path: Path) -> None:
    """A run that is stopped before its first check has no curve."""
    assert not draw_losses([], None, tmp_path / "loss.png")

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_drawn_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that only trains need not have it, and a checkpoint must not fail for a picture."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    assert not draw_losses(ROWS, None, tmp_path / "loss.png")

    assert list(tmp_path.iterdir()) == []
