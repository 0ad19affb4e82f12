"""The published split is made in one command, from records that may be used, and continues where it stopped."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heartbert.bundle import Bundle
from heartbert.embeddings.encoder import build_encoder
from heartbert.errors import ConfigError, LeakageError, RecordFormatError
from heartbert.evaluation.splits import MITDB_DS1, MITDB_DS1_VALIDATION, MITDB_DS2
from heartbert.protocols import beat_records, beat_table
from heartbert.protocols.beat_rows import BOOSTING, CLOSE_ROWS, FEW_LABELS, OURS, ROWS
from heartbert.protocols.beat_splits import guard_split
from heartbert.protocols.beat_table import TableSettings, head_settings
from heartbert.protocols.ds1_ds2 import ds1_ds2_splits, evaluate_ds1_ds2
from heartbert.training.config import EncoderConfig

SOME = ("101", "201", "114", "118")
Write = Callable[..., Path]


def seen(bundle: Bundle, *records: str) -> Bundle:
    """Return a bundle whose encoder has seen some records."""
    return replace(bundle, manifest={**bundle.manifest, "corpus": {"records": list(records)}})


def reseeded(bundle: Bundle) -> Bundle:
    """Return the bundle with other weights."""
    config = EncoderConfig(**bundle.manifest["config"]["encoder"])
    return replace(bundle, model=build_encoder(config, bundle.tokenizer.n_tokens, seed=99).eval())


def test_validation_side_names_no_record_of_ds2() -> None:
    """DS2 is opened once for each finished model, and not while it is made."""
    named = {one.record for split in ds1_ds2_splits("validation") for one in split.examples}

    assert named == set(MITDB_DS1)


def test_test_side_trains_and_chooses_inside_ds1() -> None:
    """Settings and training epochs are chosen on held-out training subjects."""
    published, apart = ds1_ds2_splits("test")

    assert {one.record for one in published.test} == set(MITDB_DS2)
    assert {one.record for one in (*published.training, *published.validation)} == set(MITDB_DS1)
    assert {one.record for one in published.validation} == set(MITDB_DS1_VALIDATION)
    assert {one.record for one in published.training} - {one.record for one in apart.training} == {"201"}


def test_published_split_states_its_shared_man_and_the_other_has_none(bundle: Bundle) -> None:
    """201 and 202 are one man; with 201 moved out, the split is clean."""
    published, apart = ds1_ds2_splits("test")

    leaks = guard_split(published, bundle, allow_transductive=False)

    assert [leak.what for leak in leaks] == ["1 person in training and test, first 'mitdb/201'"]
    assert guard_split(apart, bundle, allow_transductive=False) == ()


def test_encoder_that_saw_test_records_is_refused_unless_it_is_stated(bundle: Bundle) -> None:
    """HeartBERT was pre-trained on its test records."""
    split = ds1_ds2_splits("test")[1]

    with pytest.raises(LeakageError, match="the encoder has seen the unlabelled signal of 1 test person"):
        guard_split(split, seen(bundle, "100"), allow_transductive=False)
    leaks = guard_split(split, seen(bundle, "100"), allow_transductive=True)
    assert [leak.kind for leak in leaks] == ["transductive"]


def test_scores_on_validation_records_state_that_they_are_optimistic(bundle: Bundle) -> None:
    """The training epoch is chosen on the records that are scored."""
    leaks = guard_split(ds1_ds2_splits("validation")[0], bundle, allow_transductive=False)

    assert [leak.what for leak in leaks] == ["the training epoch was chosen on 5 test persons, first 'mitdb/114'"]


def _evaluate(bundle: Bundle, folder: Path, output: Path, settings: TableSettings) -> dict[str, Any]:
    splits = ds1_ds2_splits("validation", records=SOME)
    return evaluate_ds1_ds2(bundle, folder, output, settings, splits=splits)


def test_table_has_every_row_for_reference_beats_and_the_close_ones_everywhere(
    bundle: Bundle, quick: TableSettings, write_records: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call gives the whole table, and an interrupted one continues without training again."""
    folder, settings = write_records(SOME), replace(quick, cache=tmp_path / "cache")

    table = _evaluate(bundle, folder, tmp_path / "out", settings)

    for block in (table, table["detected"], table["without_201"], table["without_201"]["detected"]):
        rows = ROWS if block is table else CLOSE_ROWS
        assert set(block["baselines"]) == set(rows) - {OURS, FEW_LABELS}
        assert {"accuracy", "macro_f1", "f1", "ece", "few_labels_10", "boosting_100", "difference"} <= set(block)
        assert set(block["f1"]["N"]) == {"mean", "low", "high"}
        assert block["boosting_100"] == block["baselines"][BOOSTING]
        assert sorted(row["record"] for row in block["records"]) == ["114", "118"]
    assert table["baselines"]["majority class"]["f1"]["V"]["mean"] == 0
    json.dumps(table, allow_nan=False)

    monkeypatch.setattr(beat_table, "train_row", None)
    monkeypatch.setattr(beat_records, "embed_at", None)
    assert _evaluate(bundle, folder, tmp_path / "out", settings) == table


def test_every_row_can_be_asked_for_everywhere(quick: TableSettings) -> None:
    """Whoever has the time may fill the table."""
    published, apart = ds1_ds2_splits("validation", records=SOME)

    assert quick.rows_of(apart, "detected") == CLOSE_ROWS
    assert quick.rows_of(published, "reference") == tuple(ROWS)
    assert replace(quick, everywhere=True).rows_of(apart, "detected") == tuple(ROWS)


def test_further_bundles_are_rows_of_the_first_block(
    bundle: Bundle, quick: TableSettings, write_records: Write, tmp_path: Path
) -> None:
    """Encoders of other levels stand in the same table, with the same head on the same beats."""
    folder = write_records(SOME)
    other = replace(bundle, manifest={**bundle.manifest, "name": "uniform-levels"})
    settings = replace(quick, rows=("majority class", OURS), others=(other,))

    table = _evaluate(bundle, folder, tmp_path / "out", settings)

    assert set(table["baselines"]) == {"majority class", "RR + uniform-levels 0.0.1, same head"}
    ours = {name: table[name] for name in ("accuracy", "macro_f1", "f1")}
    # The same weights under another name: equal to ours, so the row reads its own bundle with the same head.
    assert {name: table["baselines"]["RR + uniform-levels 0.0.1, same head"][name] for name in ours} == ours
    assert not table["detected"]["baselines"]


def test_further_bundles_are_guarded_and_have_names_of_their_own(
    bundle: Bundle, quick: TableSettings, write_records: Write, tmp_path: Path
) -> None:
    """A row that has seen the test is no baseline."""
    folder = write_records(SOME)

    with pytest.raises(LeakageError, match="the encoder has seen the unlabelled signal of 1 test person"):
        _evaluate(bundle, folder, tmp_path / "out", replace(quick, others=(seen(bundle, "114"),)))
    with pytest.raises(ConfigError, match="two bundles of one name were given"):
        replace(quick, others=(bundle, bundle))


@pytest.fixture
def ours_only(quick: TableSettings) -> TableSettings:
    """Return settings of the shortest table."""
    return replace(quick, rows=("majority class", OURS), placements=("detected",))


def test_table_is_refused_a_folder_with_runs_of_other_settings(
    bundle: Bundle, ours_only: TableSettings, write_records: Write, tmp_path: Path
) -> None:
    """Mixed runs would make a table of nothing."""
    folder = write_records(SOME)
    first = _evaluate(bundle, folder, tmp_path / "out", ours_only)
    other = replace(ours_only, heads=replace(ours_only.heads, n_units=5))

    assert "detected" in first
    assert "accuracy" not in first
    with pytest.raises(ConfigError, match=r"holds runs made with other settings: 'heads' was .* Give another output"):
        _evaluate(bundle, folder, tmp_path / "out", other)


def test_another_encoder_runs_again_only_what_reads_it(
    bundle: Bundle, ours_only: TableSettings, write_records: Write, tmp_path: Path
) -> None:
    """The baselines of a table take hours, and most of them know of no encoder."""
    folder, runs = write_records(SOME), tmp_path / "out" / "runs"
    settings = replace(ours_only, rows=("majority class", "RR + waveform, same head", OURS), everywhere=True)
    _evaluate(bundle, folder, tmp_path / "out", settings)
    before = {path.name for path in runs.iterdir()}

    _evaluate(reseeded(bundle), folder, tmp_path / "out", settings)

    added = [json.loads(path.read_text())["run"] for path in runs.iterdir() if path.name not in before]
    assert {(split, row) for split, _, row, *_ in added} == {("", OURS), ("without_201", OURS)}


def test_damaged_run_is_named(bundle: Bundle, ours_only: TableSettings, write_records: Write, tmp_path: Path) -> None:
    """The user has to know which file to remove."""
    folder = write_records(SOME)
    _evaluate(bundle, folder, tmp_path / "out", ours_only)
    run = next(path for path in (tmp_path / "out" / "runs").iterdir() if path.name != "settings.json")
    run.write_text("{}")

    with pytest.raises(ConfigError, match=f"{run.name}' holds no run .* remove it and start again"):
        _evaluate(bundle, folder, tmp_path / "out", ours_only)


def test_missing_record_is_named(bundle: Bundle, quick: TableSettings, write_records: Write, tmp_path: Path) -> None:
    """A table of fewer records would compare with nothing published."""
    folder = write_records(("101",))

    with pytest.raises(RecordFormatError, match=r"has no 201.hea; all records of the split are needed"):
        _evaluate(bundle, folder, tmp_path / "out", quick)


def test_table_needs_ours_and_known_rows(heads: Any) -> None:
    """A misspelt row must not be left out in silence."""
    with pytest.raises(ConfigError, match=r"a table of the rows boosting, heartbert .* cannot be made"):
        TableSettings(heads, rows=("boosting", OURS))


def test_head_settings_come_from_the_bundle(bundle: Bundle) -> None:
    """The protocol trains the head as the bundle was meant to."""
    assert head_settings(bundle).n_units == bundle.manifest["config"]["heartbeats"]["n_units"]
    assert head_settings(replace(bundle, manifest={})).n_units > 0


def test_beats_of_both_placements_are_where_they_belong(
    bundle: Bundle, quick: TableSettings, write_records: Write
) -> None:
    """Reference beats stand at the annotation's samples with its classes, detected ones where the detector saw them."""
    folder = write_records(("101",))
    encoders = beat_records.encoders_of(bundle, quick.heads.layer)
    example = ds1_ds2_splits("validation")[0].training[0]

    found = beat_records.read_beats(encoders, folder / "101.hea", example)

    reference, detected = found["reference"], found["detected"]
    assert np.array_equal(reference.beats.r_peaks, reference.reference.annotations.samples)
    assert np.array_equal(reference.beats.labels, reference.beats.reference_classes)
    alone = encoders.embed("encoder", folder / "101.hea", _scaling(bundle, folder), detected.beats.r_peaks)
    assert np.array_equal(detected.inputs["encoder"], alone)
    assert not np.array_equal(detected.inputs["encoder"], detected.inputs["random encoder"])


def _scaling(bundle: Bundle, folder: Path) -> Any:
    return beat_records.label_beats(bundle.preprocessing, folder / "101.hea")[1]
