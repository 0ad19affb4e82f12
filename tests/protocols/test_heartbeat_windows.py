"""The published random split of windows is refused by the guard, measured all the same, and set beside a clean one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError, LeakageError, RecordFormatError
from heartbert.evaluation.leakage import Examples
from heartbert.predictions.labels import AamiClass
from heartbert.protocols import heartbeats, windows_table
from heartbert.protocols.beat_records import encoders_of
from heartbert.protocols.beat_rows import OURS
from heartbert.protocols.beat_table import TableSettings
from heartbert.protocols.heartbeat_windows import (
    N_FOLDS,
    WINDOW_SAMPLES,
    WindowRecord,
    deal_windows,
    label_windows,
    read_windows,
)
from heartbert.protocols.heartbeats import HeartbeatTask, evaluate_heartbeats

N, S, V, F, Q = (int(one) for one in AamiClass)
Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("classes", "label"), [((N, N), N), ((N, S), S), ((S, F, N), F), ((F, V, S), V), ((Q, N), N), ((Q, Q), Q)]
)
def test_window_has_the_class_of_its_gravest_beat(classes: tuple[int, ...], label: int) -> None:
    """One ventricular beat makes a window ventricular, wherever it lies."""
    for turned in (classes, classes[::-1]):
        times_s = 0.5 + 0.8 * np.arange(len(turned))

        assert label_windows(times_s, np.array(turned), 1)[1].tolist() == [label]


def test_windows_without_beats_and_beats_without_windows_are_dropped() -> None:
    """The end of a recording makes no whole window, and a pause has no class."""
    windows, labels = label_windows(np.array([7.0, 8.9, 9.1]), np.array([N, V, S]), 3)

    assert (windows.tolist(), labels.tolist()) == ([2], [V])


def some(record: str, n_windows: int) -> WindowRecord:
    """Return a recording with that many windows of mitdb."""
    starts = np.arange(n_windows) * 3.0
    examples = Examples("mitdb", record, starts_s=starts, stops_s=starts + 3.0)
    return WindowRecord(examples, np.zeros(n_windows, dtype=np.int64), {})


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=N_FOLDS, max_size=9))
def test_folds_by_person_never_share_a_person(sizes: list[int]) -> None:
    """Every window is in one fold, with all others of its person."""
    records = [some(str(201 + number), size) for number, size in enumerate([*sizes, 3])]

    folds = deal_windows(records, "by_person")

    fold_of = {one.examples.person: set(found.tolist()) for one, found in zip(records, folds, strict=True)}
    assert all(len(found) == 1 for found in fold_of.values())
    assert set.union(*fold_of.values()) == set(range(N_FOLDS))
    assert [found.size for found in folds] == [one.labels.size for one in records]


def test_random_folds_are_of_equal_size_and_share_persons() -> None:
    """That is the leak."""
    folds = deal_windows([some("101", 50), some("106", 50)], "random_windows")

    assert np.bincount(np.concatenate(folds)).tolist() == [20] * N_FOLDS
    assert all(np.unique(found).size == N_FOLDS for found in folds)


def test_too_few_persons_are_refused() -> None:
    """A fold without a person has nobody to test on; 201 and 202 count once."""
    records = [some(name, 5) for name in ("101", "106", "108", "201", "202")]

    with pytest.raises(ConfigError, match="4 persons for 5 folds; at least 5 are needed"):
        deal_windows(records, "by_person")


def test_windows_are_cut_from_the_signal_one_after_the_other(bundle: Bundle, write_records: Write) -> None:
    """The guard sees the times, the networks the samples and the embeddings of the same three seconds."""
    path = write_records(("101",)) / "101.hea"

    windows = read_windows(encoders_of(bundle, 1), path, Examples("mitdb", "101"))

    starts_s, stops_s = windows.examples.windows()
    assert starts_s.tolist() == [3.0 * number for number in range(10)]
    assert np.allclose(stops_s - starts_s, WINDOW_SAMPLES / 360)
    assert windows.inputs["signal"].shape == (10, 360)
    assert windows.inputs["encoder"].shape == (10, 12 * 32)
    assert set(windows.labels.tolist()) <= {N, V}


FIVE = ("101", "106", "108", "109", "112")


def test_table_sets_the_published_split_beside_the_clean_one(
    bundle: Bundle, quick: TableSettings, write_records: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the leak was worth is the difference, and the result says that the guard refuses it."""
    monkeypatch.setattr(heartbeats, "MITDB_DS1", FIVE)
    folder = write_records(FIVE)

    result = evaluate_heartbeats(bundle, HeartbeatTask("paper", folder), tmp_path / "out", quick)

    leaking = result["random_windows"]
    assert result["leaks"] == []
    assert "1 recording" in leaking["refused_by_the_guard"] or "recordings" in leaking["refused_by_the_guard"]
    assert any("in training and test" in what for what in leaking["leaks"])
    assert set(result["worth_of_the_leak"]) == {*result["baselines"], OURS}
    worth = result["worth_of_the_leak"][OURS]["mean"]
    assert worth == pytest.approx(leaking["macro_f1"]["mean"] - result["macro_f1"]["mean"])
    assert np.sum(result["confusion"]) == 50


def test_encoder_that_saw_the_recordings_is_refused_before_anything_is_read(
    bundle: Bundle, quick: TableSettings, tmp_path: Path
) -> None:
    """A split by person is no split for an encoder that knows the persons."""
    known = replace(bundle, manifest={**bundle.manifest, "corpus": {"records": ["101"]}})
    recordings = [(Examples("mitdb", "101"), tmp_path / "101.hea")]

    with pytest.raises(LeakageError, match="the encoder has seen the unlabelled signal of 1 test person"):
        windows_table.evaluate_windows(known, recordings, tmp_path / "out", quick)


def test_further_bundles_are_refused(bundle: Bundle, quick: TableSettings, tmp_path: Path) -> None:
    """An option that does nothing here is not taken in silence."""
    with pytest.raises(ConfigError, match="1 further bundles were given, but the table of published windows"):
        windows_table.evaluate_windows(bundle, [], tmp_path / "out", replace(quick, others=(bundle,)))


def test_missing_record_of_ds1_is_named(
    bundle: Bundle, quick: TableSettings, write_records: Write, tmp_path: Path
) -> None:
    """Half a database gives another number."""
    folder = write_records(("101",))

    with pytest.raises(RecordFormatError, match=r"has no 106.hea; all of DS1 is needed"):
        evaluate_heartbeats(bundle, HeartbeatTask("paper", folder), tmp_path / "out", quick)
