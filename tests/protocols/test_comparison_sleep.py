"""Sleep stages as a task of the benchmarks, on generated nights."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from heartbert.bundle import load_bundle
from heartbert.errors import ConfigError
from heartbert.protocols import sleep_rows
from heartbert.protocols.comparison import Draw, estimate
from heartbert.protocols.comparison_sleep import (
    BEATS,
    OURS,
    RANDOM,
    TRAINERS,
    SleepComparison,
    SleepRow,
    SleepSource,
    assemble_sleep,
    open_sleep,
)
from heartbert.protocols.sleep_rows import BOOSTING
from heartbert.training.sleep import LabelledNight
from heartbert.training.sleep_config import SleepConfig
from tests.claiming import write_nights
from tests.sleeping import cycle_of_stages, labelled_night, notes_of, write_slpdb_record

CONFIG = SleepConfig(layer=1, n_units=4, n_embedding_units=2, n_training_epochs=1, n_networks=1)


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleep_rows, "_BOOSTING_STEPS", 3)


def _task(nights: list[LabelledNight] | None = None, config: SleepConfig = CONFIG) -> SleepComparison:
    seen = nights or [labelled_night(name, seed=seed, n_embedding=6) for seed, name in enumerate("abcd")]
    rows = {name: SleepRow(train, config, seen, "none") for name, train in TRAINERS.items()}
    return assemble_sleep(SleepSource(Path(), n_folds=2), rows, [])


def test_every_row_counts_the_epochs_with_tokens_of_every_person() -> None:
    """All rows are scored on the same epochs: those where the encoder has something to say."""
    task = _task()

    counts = {row: task.run(row, Draw(seed=1)) for row in task.rows}

    assert {one.shape for one in counts.values()} == {(4, 3, 3)}
    assert {one.sum() for one in counts.values()} == {80.0}
    assert -1 <= estimate(task, [counts[OURS]]).mean <= 1


def test_ours_learns_what_tokens_show() -> None:
    """The row must be able to win; here every second epoch gives its stage away."""
    config = replace(CONFIG, n_units=16, n_embedding_units=8, n_training_epochs=30, learning_rate=0.03, dropout=0.0)

    found = estimate(_task(config=config), [_task(config=config).run(OURS, Draw(seed=1))])

    assert found.mean > 0.8


def test_draw_tells_of_the_fold_that_has_least() -> None:
    """What is missing in one fold is missing from the score."""
    task = _task()

    few = task.drawn(Draw(label_share=0.01, seed=1))

    assert len(few.subjects) == 2
    assert sum(few.n_labels.values()) == 20
    assert few.missing
    assert len(task.drawn(Draw(subject_share=0.01, seed=1)).subjects) == 1


def test_boosting_learns_nothing_from_one_class() -> None:
    """Few labels may be of one stage, and then there is nothing to tell apart."""
    nights = [labelled_night(name, seed=seed, n_embedding=6) for seed, name in enumerate("abcd")]
    constant = [replace(one, stages=np.where(one.stages >= 0, 2, -1)) for one in nights]

    counts = _task(constant).run(BOOSTING, Draw(seed=1))

    assert counts[:, 1, 1].sum() == counts.sum()


def test_nights_without_embeddings_are_scored_whole() -> None:
    """A table of beats alone has no epochs with tokens."""
    nights = [labelled_night(name, seed=seed) for seed, name in enumerate("abcd")]

    assert _task(nights).run(BEATS, Draw(seed=1)).sum() == 160
    assert _task(nights).facts["scored_epochs"] == 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nights(tmp_path_factory.mktemp("slpdb"), ("slp03", "slp04", "slp14"))


def test_nights_are_opened_with_our_encoder_and_one_of_random_weights(
    folder: Path, tiny_pretrained: Path, tmp_path: Path
) -> None:
    """Random weights on the same path show what pre-training is worth; vectors are kept."""
    source = SleepSource(folder, n_folds=3, cache=tmp_path)

    task = open_sleep(load_bundle(tiny_pretrained), source, config=CONFIG)

    assert set(task.rows) == {BOOSTING, BEATS, OURS, RANDOM}
    ours, random = (task.sleep_rows[row].nights[0].night.embeddings for row in (OURS, RANDOM))
    assert ours.shape == random.shape
    assert not np.allclose(ours, random)
    assert task.told(OURS)["encoder"] != task.told(RANDOM)["encoder"]
    assert len(list(tmp_path.rglob("*.npy"))) == 6


def test_nights_without_waveform_or_text_are_refused(tiny_pretrained: Path, tmp_path: Path) -> None:
    """An encoder cannot be compared on nothing."""
    write_slpdb_record(tmp_path, "slp03", notes_of(cycle_of_stages(20)), with_signal=False)

    with pytest.raises(ConfigError, match=r"neither waveforms nor the published text.*heartbert download slpdb"):
        open_sleep(load_bundle(tiny_pretrained), SleepSource(tmp_path), config=CONFIG)


def test_what_an_encoder_saw_is_stated() -> None:
    """Unlabelled signals of the test persons are allowed, and never in silence."""
    seen = SimpleNamespace(name="seen 1", manifest={"name": "seen", "corpus": {"records": ["slpdb/a"]}})
    nights = [labelled_night(name, seed=seed, n_embedding=6) for seed, name in enumerate("abcd")]
    rows = {OURS: SleepRow(TRAINERS[OURS], CONFIG, nights, "none")}

    task = assemble_sleep(SleepSource(Path(), n_folds=2), rows, [seen])  # type: ignore[list-item]

    assert task.facts["leaks"] == ["the encoder has seen the unlabelled signal of 1 test person, first 'slpdb/a'"]
