"""What `heartbert pretrain` says of a run that is not finished, and on a machine that cannot draw."""

import sys
from pathlib import Path

import pytest

from heartbert.cli.train import pretrain
from heartbert.training.pretraining import LOG_FILE, PLOT_FILE

UNDRAWN = f"{PLOT_FILE} is not drawn: matplotlib is not installed"


@pytest.mark.parametrize("can_draw", [False, True])
def test_pretrain_says_that_it_cannot_draw_and_trains(
    can_draw: bool, tiny_corpus: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    """A missing picture must not be looked for, and must not cost the run."""
    if not can_draw:
        monkeypatch.setitem(sys.modules, "matplotlib", None)

    pretrain(tiny_corpus, tmp_path / "bundle", tmp_path / "run", config="tiny", max_minutes=0.0, rows_at_once=None)

    printed = capsys.readouterr()
    assert printed.out == "stopped at step 1; run the same command again to continue\n"
    assert (UNDRAWN in printed.err) is not can_draw
    assert (tmp_path / "run" / PLOT_FILE).exists() is can_draw
    assert (tmp_path / "run" / LOG_FILE).exists()
