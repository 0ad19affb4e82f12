"""Heartbeats as a task of the benchmarks, on generated records in the layout of the database."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heartbert.bundle import Bundle
from heartbert.errors import ConfigError, LeakageError, RecordFormatError
from heartbert.evaluation.leakage import Examples
from heartbert.protocols import ds1_ds2
from heartbert.protocols.beat_rows import OURS
from heartbert.protocols.comparison import Draw, estimate
from heartbert.protocols.comparison_heartbeats import (
    BeatRow,
    HeartbeatComparison,
    HeartbeatSource,
    curve_rows,
    first_minutes,
    open_heartbeats,
)
from heartbert.training.config import HeartbeatsConfig
from tests.protocols.conftest import beats_at

ROWS = ("majority class", "RR, same head", OURS)


@pytest.fixture
def source(write_records: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HeartbeatSource:
    """Return three training records and one validation record, which the protocol then takes for all of DS1."""
    monkeypatch.setattr(ds1_ds2, "MITDB_DS1", ("101", "106", "108", "114"))
    monkeypatch.setattr(ds1_ds2, "MITDB_DS1_VALIDATION", ("114",))
    return HeartbeatSource(write_records(("101", "106", "108", "114")), cache=tmp_path / "cache")


@pytest.fixture
def task(bundle: Bundle, source: HeartbeatSource, heads: HeartbeatsConfig) -> HeartbeatComparison:
    return open_heartbeats(bundle, source, heads=heads, rows=ROWS)


def test_every_row_counts_all_reference_beats_of_the_scored_records(task: HeartbeatComparison) -> None:
    """Scores are comparable only where all rows are asked the same."""
    counts = {row: task.run(row, Draw(seed=1)) for row in task.rows}

    totals = {row: one[:, :6].sum() for row, one in counts.items()}
    assert set(totals) == set(ROWS)
    assert len(set(totals.values())) == 1
    assert all(one.shape == (1, 6, 6) for one in counts.values())
    assert 0 <= estimate(task, [counts[OURS]]).mean <= 1


def test_draw_counts_labels_of_the_drawn_subjects_by_class(task: HeartbeatComparison) -> None:
    """The result says on how many labels a score stands, and which classes had none."""
    one, all_of_them = (task.drawn(Draw(subject_share=share, seed=1)) for share in (0.01, 1.0))

    assert (len(one.subjects), len(all_of_them.subjects)) == (1, 3)
    assert sum(one.n_labels.values()) < sum(all_of_them.n_labels.values())
    assert {"S", "F", "Q"} <= set(all_of_them.missing)
    assert all_of_them.n_labels["V"] > 0


def test_label_share_leaves_a_stretch_of_each_subject(task: HeartbeatComparison) -> None:
    """Every person stays in; only so are people and labels two questions."""
    few = task.drawn(Draw(label_share=0.01, seed=1))

    assert len(few.subjects) == 3
    assert sum(few.n_labels.values()) == 3 * 10
    assert task.run("RR, same head", Draw(label_share=0.01, seed=1)).shape == (1, 6, 6)


def test_a_record_without_beats_is_scored_as_missed(task: HeartbeatComparison) -> None:
    """A detector that finds nothing must not end a benchmark of hours."""
    silent = {
        name: replace(
            one,
            beats=replace(
                one.beats,
                r_peaks=one.beats.r_peaks[:0],
                embeddings=one.beats.embeddings[:0],
                labels=one.beats.labels[:0],
            ),
            inputs={key: values[:0] for key, values in one.inputs.items()},
        )
        if name == "mitdb/114"
        else one
        for name, one in task.beat_rows["majority class"].records.items()
    }
    rows = {**task.beat_rows, "majority class": replace(task.beat_rows["majority class"], records=silent)}

    counts = replace(task, beat_rows=rows).run("majority class", Draw(seed=1))

    assert counts[0, :5, 5].sum() == counts[0, :5].sum() > 0


def test_first_minutes_leave_no_later_beat_on_any_side() -> None:
    """A limit that forgot the reference would count all later beats as missed."""
    whole = replace(beats_at([1.0, 2.0, 61.0], "NV" + "N" * 60), inputs={"nothing": np.zeros((3, 1), np.float16)})

    cut = first_minutes(whole, 1.0)

    assert cut.beats.r_peaks.tolist() == [360, 720]
    assert cut.beats.reference_s.max() < 60
    assert cut.reference.annotations.samples.max() < 60 * 360
    assert cut.reference.subtypes.size == cut.reference.annotations.samples.size == len(cut.beats.reference_classes)
    assert cut.inputs["nothing"].shape == (2, 1)
    assert cut.duration_s == 60.0


def test_facts_state_the_split_and_what_was_allowed(
    bundle: Bundle, source: HeartbeatSource, heads: HeartbeatsConfig
) -> None:
    """A number without its split says nothing; the limit in minutes is a part of it."""
    task = open_heartbeats(bundle, replace(source, minutes=0.2), heads=heads, rows=(OURS,))

    assert task.facts["scored"] == task.facts["chosen_on"] == ["mitdb/114"]
    assert task.facts["leaks"] == ["the training epoch was chosen on 1 test person, first 'mitdb/114'"]
    assert task.identity["minutes"] == 0.2
    assert "random encoder" not in task.beat_rows[OURS].records["mitdb/101"].inputs


def test_an_encoder_that_saw_a_scored_person_is_refused(
    bundle: Bundle, source: HeartbeatSource, heads: HeartbeatsConfig
) -> None:
    """Few labels prove nothing where the encoder knows the people."""
    seen = replace(bundle, manifest={**bundle.manifest, "corpus": {"records": ["mitdb/114"]}})

    with pytest.raises(LeakageError, match="has seen the unlabelled signal of 1 test person"):
        open_heartbeats(seen, source, heads=heads)
    allowed = open_heartbeats(seen, replace(source, allow_transductive=True), heads=heads, rows=(OURS,))

    assert any("has seen the unlabelled signal" in leak for leak in allowed.facts["leaks"])


def test_errors_say_what_to_change(bundle: Bundle, source: HeartbeatSource, heads: HeartbeatsConfig) -> None:
    """Each names the value found and what is allowed."""
    with pytest.raises(ConfigError, match="there is no row 'best row'; choose of majority class"):
        open_heartbeats(bundle, source, heads=heads, rows=("best row",))
    with pytest.raises(ConfigError, match="the recordings 101 leave nobody for validation"):
        open_heartbeats(bundle, replace(source, records=("101",)), heads=heads)
    with pytest.raises(ConfigError, match="placement is 'guessed'"):
        replace(source, placement="guessed")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="minutes is 0"):
        replace(source, minutes=0)
    (source.folder / "106.hea").unlink()
    with pytest.raises(RecordFormatError, match=r"has no 106.hea; all records of the split are needed"):
        open_heartbeats(bundle, source, heads=heads)


def test_curve_has_every_row_with_all_labels_but_those_left_out() -> None:
    """The claim is made against every baseline; who has no hours leaves some out by name."""
    rows = curve_rows()

    assert rows[-1] == OURS
    assert {"majority class", "CNN on the raw signal", "BiLSTM on the raw signal"} < set(rows)
    assert not [row for row in rows if "10 %" in row]
    assert curve_rows(["majority class"]) == rows[1:]
    with pytest.raises(ConfigError, match="there is no row 'CNN' to leave out; choose of majority class, RR,"):
        curve_rows(["CNN"])


def test_ours_must_be_among_the_rows(task: HeartbeatComparison) -> None:
    """A claim about a row that is not there cannot be tested."""
    others: dict[str, BeatRow] = {name: row for name, row in task.beat_rows.items() if name != OURS}

    with pytest.raises(ConfigError, match="lack 'heartbert'"):
        replace(task, beat_rows=others)


def test_examples_are_found_by_record(source: HeartbeatSource) -> None:
    """Readers take the header's path."""
    assert source.path_of(Examples("mitdb", "101")) == source.folder / "101.hea"
