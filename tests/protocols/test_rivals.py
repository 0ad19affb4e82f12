"""Encoders in one table: the same split, the same head; and the page that shows it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError, LeakageError
from heartbert.protocols import ds1_ds2
from heartbert.protocols.comparison import Draw
from heartbert.protocols.comparison_heartbeats import RANDOM, HeartbeatSource
from heartbert.protocols.comparison_sleep import BEATS, SleepSource
from heartbert.protocols.comparison_sleep import RANDOM as SLEEP_RANDOM
from heartbert.protocols.rivals import HEARTBEAT_BASELINES, Rivals, compare_rivals, heartbeat_rivals, sleep_rivals
from heartbert.protocols.rivals_page import write_rivals_page
from heartbert.protocols.sleep_rows import BOOSTING
from heartbert.training.config import HeartbeatsConfig
from heartbert.training.sleep_config import SleepConfig
from tests.claiming import KnownTask, write_nights
from tests.protocols.test_rival_encoders import TENTHS

KNOWN = KnownTask({"ours": lambda draw: 0.7, "<other>": lambda draw: 0.8, "third": lambda draw: 0.1})


@pytest.fixture
def source(write_records: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HeartbeatSource:
    monkeypatch.setattr(ds1_ds2, "MITDB_DS1", ("101", "106", "114"))
    monkeypatch.setattr(ds1_ds2, "MITDB_DS1_VALIDATION", ("114",))
    return HeartbeatSource(write_records(("101", "106", "114")), cache=tmp_path / "cache")


def test_bundles_other_encoders_and_baselines_stand_in_one_table(
    bundle: Bundle, source: HeartbeatSource, heads: HeartbeatsConfig
) -> None:
    """Every encoder has the head of the first, on its own vectors; those are kept."""
    rivals = Rivals({"lloyd-max": bundle, "again": bundle}, {"tenths": TENTHS})

    for _ in range(2):
        task = heartbeat_rivals(rivals, source, heads=heads)

    assert task.ours == "lloyd-max"
    assert set(task.rows) == {*HEARTBEAT_BASELINES, "lloyd-max", "again", "tenths"}
    assert RANDOM in task.rows
    widths = {row: task.beat_rows[row].records["mitdb/101"].inputs["encoder"].shape[1] for row in ("again", "tenths")}
    assert widths == {"again": 3 * bundle.model.config.hidden_size, "tenths": 3 * 2}
    for row in ("lloyd-max", "tenths"):
        assert task.run(row, Draw(seed=1)).shape == (1, 6, 6)


def test_a_bundle_that_saw_a_scored_person_is_refused(bundle: Bundle, source: HeartbeatSource) -> None:
    """Each bundle is guarded, not the first alone."""
    from dataclasses import replace

    seen = replace(bundle, manifest={**bundle.manifest, "corpus": {"records": ["mitdb/114"]}})

    with pytest.raises(LeakageError, match="has seen the unlabelled signal"):
        heartbeat_rivals(Rivals({"first": bundle, "second": seen}), source)


def test_names_are_used_once(bundle: Bundle) -> None:
    """Two encoders of one name would share their kept runs."""
    with pytest.raises(ConfigError, match="names used twice: a"):
        Rivals({"a": bundle}, {"a": TENTHS})
    with pytest.raises(ConfigError, match="0 bundles"):
        Rivals({})


def test_nights_are_staged_with_every_encoder(bundle: Bundle, tmp_path: Path) -> None:
    """Sleep is compared as heartbeats are."""
    folder = tmp_path / "slpdb"
    folder.mkdir()
    config = SleepConfig(layer=1, n_units=2, n_embedding_units=2, n_training_epochs=1, n_networks=1)
    source = SleepSource(write_nights(folder, ("slp03", "slp04")), n_folds=2)

    task = sleep_rivals(Rivals({"ours": bundle}, {"tenths": TENTHS}), source, config=config)

    assert set(task.rows) == {BOOSTING, BEATS, "ours", SLEEP_RANDOM, "tenths"}
    assert task.run("tenths", Draw(seed=1)).shape == (2, 3, 3)
    assert task.drawn(Draw(seed=1)).subjects == ("slpdb/slp03",) or task.drawn(Draw(seed=1)).subjects == (
        "slpdb/slp04",
    )


@pytest.mark.parametrize(
    ("ours", "words"),
    [(0.7, "is worse than"), (0.9, "is better than"), (0.8, "is not shown to differ from")],
)
def test_sentence_follows_from_the_difference_to_the_best(ours: float, words: str, tmp_path: Path) -> None:
    """Computed, so that no one can write a better one."""
    task = KnownTask({**KNOWN.accuracies, "ours": lambda draw: ours})

    result = compare_rivals(task, tmp_path, n_seeds=2)

    assert f"'ours' {words} the best of the others, '<other>'" in result["sentence"]
    assert [row["score"]["mean"] for row in result["rows"]] == pytest.approx(sorted([ours, 0.8, 0.1], reverse=True))


def test_alone_nothing_follows(tmp_path: Path) -> None:
    """There is nobody to be better than."""
    result = compare_rivals(KnownTask({"ours": lambda draw: 1.0}), tmp_path, n_seeds=1)

    assert result["sentence"] == "'ours' stands alone; nothing follows."
    with pytest.raises(ConfigError, match="0 seeds"):
        compare_rivals(KNOWN, tmp_path, n_seeds=0)


def test_page_is_complete_and_says_what_is_not_known(tmp_path: Path) -> None:
    """It can be sent to someone; a name cannot break it, and unknown training data is marked."""
    result = compare_rivals(KNOWN, tmp_path / "runs", n_seeds=2, unknown=("<other>",))

    write_rivals_page(result, tmp_path / "page.html")

    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<td>&lt;other&gt; *</td>" in page
    assert '<tr class="ours"><td>ours</td><td class="number">0.700</td>' in page
    assert "*: what this encoder was trained on is not known here" in page
    assert "Allowed leak: the encoder has seen one." in page
    assert "src=" not in page
    assert "<svg" in page


def test_page_without_unknown_encoders_has_no_mark(tmp_path: Path) -> None:
    """The note stands only where it is needed."""
    write_rivals_page(compare_rivals(KNOWN, tmp_path / "runs", n_seeds=1), tmp_path / "page.html")

    assert "*: what this encoder" not in (tmp_path / "page.html").read_text(encoding="utf-8")
