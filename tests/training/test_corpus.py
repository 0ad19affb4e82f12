"""A corpus is the same however it is built, holds no unscorable window, and learns from training records only."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import wfdb

from heartbert.errors import BundleError, ConfigError, RecordFormatError
from heartbert.preprocessing import PREPROCESSOR_FILE, load_preprocessing
from heartbert.records import read_record
from heartbert.signals.survey import survey_lead
from heartbert.text import from_text
from heartbert.tokens import TOKENIZER_FILE, load_tokenizer
from heartbert.tokens.leads import tokenize_lead
from heartbert.tokens.tokenizer import Tokenizer
from heartbert.training import corpus_building, corpus_shards, corpus_spool
from heartbert.training.config import Config, read_config
from heartbert.training.corpus import (
    BEATS_FILE,
    LEADS_FILE,
    MANIFEST_FILE,
    TOKENS_FILE,
    Corpus,
    Lead,
    LeadTable,
    lead_rows,
    open_corpus,
)
from heartbert.training.corpus_building import build_corpus, find_records, unfinished_work
from heartbert.training.corpus_planning import CorpusPlan, plan_corpus
from tests.synthetic import synthetic_ecg

FS = 250.0
FILES = {TOKENS_FILE, BEATS_FILE, LEADS_FILE, MANIFEST_FILE, PREPROCESSOR_FILE, TOKENIZER_FILE}


@pytest.fixture(scope="module")
def config() -> Config:
    """Return the tiny preset with windows of a second."""
    config = read_config("tiny")
    return replace(config, tokenizer=replace(config.tokenizer, window_samples=360))


def _ecg(seed: int, duration_s: float = 20.0) -> npt.NDArray[np.float32]:
    return synthetic_ecg(duration_s, FS, seed=seed)[0]


def _write(folder: Path, name: str, *leads: npt.NDArray[np.float32]) -> Path:
    folder.mkdir(exist_ok=True)
    names = ["II", "V5", "V1"][: len(leads)]
    wfdb.wrsamp(
        name, fs=FS, units=["mV"] * len(leads), sig_name=names, p_signal=np.stack(leads, axis=1).astype(float),
        fmt=["16"] * len(leads), adc_gain=[1000.0] * len(leads), baseline=[0] * len(leads), write_dir=str(folder),
    )  # fmt: skip
    return folder / f"{name}.hea"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Return a folder of three records, the first one with two leads."""
    folder = tmp_path / "records"
    _write(folder, "a", _ecg(0), _ecg(1))
    _write(folder, "b", _ecg(2))
    _write(folder, "c", _ecg(3))
    return folder


@pytest.fixture
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put every record into a shard of its own."""
    monkeypatch.setattr(corpus_spool, "SHARD_BYTES", 1)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _manifest(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / MANIFEST_FILE).read_text())
    return content


def test_corpus_holds_every_sample_of_every_lead(records: Path, tmp_path: Path, config: Config) -> None:
    """Token ids decode to as many letters as the leads have samples."""
    corpus = build_corpus(plan_corpus([records]), tmp_path / "corpus", config)

    tokenizer = load_tokenizer(tmp_path / "corpus")
    assert set(_contents(tmp_path / "corpus")) == FILES
    assert [(lead.record, lead.lead) for lead in corpus.leads] == [("a", "II"), ("a", "V5"), ("b", "II"), ("c", "II")]
    for lead in corpus.leads:
        assert lead.n_samples == 7200
        assert tokenizer.token_lengths[lead.of(corpus.token_ids)].sum() == lead.n_samples
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "records"]


def test_corpus_has_the_levels_of_the_pipeline(records: Path, tmp_path: Path, config: Config) -> None:
    """An encoder must be pre-trained on what it is shown later."""
    corpus = build_corpus(plan_corpus([records]), tmp_path / "corpus", config)

    preprocessing, tokenizer = load_preprocessing(corpus.folder), load_tokenizer(corpus.folder)
    tokens = tokenize_lead(read_record(records / "b.hea").lead("II"), preprocessing, tokenizer)
    ids = corpus.leads[2].of(corpus.token_ids)
    here, there = (from_text(tokenizer.decode(one.astype(np.int64))).astype(int) for one in (ids, tokens.token_ids))
    assert here.size == 7200
    assert np.abs(here - there).max() <= 1  # amplitudes lie on a grid: beside a threshold the level may differ


def test_beats_are_the_tokens_that_cover_an_r_peak(tmp_path: Path, config: Config) -> None:
    """Whole beats can be hidden only if their tokens are known, also behind a window that was left out."""
    flat = _ecg(0)
    flat[round(3.5 * FS) : round(6.2 * FS)] = 0.02
    _write(tmp_path / "records", "a", flat, _ecg(1))
    corpus = build_corpus(plan_corpus([tmp_path / "records"]), tmp_path / "corpus", config)

    lengths = load_tokenizer(corpus.folder).token_lengths
    preprocessing = load_preprocessing(corpus.folder)
    found = []
    for lead, channel in zip(corpus.leads, read_record(tmp_path / "records" / "a.hea").channels, strict=True):
        r_peaks = survey_lead(preprocessing.stream(channel)).r_peaks
        gone = range(0) if lead.n_samples == 7200 else range(3 * 360, 7 * 360)
        kept = [int(peak) - len(gone) * (peak >= gone.stop) for peak in r_peaks if peak not in gone]
        ends = np.cumsum(lengths[lead.of(corpus.token_ids)])
        found += [lead.first + int(np.argmax(ends > peak)) for peak in kept]
    assert [lead.n_samples for lead in corpus.leads] == [16 * 360, 7200]
    assert corpus.beats.tolist() == found
    assert len(found) > 35


@pytest.mark.usefixtures("_small_shards")
def test_corpus_does_not_depend_on_the_number_of_workers(records: Path, tmp_path: Path, config: Config) -> None:
    """A corpus built on a larger machine must be the same to the byte."""
    build_corpus(plan_corpus([records]), tmp_path / "one", config)

    build_corpus(plan_corpus([records]), tmp_path / "two", config, n_workers=2)

    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_corpus_does_not_depend_on_the_size_of_shards(
    records: Path, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version may cut other shards."""
    build_corpus(plan_corpus([records]), tmp_path / "one", config)
    monkeypatch.setattr(corpus_spool, "SHARD_BYTES", 1)

    build_corpus(plan_corpus([records]), tmp_path / "two", config)

    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_memory_holds_an_hour_of_a_lead_and_the_rest_is_read_twice(
    records: Path, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day must give the same tokens whether its blocks were kept or read again."""
    build_corpus(plan_corpus([records]), tmp_path / "kept", config)
    monkeypatch.setattr(corpus_shards, "_KEPT_BLOCKS", 0)
    monkeypatch.setattr(corpus_shards, "_WINDOWS_AT_A_TIME", 3)

    build_corpus(plan_corpus([records]), tmp_path / "again", config)

    assert _contents(tmp_path / "kept") == _contents(tmp_path / "again")


_DYING = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from heartbert.training import corpus_building, corpus_planning, corpus_spool
from heartbert.training.config import read_config
from dataclasses import replace
folder, target, module, name, calls = sys.argv[1:]
module = import_module(f"heartbert.training.{module}")
original, left = getattr(module, name), int(calls)
def dying(*args, **kwargs):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)
setattr(module, name, dying)
corpus_spool.SHARD_BYTES = 1
config = read_config("tiny")
config = replace(config, tokenizer=replace(config.tokenizer, window_samples=360))
plan = corpus_planning.plan_corpus([Path(folder)], held_out="c")
corpus_building.build_corpus(plan, Path(target), config)
"""


def _never(*_: object, **__: object) -> None:
    raise AssertionError("a finished shard is made again")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.usefixtures("_small_shards")
def test_killed_build_continues_to_the_same_bytes(
    records: Path, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lab must be able to kill a build at any moment and lose no finished shard."""
    plan = plan_corpus([records], held_out="c")
    build_corpus(plan, tmp_path / "unbroken", config)
    target = tmp_path / "broken"
    deaths = [
        ("corpus_shards", "save_scaled", "2", "1 of 3 shards are read, 0 encoded"),  # amplitudes without their index
        ("corpus_building", "train_on_levels", "1", "3 of 3 shards are read, 0 encoded"),
        ("corpus_shards", "save_encoded", "3", "3 of 3 shards are read, 2 encoded"),
        ("corpus_building", "_write_manifest", "1", "3 of 3 shards are read, 3 encoded"),
        ("corpus_building", "_working_folders", "1", "3 of 3 shards are read, 3 encoded"),  # the corpus is in place
    ]
    for *where, expected in deaths:
        command = [sys.executable, "-c", _DYING, str(records), str(target), *where]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ})
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert expected in str(unfinished_work(plan, target, config))
    assert _contents(target) == _contents(tmp_path / "unbroken")

    for name in ("scale_shard", "encode_shard", "train_on_levels"):
        monkeypatch.setattr(corpus_building, name, _never)
    build_corpus(plan, target, config, n_workers=2)

    assert _contents(target) == _contents(tmp_path / "unbroken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "records", "unbroken"]


@pytest.mark.usefixtures("_small_shards")
@pytest.mark.parametrize("stage", ["reading", "learning tokens", "encoding", "writing"])
def test_interrupted_build_leaves_no_corpus_and_is_finished_by_two_workers(
    records: Path, tmp_path: Path, config: Config, stage: str
) -> None:
    """Half a corpus must not be taken for a whole one, and Ctrl-C costs no more than a shard."""
    plan, target = plan_corpus([records]), tmp_path / "out" / "corpus"

    def interrupt(now: str, fraction: float) -> None:
        if now.startswith(stage) and fraction > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_corpus(plan, target, config, progress=interrupt)

    assert not target.exists()
    assert "shards are read" in str(unfinished_work(plan, target, config))
    build_corpus(plan, target, config, n_workers=2 if stage == "reading" else 1)
    build_corpus(plan, tmp_path / "unbroken", config)
    assert _contents(target) == _contents(tmp_path / "unbroken")
    assert list((tmp_path / "out").iterdir()) == [target]


@pytest.mark.usefixtures("_small_shards")
@pytest.mark.parametrize("change", ["recording", "settings", "held out"])
def test_build_of_something_else_is_not_continued(records: Path, tmp_path: Path, config: Config, change: str) -> None:
    """Shards of other recordings or settings would make a corpus of two halves."""
    target = tmp_path / "corpus"
    with pytest.raises(ConfigError, match="no training record is left"):
        build_corpus(plan_corpus([records], held_out="abc"), target, config)
    held_out = "b" if change == "held out" else "abc"
    if change == "recording":
        _write(records, "a", _ecg(7))
    other = replace(config, codebook=replace(config.codebook, n_levels=30)) if change == "settings" else config

    left = unfinished_work(plan_corpus([records], held_out=held_out), target, other)

    assert left is not None
    assert left.startswith("starting anew: ")
    build_corpus(plan_corpus([records]), target, config)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "records"]


def test_truncated_shard_is_made_again(records: Path, tmp_path: Path, config: Config) -> None:
    """A machine that loses power can leave a file that is shorter than its index says."""
    plan, target = plan_corpus([records]), tmp_path / "corpus"

    def stop(now: str, fraction: float) -> None:
        if now.startswith("writing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_corpus(plan, target, config, progress=stop)
    for path in tmp_path.glob(".corpus-building-*/*/00000.*"):
        if path.suffix != ".npz":
            path.write_bytes(path.read_bytes()[:-2])

    build_corpus(plan, target, config)

    build_corpus(plan, tmp_path / "unbroken", config)
    assert _contents(target) == _contents(tmp_path / "unbroken")


def test_nothing_is_fitted_on_held_out_records(records: Path, tmp_path: Path, config: Config) -> None:
    """A codebook that has seen the validation record flatters the validation loss."""
    build_corpus(plan_corpus([records], held_out="c"), tmp_path / "before", config)
    _write(records, "c", np.random.default_rng(0).normal(size=5000).astype(np.float32))

    corpus = build_corpus(plan_corpus([records], held_out="c"), tmp_path / "after", config)

    before, after = _contents(tmp_path / "before"), _contents(tmp_path / "after")
    assert [lead.held_out for lead in corpus.leads] == [False, False, False, True]
    assert before[PREPROCESSOR_FILE] == after[PREPROCESSOR_FILE]
    assert before[TOKENIZER_FILE] == after[TOKENIZER_FILE]
    assert before[TOKENS_FILE] != after[TOKENS_FILE]


def test_excluded_records_are_not_even_opened(records: Path, tmp_path: Path, config: Config) -> None:
    """Test data stay out altogether, and the manifest says so."""
    (records / "c.hea").write_text("no header")

    corpus = build_corpus(plan_corpus([records], excluded="c"), tmp_path / "corpus", config)

    manifest = _manifest(tmp_path / "corpus")
    assert {lead.record for lead in corpus.leads} == {"a", "b"}
    assert manifest["excluded"] == ["c"]
    assert manifest["excluded_recordings"] == ["records/c"]
    assert manifest["unreadable"] == []
    assert manifest["n_tokens"] == corpus.token_ids.size


def test_unscorable_windows_and_short_leads_are_left_out(tmp_path: Path, config: Config) -> None:
    """A flat line teaches the model that flat lines are likely."""
    flat, short = _ecg(0), _ecg(1, 4.9)
    flat[round(3.5 * FS) : round(6.2 * FS)] = 0.02
    _write(tmp_path / "records", "a", flat)
    _write(tmp_path / "records", "b", short)

    corpus = build_corpus(plan_corpus([tmp_path / "records"]), tmp_path / "corpus", config)

    assert [(lead.record, lead.n_samples) for lead in corpus.leads] == [("a", 16 * 360)]
    assert _manifest(tmp_path / "corpus")["without_leads"] == ["records/b"]


def test_leads_that_are_no_ecg_are_left_out(tmp_path: Path, config: Config) -> None:
    """Respiration is not a language of the heart."""
    header = _write(tmp_path / "records", "a", _ecg(0), _ecg(1))
    header.write_text(header.read_text().replace("V5", "RESP"))

    corpus = build_corpus(plan_corpus([tmp_path / "records"]), tmp_path / "corpus", config)

    assert [lead.lead for lead in corpus.leads] == ["II"]


def test_merges_are_learnt_from_as_many_samples_as_the_settings_allow(
    records: Path, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learning merges from all of a large corpus would not fit into memory."""
    few = replace(config, tokenizer=replace(config.tokenizer, training_samples=3000))
    given = []

    def watch(levels: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64], **settings: int) -> Tokenizer:
        given.append((levels.size, lengths.tolist()))
        return train(levels, lengths, **settings)

    train = corpus_building.train_on_levels
    monkeypatch.setattr(corpus_building, "train_on_levels", watch)

    build_corpus(plan_corpus([records]), tmp_path / "corpus", few)

    assert given == [(8 * 360, [360] * 8)]  # every tenth of 80 windows


def test_settings_choose_the_quantiser_and_bound_the_tokens(records: Path, tmp_path: Path, config: Config) -> None:
    """Comparisons of codecs through encoders rest on these two settings."""
    bounded = replace(
        config,
        codebook=replace(config.codebook, method="uniform"),
        tokenizer=replace(config.tokenizer, max_token_samples=3),
    )

    build_corpus(plan_corpus([records]), tmp_path / "corpus", bounded)

    steps = np.diff(load_preprocessing(tmp_path / "corpus").codebook.thresholds)
    assert np.allclose(steps, 1 / config.codebook.n_levels, atol=1e-6)
    assert load_tokenizer(tmp_path / "corpus").token_lengths.max() == 3


def test_progress_names_the_stages_with_recordings_and_shards(records: Path, tmp_path: Path, config: Config) -> None:
    """Large corpora take hours."""
    told: list[tuple[str, float]] = []

    build_corpus(plan_corpus([records]), tmp_path / "corpus", config, progress=lambda *step: told.append(step))

    stages = ("reading", "learning tokens", "encoding", "writing")
    assert [line for line, _ in told] == [f"{stage}, 0/3 recordings, 0/1 shards" for stage in stages]
    assert all(0 <= fraction < 1 for _, fraction in told)


def test_recording_that_cannot_be_read_is_listed(records: Path, tmp_path: Path, config: Config) -> None:
    """One damaged file of thirty thousand must not cost the night, and must not be silently missing."""
    (records / "b.dat").unlink()
    (records / "c.hea").write_text("no header")

    corpus = build_corpus(plan_corpus([records]), tmp_path / "corpus", config)

    unreadable = _manifest(tmp_path / "corpus")["unreadable"]
    assert isinstance(unreadable, list)
    assert [one["recording"] for one in unreadable] == ["records/b", "records/c"]
    assert "b.dat" in unreadable[0]["reason"]
    assert {lead.record for lead in corpus.leads} == {"a"}


def test_recording_that_breaks_off_leaves_no_lead(
    records: Path, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording is in the corpus whole or not at all."""
    build_corpus(plan_corpus([records], excluded="a"), tmp_path / "without", config)
    write = corpus_shards.write_scaled

    def break_off(channel, *rest):  # type: ignore[no-untyped-def]
        found = write(channel, *rest)
        if channel.name == "V5":
            raise RecordFormatError("the file ends here")
        return found

    monkeypatch.setattr(corpus_shards, "write_scaled", break_off)

    build_corpus(plan_corpus([records]), tmp_path / "corpus", config)

    arrays = (TOKENS_FILE, BEATS_FILE, LEADS_FILE, TOKENIZER_FILE, PREPROCESSOR_FILE)
    with_broken, without = _contents(tmp_path / "corpus"), _contents(tmp_path / "without")
    assert {name: with_broken[name] for name in arrays} == {name: without[name] for name in arrays}


def test_strict_build_stops_at_a_recording_that_cannot_be_read_and_continues_when_it_can(
    records: Path, tmp_path: Path, config: Config
) -> None:
    """Who wants all or nothing can say so."""
    samples = (records / "b.dat").rename(tmp_path / "b.dat")
    with pytest.raises(RecordFormatError, match=r"'records/b' cannot be read: .* Exclude it, or leave out --strict"):
        build_corpus(plan_corpus([records], strict=True), tmp_path / "corpus", config)
    assert not (tmp_path / "corpus").exists()
    samples.rename(records / "b.dat")

    corpus = build_corpus(plan_corpus([records], strict=True), tmp_path / "corpus", config)

    assert {lead.record for lead in corpus.leads} == {"a", "b", "c"}


@pytest.mark.parametrize("side", ["held_out", "excluded"])
def test_corpus_without_a_training_record_is_refused(records: Path, tmp_path: Path, config: Config, side: str) -> None:
    """There would be nothing to fit on."""
    plan = plan_corpus([records], **{side: "abc"})  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match="no training record is left"):
        build_corpus(plan, tmp_path / "corpus", config)


def test_corpus_of_unreadable_recordings_is_refused_with_the_first_reason(
    records: Path, tmp_path: Path, config: Config
) -> None:
    """The reason is the way out."""
    for path in records.glob("*.dat"):
        path.unlink()

    with pytest.raises(ConfigError, match=r"The first of 3 that cannot be read: .*a\.dat"):
        build_corpus(plan_corpus([records]), tmp_path / "corpus", config)


def test_folder_that_is_no_corpus_is_not_replaced(records: Path, tmp_path: Path, config: Config) -> None:
    """A slip of -o must not remove somebody's recordings."""
    with pytest.raises(ConfigError, match="exists and is no corpus; only a corpus is replaced"):
        build_corpus(plan_corpus([records]), records, config)

    build_corpus(plan_corpus([records]), tmp_path / "corpus", config)
    corpus = build_corpus(plan_corpus([records], excluded="a"), tmp_path / "corpus", config)
    assert {lead.record for lead in corpus.leads} == {"b", "c"}


@pytest.mark.parametrize(
    ("table", "changes", "message"),
    [
        ("codebook", {"n_levels": 1}, "a codebook has 2 to 256 levels"),
        ("tokenizer", {"n_tokens": 10}, "Raise n_tokens"),
        ("signal", {"span": -1.0}, "scaling span is -1.0"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_read(
    tmp_path: Path, config: Config, table: str, changes: dict[str, float], message: str
) -> None:
    """After hours of reading it is too late."""
    wrong = replace(config, **{table: replace(getattr(config, table), **changes)})

    with pytest.raises(ConfigError, match=message):
        build_corpus(CorpusPlan(()), tmp_path / "corpus", wrong)


def test_more_tokens_than_16_bits_hold_are_stored_in_32(
    records: Path, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Token ids of a large vocabulary would wrap around in two bytes."""
    from heartbert.tokens.training import _finish, _model_of

    pairs = np.indices((256, 256)).reshape(2, -1).T[::-1] + 7  # all pairs of 256 letters, high ones first
    monkeypatch.setattr(corpus_building, "train_on_levels", lambda *_, **__: _finish(_model_of(pairs, 256)))
    many = replace(config, codebook=replace(config.codebook, n_levels=256))
    many = replace(many, tokenizer=replace(many.tokenizer, n_tokens=70_000))

    corpus = build_corpus(plan_corpus([records], excluded="bc"), tmp_path / "corpus", many)

    assert corpus.token_ids.dtype == np.uint32
    tokenizer = load_tokenizer(tmp_path / "corpus")
    assert tokenizer.token_lengths[corpus.leads[0].of(corpus.token_ids)].sum() == 7200


def test_weights_of_a_corpus_with_a_forbidding_licence_may_not_ship(
    records: Path, tmp_path: Path, config: Config
) -> None:
    """A licence travels with what is made of the data."""
    icentia = tmp_path / "icentia11k"
    _write(icentia, "p00000_s00", _ecg(5))

    build_corpus(plan_corpus([records]), tmp_path / "mine", config)
    build_corpus(plan_corpus([records, icentia]), tmp_path / "both", config)

    mine = _manifest(tmp_path / "mine")
    assert (mine["weights_may_ship"], mine["databases"][0]["weights_may_ship"]) == (False, None)  # type: ignore[index]
    both = _manifest(tmp_path / "both")
    assert both["weights_may_ship"] is False
    assert isinstance(both["databases"], list)
    assert [one["licence"] for one in both["databases"]] == [None, "CC BY-NC-SA 4.0"]


def test_owners_may_say_that_weights_of_their_recordings_may_ship(
    records: Path, tmp_path: Path, config: Config
) -> None:
    """Nobody else knows; and what a licence forbids, they cannot allow."""
    icentia = tmp_path / "icentia11k"
    _write(icentia, "p00000_s00", _ecg(5))

    build_corpus(plan_corpus([records], own_data=True), tmp_path / "mine", config)
    build_corpus(plan_corpus([records, icentia], own_data=True), tmp_path / "both", config)

    assert _manifest(tmp_path / "mine")["weights_may_ship"] is True
    both = _manifest(tmp_path / "both")
    assert both["weights_may_ship"] is False
    assert [one["weights_may_ship"] for one in both["databases"]] == [True, False]  # type: ignore[attr-defined]


def test_lead_table_is_a_sequence_with_columns() -> None:
    """Training walks through leads; statistics want columns."""
    leads = [Lead("a", "Ä/1", "II", "x", False, 0, 4, 9), Lead("bb", "y", "V5", "xyz", True, 4, 3, 8)]

    table = LeadTable(lead_rows(leads))

    assert list(table) == leads
    assert len(table) == 2
    assert table[-1] == leads[1]
    assert list(table[1:]) == leads[1:]
    assert [table.record.tolist(), table.subject_id.tolist()] == [["a", "bb"], ["Ä/1", "y"]]
    assert [table.lead.tolist(), table.database.tolist()] == [["II", "V5"], ["x", "xyz"]]
    assert [table.held_out.tolist(), table.first.tolist()] == [[False, True], [0, 4]]
    assert [table.length.tolist(), table.n_samples.tolist()] == [[4, 3], [9, 8]]


def test_opening_a_corpus_maps_its_files_and_reads_none(tiny_corpus: Path) -> None:
    """A corpus of any size opens in milliseconds."""
    corpus = open_corpus(tiny_corpus)

    assert isinstance(corpus, Corpus)
    assert isinstance(corpus.token_ids, np.memmap)
    assert isinstance(corpus.beats, np.memmap)
    assert isinstance(corpus.leads._rows, np.memmap)
    assert (np.diff(corpus.beats) > 0).all()


def test_corpus_of_an_earlier_version_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    """The message must say what to do, not which file is missing."""
    (tmp_path / "leads.json").write_text("[]")

    with pytest.raises(BundleError, match=r"was built by an earlier version of heartbert .* Build it again"):
        open_corpus(tmp_path)


def _drop(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _write_bytes(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1])


def _save(name: str, array: npt.NDArray[np.generic]) -> Callable[[Path], object]:
    return lambda folder: np.save(folder / name, array)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop(TOKENS_FILE), "is no corpus .*; build it with 'heartbert corpus build'"),
        (_drop(BEATS_FILE), "is no corpus .*; build it with 'heartbert corpus build'"),
        (_drop(LEADS_FILE), "is no corpus .*; build it with 'heartbert corpus build'"),
        (_write_bytes(LEADS_FILE, b"[{"), "is no corpus"),
        (_write_bytes(TOKENS_FILE, b""), "is no corpus"),
        (_cut(TOKENS_FILE), "is no corpus"),
        (_cut(LEADS_FILE), "is no corpus"),
        (_save(TOKENS_FILE, np.zeros(2, dtype=np.uint16)), "has 2 tokens, leads.npy [0-9]+. Build it again"),
        (_save(LEADS_FILE, np.zeros(2, dtype=np.int64)), "leads.npy 0. Build it again"),
    ],
)
def test_open_corpus_refuses_a_damaged_folder(
    tiny_corpus: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    """A file cut by a full disk would train on the wrong rows."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for path in tiny_corpus.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    damage(folder)

    with pytest.raises(BundleError, match=message):
        open_corpus(folder)


def test_find_records_lists_every_format_below_a_folder(tmp_path: Path) -> None:
    """Databases come in folders of folders."""
    (tmp_path / "night").mkdir()
    for name in ("b.hea", "a.EDF", "night/c.bdf", "b.dat", "notes.txt"):
        (tmp_path / name).touch()

    found = find_records(tmp_path)

    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.EDF", "b.hea", "night/c.bdf"]


def test_find_records_refuses_a_folder_without_any(tmp_path: Path) -> None:
    """A wrong path would otherwise end as an empty corpus."""
    with pytest.raises(RecordFormatError, match=r"holds no recording \(.hea, .edf, .bdf\)"):
        find_records(tmp_path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says which pages of a file are in memory")
def test_tokens_that_were_read_can_be_let_go(records: Path, tmp_path: Path, config: Config) -> None:
    """A pass over a large corpus need not stay in the memory of the process that made it."""
    corpus = tmp_path / "corpus"
    build_corpus(plan_corpus([records]), corpus, config)
    n_tokens = 4 << 20
    np.save(corpus / TOKENS_FILE, np.ones(n_tokens, dtype=np.uint16))
    leads = np.load(corpus / LEADS_FILE)
    leads["first"], leads["length"] = 0, 0
    leads[-1]["length"] = n_tokens
    np.save(corpus / LEADS_FILE, leads)
    opened = open_corpus(corpus)
    assert int(opened.token_ids.sum()) == n_tokens
    before = _resident_kb(corpus / TOKENS_FILE)
    opened.release()
    assert before > n_tokens // 1024
    assert _resident_kb(corpus / TOKENS_FILE) < before // 10
    assert int(opened.token_ids[-100:].sum()) == 100


def _resident_kb(path: Path) -> int:
    """Return how much of a mapped file is in this process's memory."""
    lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
    places = [number for number, line in enumerate(lines) if line.endswith(str(path.resolve()))]
    return sum(int(next(line for line in lines[number:] if line.startswith("Rss:")).split()[1]) for number in places)
