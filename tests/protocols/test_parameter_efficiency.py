"""Costs and scores of variants, and the Pareto fronts."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heartbert.errors import ConfigError
from heartbert.protocols.comparison_plots import draw_parameter_efficiency, write_svg
from heartbert.protocols.footprint import Footprint, FootprintTask
from heartbert.protocols.parameter_efficiency import COSTS, Variant, measure_parameter_efficiency, with_pareto
from tests.claiming import KnownTask

TASK = KnownTask({"small": lambda draw: 0.6, "large": lambda draw: 0.8, "bad": lambda draw: 0.5}, ours="large")


def _variant(row: str, n_units: int) -> Variant:
    signal = np.zeros(3600, dtype=np.float32)
    footprint = FootprintTask(Path("bundle"), "beats", n_units, 1, signal, 360.0)
    return Variant(row, f"{n_units} units", "frozen encoder", 10 * n_units, footprint, "tiny 1")


VARIANTS = [_variant("small", 8), _variant("large", 64), _variant("bad", 64)]


def _measure(task: FootprintTask) -> Footprint:
    return Footprint(float(task.n_units), 2.0 * task.n_units, 100.0 + task.n_units, 1000, task.n_units, 1)


def test_cost_and_score_stand_in_one_row(tmp_path: Path) -> None:
    """The claim is about both."""
    result = measure_parameter_efficiency(TASK, VARIANTS, tmp_path, n_seeds=2, measure=_measure)

    small, large, bad = result["rows"]
    assert (small["n_trainable"], small["n_total"], small["mflops"]) == (80, 1008, 8.0)
    assert large["score"]["mean"] == pytest.approx(0.8)
    assert (small["pareto"], large["pareto"], bad["pareto"]) == (list(COSTS), list(COSTS), [])
    assert result["footprint_of"] == "one lead of 10 s"


def test_footprints_of_one_encoder_and_head_are_measured_once(tmp_path: Path) -> None:
    """Time is measured on an idle machine once, not again with every continuation."""
    asked: list[int] = []

    def measure(task: FootprintTask) -> Footprint:
        asked.append(task.n_units)
        return _measure(task)

    for _ in range(2):
        measure_parameter_efficiency(TASK, VARIANTS, tmp_path, n_seeds=1, measure=measure)

    assert asked == [8, 64]


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_front_holds_the_best_and_nothing_that_is_beaten(points: list[tuple[int, int]]) -> None:
    """Whoever stands on the front cannot be had cheaper."""
    rows = with_pareto([{**dict.fromkeys(COSTS, cost), "score": {"mean": score}} for cost, score in points])

    front = {(row["mflops"], row["score"]["mean"]) for row in rows if row["pareto"]}
    assert max(score for _, score in points) in {score for _, score in front}
    assert len({cost for cost, _ in front}) == len(front)
    assert sorted(front) == sorted(front, key=lambda point: point[1])


def test_plot_names_every_variant(tmp_path: Path) -> None:
    """A point without a name helps nobody."""
    result = measure_parameter_efficiency(TASK, VARIANTS, tmp_path, n_seeds=1, measure=_measure)

    write_svg(draw_parameter_efficiency(result), tmp_path / "plot.svg")

    assert "<!-- 64 units -->" in (tmp_path / "plot.svg").read_text()


def test_nothing_to_measure_is_refused(tmp_path: Path) -> None:
    """A table of nothing is no result."""
    with pytest.raises(ConfigError, match="0 variants and 1 seeds"):
        measure_parameter_efficiency(TASK, [], tmp_path, n_seeds=1)
