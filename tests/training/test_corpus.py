"""A corpus is the same however it is built, holds no unscorable window, and learns from training records only."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import wfdb

from heartbert.errors import BundleError, ConfigError, RecordFormatError
from heartbert.preprocessing import PREPROCESSOR_FILE
from heartbert.tokens import TOKENIZER_FILE, load_tokenizer
from heartbert.training.config import Config, read_config
from heartbert.training.corpus import LEADS_FILE, MANIFEST_FILE, TOKENS_FILE, open_corpus
from heartbert.training.corpus_building import CorpusPlan, build_corpus, find_records
from tests.synthetic import synthetic_ecg

FS = 250.0
FILES = {TOKENS_FILE, LEADS_FILE, MANIFEST_FILE, PREPROCESSOR_FILE, TOKENIZER_FILE}


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
def records(tmp_path: Path) -> tuple[Path, ...]:
    """Return three records, the first one with two leads."""
    folder = tmp_path / "records"
    return (
        _write(folder, "a", _ecg(0), _ecg(1)),
        _write(folder, "b", _ecg(2)),
        _write(folder, "c", _ecg(3)),
    )


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_corpus_holds_every_sample_of_every_lead(records: tuple[Path, ...], tmp_path: Path, config: Config) -> None:
    """Token ids decode to as many letters as the leads have samples."""
    corpus = build_corpus(CorpusPlan(records), tmp_path / "corpus", config)

    tokenizer = load_tokenizer(tmp_path / "corpus")
    assert set(_contents(tmp_path / "corpus")) == FILES
    assert [(lead.record, lead.lead) for lead in corpus.leads] == [("a", "II"), ("a", "V5"), ("b", "II"), ("c", "II")]
    for lead in corpus.leads:
        assert lead.n_samples == 7200
        assert tokenizer.token_lengths[lead.of(corpus.token_ids)].sum() == lead.n_samples


def test_corpus_does_not_depend_on_the_number_of_workers(
    records: tuple[Path, ...], tmp_path: Path, config: Config
) -> None:
    """A corpus built on a larger machine must be the same to the byte."""
    build_corpus(CorpusPlan(records), tmp_path / "one", config)

    build_corpus(CorpusPlan(records, n_workers=2), tmp_path / "two", config)

    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_nothing_is_fitted_on_held_out_records(records: tuple[Path, ...], tmp_path: Path, config: Config) -> None:
    """A codebook that has seen the validation record flatters the validation loss."""
    plan = CorpusPlan(records, held_out=frozenset("c"))
    build_corpus(plan, tmp_path / "before", config)
    _write(tmp_path / "records", "c", np.random.default_rng(0).normal(size=5000).astype(np.float32))

    corpus = build_corpus(plan, tmp_path / "after", config)

    before, after = _contents(tmp_path / "before"), _contents(tmp_path / "after")
    assert [lead.held_out for lead in corpus.leads] == [False, False, False, True]
    assert before[PREPROCESSOR_FILE] == after[PREPROCESSOR_FILE]
    assert before[TOKENIZER_FILE] == after[TOKENIZER_FILE]
    assert before[TOKENS_FILE] != after[TOKENS_FILE]


def test_excluded_records_are_not_even_opened(records: tuple[Path, ...], tmp_path: Path, config: Config) -> None:
    """Test data stay out altogether, and the manifest says so."""
    records[2].write_text("no header")

    corpus = build_corpus(CorpusPlan(records, excluded=frozenset("c")), tmp_path / "corpus", config)

    manifest = json.loads((tmp_path / "corpus" / MANIFEST_FILE).read_text())
    assert {lead.record for lead in corpus.leads} == {"a", "b"}
    assert manifest["excluded"] == ["c"]
    assert manifest["n_tokens"] == corpus.token_ids.size


def test_unscorable_windows_and_short_leads_are_left_out(tmp_path: Path, config: Config) -> None:
    """A flat line teaches the model that flat lines are likely."""
    flat, short = _ecg(0), _ecg(1, 4.9)
    flat[round(3.5 * FS) : round(6.2 * FS)] = 0.02
    paths = (_write(tmp_path / "records", "a", flat), _write(tmp_path / "records", "b", short))

    corpus = build_corpus(CorpusPlan(paths), tmp_path / "corpus", config)

    assert [(lead.record, lead.n_samples) for lead in corpus.leads] == [("a", 16 * 360)]


def test_leads_that_are_no_ecg_are_left_out(tmp_path: Path, config: Config) -> None:
    """Respiration is not a language of the heart."""
    header = _write(tmp_path / "records", "a", _ecg(0), _ecg(1))
    header.write_text(header.read_text().replace("V5", "RESP"))

    corpus = build_corpus(CorpusPlan((header,)), tmp_path / "corpus", config)

    assert [lead.lead for lead in corpus.leads] == ["II"]


def test_merges_are_learnt_from_as_many_samples_as_the_settings_allow(
    records: tuple[Path, ...], tmp_path: Path, config: Config
) -> None:
    """Learning merges from all of a large corpus would not fit into memory."""
    few = replace(config, tokenizer=replace(config.tokenizer, training_samples=3000))

    build_corpus(CorpusPlan(records), tmp_path / "corpus", few)

    assert load_tokenizer(tmp_path / "corpus").n_tokens <= few.tokenizer.n_tokens


def test_progress_names_the_stages_in_order(records: tuple[Path, ...], tmp_path: Path, config: Config) -> None:
    """Large corpora take hours."""
    told: list[tuple[str, float]] = []

    build_corpus(CorpusPlan(records), tmp_path / "corpus", config, progress=lambda *step: told.append(step))

    assert list(dict.fromkeys(stage for stage, _ in told)) == ["reading", "learning tokens", "encoding"]
    assert all(0 <= fraction < 1 for _, fraction in told)


@pytest.mark.parametrize("stage", ["reading", "learning tokens", "encoding"])
def test_interrupted_build_leaves_nothing(
    records: tuple[Path, ...], tmp_path: Path, config: Config, stage: str
) -> None:
    """Half a corpus must not be taken for a whole one."""

    def interrupt(now: str, fraction: float) -> None:
        if now == stage and fraction > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_corpus(CorpusPlan(records), tmp_path / "out" / "corpus", config, progress=interrupt)

    assert list((tmp_path / "out").iterdir()) == []


def test_damaged_recording_is_refused(records: tuple[Path, ...], tmp_path: Path, config: Config) -> None:
    """A corpus with silently missing records could not be built again."""
    records[1].with_suffix(".dat").unlink()

    with pytest.raises(RecordFormatError, match="b"):
        build_corpus(CorpusPlan(records), tmp_path / "corpus", config)

    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("plan", [{"held_out": frozenset("abc")}, {"excluded": frozenset("abc")}])
def test_corpus_without_a_training_record_is_refused(
    records: tuple[Path, ...], tmp_path: Path, config: Config, plan: dict[str, frozenset[str]]
) -> None:
    """There would be nothing to fit on."""
    with pytest.raises(ConfigError, match="no training record is left"):
        build_corpus(CorpusPlan(records, **plan), tmp_path / "corpus", config)


def test_vocabulary_beyond_16_bits_is_refused(tmp_path: Path, config: Config) -> None:
    """Token ids are stored in two bytes and would wrap around."""
    large = replace(config, tokenizer=replace(config.tokenizer, n_tokens=65537))

    with pytest.raises(ConfigError, match="n_tokens is 65537; a corpus holds ids up to 65535"):
        build_corpus(CorpusPlan(()), tmp_path / "corpus", large)


def _drop(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _write_bytes(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop(TOKENS_FILE), "is no corpus .*; build it with 'heartbert corpus build'"),
        (_drop(LEADS_FILE), "is no corpus .*; build it with 'heartbert corpus build'"),
        (_write_bytes(LEADS_FILE, b"[{"), "is no corpus"),
        (_write_bytes(LEADS_FILE, b'[{"record": "a"}]'), "is no corpus"),
        (_write_bytes(TOKENS_FILE, b""), "is no corpus"),
        (_write_bytes(TOKENS_FILE, b"abc"), "is no corpus"),
        (_write_bytes(TOKENS_FILE, b"abcd"), "has 2 tokens, leads.json [0-9]+. Build it again"),
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
