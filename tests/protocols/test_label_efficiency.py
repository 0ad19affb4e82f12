"""Curves by share of subjects and labels, and the sentence that follows from their numbers."""

import json
from pathlib import Path

import pytest

from heartbert.errors import ConfigError
from heartbert.protocols.comparison import Draw
from heartbert.protocols.comparison_plots import draw_label_efficiency, write_svg
from heartbert.protocols.label_efficiency import CurveSettings, claim_sentence, measure_label_efficiency
from tests.claiming import KnownTask

SETTINGS = CurveSettings(fractions=(0.01, 0.05, 0.5, 1.0), n_seeds=2)


def _share(draw: Draw) -> float:
    return draw.subject_share * draw.label_share


GOOD = KnownTask({"base": lambda draw: 0.7 * _share(draw) + 0.1, "ours": lambda draw: 0.85 + 0.1 * _share(draw)})
BAD = KnownTask({"base": lambda draw: 0.8, "ours": lambda draw: 0.5 * _share(draw)})
UNSTEADY = KnownTask(
    {"base": lambda draw: 0.6, "ours": lambda draw: {0.1: 0.9, 0.5: 0.3, 1.0: 0.9}.get(_share(draw), 0.0)}
)


def test_curves_have_a_point_for_each_share_of_both_axes(tmp_path: Path) -> None:
    """Both questions are asked: fewer people, or less work on each."""
    result = measure_label_efficiency(GOOD, SETTINGS, tmp_path)

    assert {axis: [point["share"] for point in points] for axis, points in result["axes"].items()} == {
        "subjects": [0.01, 0.05, 0.5, 1.0],
        "labels": [0.01, 0.05, 0.5, 1.0],
    }
    whole = result["axes"]["subjects"][-1]["scores"]
    assert whole["base"]["mean"] == pytest.approx(0.8)
    assert len(whole["ours"]["by_seed"]) == 2
    assert result["database"] == "known"
    json.dumps(result, allow_nan=False)


def test_shares_of_the_same_subjects_are_one_run(tmp_path: Path) -> None:
    """1 % and 5 % of ten subjects are one subject, and all labels of all are the end of both axes."""
    task = KnownTask(GOOD.accuracies)

    measure_label_efficiency(task, SETTINGS, tmp_path)

    # One subject, five, all; and 1 %, 5 %, 50 % of the labels; for two rows and two seeds.
    assert len(task.trained) == 6 * 2 * 2


def test_missing_classes_are_counted_by_draw(tmp_path: Path) -> None:
    """With one subject a class may have no label; the row is trained all the same, and the result says so."""
    points = measure_label_efficiency(GOOD, SETTINGS, tmp_path)["axes"]["subjects"]

    assert [point["drawn"]["draws_without_class"] for point in points] == [{"V": 2}, {"V": 2}, {}, {}]
    assert [point["drawn"]["n_subjects"] for point in points] == [1, 1, 5, 10]


def test_claim_is_the_smallest_share_that_reaches_the_best_baseline(tmp_path: Path) -> None:
    """The sentence is computed, so no one can write a better one."""
    claim = measure_label_efficiency(GOOD, SETTINGS, tmp_path)["claims"]["labels"]

    assert (claim["best_baseline"], claim["reached_with"], claim["shown_with"]) == ("base", 0.01, 0.01)
    assert claim["sentence"] == (
        "'ours' reaches the accuracy that 'base' has with all labels (0.800) with 1% of the labels of each training "
        "subject: +0.050 [+0.050, +0.050], confirmed by the interval."
    )


def test_claim_says_that_the_baseline_is_not_reached(tmp_path: Path) -> None:
    """A negative result is a result."""
    claim = measure_label_efficiency(BAD, SETTINGS, tmp_path)["claims"]["subjects"]

    assert (claim["reached_with"], claim["shown_with"]) == (None, None)
    assert "does not reach the accuracy that 'base' has with all labels (0.800) with any share" in claim["sentence"]
    assert claim["sentence"].endswith("-0.300 [-0.300, -0.300] with all.")


def test_claim_tells_of_a_curve_that_falls_again(tmp_path: Path) -> None:
    """A lucky point must not hide that more labels did worse."""
    claim = measure_label_efficiency(UNSTEADY, SETTINGS, tmp_path)["claims"]["subjects"]

    assert claim["reached_with"] == 0.01
    assert claim["sentence"].endswith("confirmed by the interval. With 50% it is below it again.")


@pytest.mark.parametrize(
    ("shown", "words"),
    [(None, "which the interval does not confirm."), (1.0, "confirmed by the interval from 100% on.")],
)
def test_sentence_says_what_the_interval_confirms(shown: float | None, words: str) -> None:
    """A mean above the line is not yet a finding."""
    differences = [{"share": share, "mean": 0.01, "low": -0.1, "high": 0.1, "by_seed": [0.01]} for share in (0.5, 1.0)]
    claim = {
        "best_baseline": "base",
        "baseline_score": {"mean": 0.8},
        "differences": differences,
        "reached_with": 0.5,
        "shown_with": shown,
    }

    sentence = claim_sentence("ours", "kappa", "subjects", claim)

    assert "with 50% of the training subjects: +0.010 [-0.100, +0.100]" in sentence
    assert sentence.endswith(words)


def test_a_claim_needs_a_baseline(tmp_path: Path) -> None:
    """Alone, every row is the best."""
    with pytest.raises(ConfigError, match="no row beside 'ours'"):
        measure_label_efficiency(KnownTask({"ours": lambda draw: 1.0}), SETTINGS, tmp_path)


@pytest.mark.parametrize("fractions", [(), (0.5,), (0.0, 1.0), (0.5, 0.1, 1.0), (0.5, 0.5, 1.0)])
def test_fractions_must_increase_to_all(fractions: tuple[float, ...]) -> None:
    """Claims are made against all labels."""
    with pytest.raises(ConfigError, match="must be above 0 and increase to 1"):
        CurveSettings(fractions)


def test_settings_need_a_seed_and_a_known_axis() -> None:
    """Nothing measured is no result."""
    with pytest.raises(ConfigError, match="0 seeds for the axes subjects"):
        CurveSettings(n_seeds=0, axes=("subjects",))
    with pytest.raises(ConfigError, match="5 seeds for the axes none"):
        CurveSettings(axes=())


def test_plot_is_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    """A plot under version control changes only with its numbers, and names every row."""
    result = measure_label_efficiency(GOOD, SETTINGS, tmp_path / "runs")

    for name in ("a.svg", "b.svg"):
        write_svg(draw_label_efficiency(result), tmp_path / name)

    assert (tmp_path / "a.svg").read_text() == (tmp_path / "b.svg").read_text()
    assert "<!-- ours -->" in (tmp_path / "a.svg").read_text()
