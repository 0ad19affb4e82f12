"""A codec measured on two tiny databases."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from heartbert.errors import ConfigError
from heartbert.evaluation.codec import PUBLISHED_PATH, SignalPath
from heartbert.evaluation.codec_databases import CodecMeasurement, measure_codec
from heartbert.evaluation.codec_excerpts import take_excerpts
from heartbert.evaluation.codec_plan import CodecPlan, Database, choose_records
from heartbert.evaluation.codec_records import measure_record
from heartbert.evaluation.codec_tokens import Coder, token_row
from heartbert.levels import Codebook
from heartbert.preprocessing import Preprocessing
from heartbert.results.codec_page import codec_json
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import ScalingRule
from heartbert.text import to_text
from heartbert.tokens import train_tokenizer
from tests.synthetic import synthetic_ecg, write_annotated

N_LEVELS = 8
ROBUST = SignalPath(BandPass(0.5, 40.0), ScalingRule("robust", 1.5))


def uniform_codebook(n_levels: int) -> Codebook:
    """Return cells of equal width that decode to their middle."""
    return Codebook(
        tuple((np.arange(1, n_levels) / n_levels).tolist()), tuple(((np.arange(n_levels) + 0.5) / n_levels).tolist())
    )


def shipped_coder() -> Coder:
    """Return the codec and tokenizer of a bundle that was never made."""
    codec = Preprocessing(ROBUST.band, ROBUST.rule, uniform_codebook(N_LEVELS), 400)
    texts = [to_text(np.tile(np.arange(N_LEVELS, dtype=np.uint8), 10))]
    return Coder("shipped", codec, (train_tokenizer(texts, n_levels=N_LEVELS, n_tokens=20),), None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[Path]]]:
    """Return two databases of two short recordings; the first recording of the second equals one of the first."""
    found = []
    for name, seeds in (("first", {"a": 0, "b": 1}), ("second", {"c": 0, "d": 2})):
        folder = tmp_path_factory.mktemp(name)
        found.append((name, [write_annotated(folder, one, seed=seed, duration_s=12.0) for one, seed in seeds.items()]))
    return found


def plan_of(databases: tuple[Database, ...], *, n_workers: int = 1) -> CodecPlan:
    """Return a plan with eight levels and tiny vocabularies."""
    return CodecPlan(databases, ROBUST, N_LEVELS, 400, (16, 32), 5000, n_workers)


@pytest.fixture(scope="module")
def measurement(folders: list[tuple[str, list[Path]]]) -> CodecMeasurement:
    """Measure both databases."""
    return measure_codec(plan_of(choose_records(folders)), shipped_coder())


def test_lloyd_max_is_best_on_what_it_was_fitted_on(measurement: CodecMeasurement) -> None:
    """On every path; else it would not deserve its name."""
    rows = [row for row in measurement.distortion if row.database == "first"]

    for path in {row.path for row in rows}:
        ratios = {row.quantiser: row.pooled_snr_db for row in rows if row.path == path}
        assert max(ratios, key=lambda name: ratios[name]) == "lloyd-max", path
    assert {row.path for row in rows} >= {PUBLISHED_PATH.name, ROBUST.name}


def test_rows_say_on_how_much_they_rest(measurement: CodecMeasurement) -> None:
    """Two leads of 12 s at 360 Hz, all scorable."""
    first = measurement.databases[0]

    assert (first.n_records, first.n_leads, first.n_samples, first.n_left_out) == (2, 2, 2 * 12 * 360, 0)
    assert {row.n_samples for row in measurement.distortion} == {2 * 12 * 360}
    assert {row.n_leads for row in measurement.distortion} == {2}


def test_drift_is_measured_from_the_first_database(measurement: CodecMeasurement) -> None:
    """A codebook fitted here cannot be worse than one brought along, and the first has none but the shipped."""
    fitted = [row for row in measurement.drift if row.quantiser == "lloyd-max"]

    assert {row.database for row in fitted} == {"second"}
    assert [row.database for row in measurement.drift if row.quantiser == "shipped"] == ["first", "second"]
    assert all(row.loss_db >= -1e-9 and 0 <= row.level_divergence_bits < 1 for row in measurement.drift)


def test_no_drift_between_equal_databases(folders: list[tuple[str, list[Path]]]) -> None:
    """The same signal under another name loses nothing."""
    (_, (first, _)), (_, (same, _)) = folders
    databases = (Database("first", (first,)), Database("same", (same,)))

    found = measure_codec(plan_of(databases), shipped_coder())

    fitted = [row for row in found.drift if row.quantiser == "lloyd-max"]
    assert {(row.loss_db, row.level_divergence_bits) for row in fitted} == {(0.0, 0.0)}


def test_nothing_is_fitted_on_further_databases(
    folders: list[tuple[str, list[Path]]], measurement: CodecMeasurement
) -> None:
    """Test data must not reach a codebook or a tokenizer."""
    alone = measure_codec(plan_of(choose_records(folders[:1])), shipped_coder())

    assert alone.distortion == tuple(row for row in measurement.distortion if row.database == "first")
    assert alone.tokens == tuple(row for row in measurement.tokens if row.database == "first")


def test_results_do_not_depend_on_the_number_of_workers(
    folders: list[tuple[str, list[Path]]], measurement: CodecMeasurement
) -> None:
    """Who repeats a report on another machine must find the same numbers."""
    two = measure_codec(plan_of(choose_records(folders), n_workers=2), shipped_coder())

    assert codec_json(two) == codec_json(measurement)


def test_tokens_cover_every_sample_of_scorable_windows(measurement: CodecMeasurement) -> None:
    """Twelve seconds are ten windows of 400 samples and one of 320."""
    assert {row.n_samples for row in measurement.tokens} == {2 * 12 * 360}
    assert [row.vocabulary for row in measurement.tokens if row.database == "first"] == [20, 16, 32, 16, 32]
    for row in measurement.tokens:
        assert row.tokens_per_second * row.samples_per_token == pytest.approx(360)


def test_token_row_is_that_of_the_count_on_paper() -> None:
    """Two single letters and one pair: four samples in three tokens, one letter unused."""
    tokenizer = train_tokenizer(["!!!!!!"], n_levels=2, n_tokens=10)
    counts = np.array([0] * 7 + [2, 0, 1])

    row = token_row("db", Coder("x", shipped_coder().codec, (tokenizer,), 6), tokenizer, counts)

    assert (row.n_samples, row.n_pieces, row.longest_samples, row.n_covering) == (4, 3, 2, 2)
    assert row.used_share == pytest.approx(2 / 3)
    assert row.rare_share == 1.0
    assert row.bits_per_token == pytest.approx(0.9183, abs=1e-4)
    assert row.bits_per_sample == pytest.approx(0.9183 * 3 / 4, abs=1e-4)


def test_token_row_of_nothing_is_zero() -> None:
    """A database in which no window can be scored has a row all the same."""
    coder = shipped_coder()

    row = token_row("db", coder, coder.tokenizers[0], np.zeros(20, dtype=np.int64))

    assert (row.samples_per_token, row.bits_per_token, row.n_covering, row.used_share) == (0.0, 0.0, 0, 0.0)


def test_excerpts_show_what_codecs_were_given_and_gave(measurement: CodecMeasurement) -> None:
    """The picture must not be of something else than the numbers."""
    assert [one.database for one in measurement.excerpts] == ["first", "second", "first", "second"]
    given, decoded = measurement.excerpts[0].signals["shipped"]
    assert given.shape == decoded.shape == (1080,)
    assert np.corrcoef(given, decoded)[0, 1] > 0.8


def test_excerpt_of_an_unscorable_middle_is_left_out(write_wfdb) -> None:
    """A flat line explains nothing."""
    wave = np.round(200 * synthetic_ecg(12.0, 360.0)[0]).astype(np.int64)
    wave[600:3700] = 0

    found = take_excerpts([("db", [write_wfdb([wave])])], {"shipped": shipped_coder().codec}, 1)

    assert found == ()


def test_excerpt_of_a_recording_without_ecg_is_left_out(write_wfdb, digital) -> None:
    """It must not end a report that took an hour."""
    path = write_wfdb([digital], names=("RESP",))

    assert take_excerpts([("db", [path])], {"shipped": shipped_coder().codec}, 1) == ()


def test_leads_of_unknown_unit_have_no_part_in_millivolts(write_wfdb, digital) -> None:
    """5 mV means nothing to a lead without a unit; a flat lead is left out of everything."""
    wave = np.round(200 * synthetic_ecg(10.0, 360.0)[0]).astype(np.int64)
    fixed = SignalPath(BandPass(0.0, 0.0), ScalingRule("fixed", 5.0))
    path = write_wfdb([wave, np.zeros_like(wave)], gain="200(0)/NU", names=("II", "V5"))

    found = measure_record(path, {PUBLISHED_PATH: (uniform_codebook(8),), fixed: (uniform_codebook(8),)})

    assert (found.n_leads, found.n_left_out, found.n_unknown_unit) == (1, 1, 1)
    assert [one.n_samples for one in found.amplitudes] == [3600, 0]
    assert [table.shape for table in found.ratios_db] == [(1, 1), (0, 1)]


def test_a_database_of_unknown_unit_has_no_rows_in_millivolts(write_wfdb, folders) -> None:
    """Ten records of the QT Database are such; a codec of fixed millivolts gives them no tokens either."""
    wave = np.round(200 * synthetic_ecg(12.0, 360.0)[0]).astype(np.int64)
    unknown = Database("unknown", (write_wfdb([wave], gain="200(0)/NU"),))
    known = Database(folders[0][0], tuple(folders[0][1]))
    shipped = shipped_coder()
    fixed = replace(shipped, codec=replace(shipped.codec, scaling_rule=ScalingRule("fixed", 5.0)))

    found = measure_codec(replace(plan_of((known, unknown)), vocabularies=()), fixed)

    rows = [*found.distortion, *found.drift]
    assert {row.path.split()[0] for row in rows if row.database == "unknown"} == {"record-range,", "robust"}
    assert [row.n_samples for row in found.tokens] == [2 * 12 * 360, 0]


def test_people_of_the_first_database_are_left_out_of_the_others() -> None:
    """15 recordings of the QT Database are excerpts of MIT-BIH: a drift of zero would be their merit."""
    mitdb, qtdb = [Path("100.hea"), Path("101.hea")], [Path("sel100.hea"), Path("sele0104.hea")]

    databases = choose_records([("mitdb", mitdb), ("qtdb", qtdb)])

    assert [path.stem for path in databases[1].paths] == ["sele0104"]
    assert databases[1].n_shared == 1


def test_chosen_records_are_spread_evenly() -> None:
    """The first ones of a database are often of one kind."""
    paths = [Path(f"{number:02}.hea") for number in range(10)]

    (database,) = choose_records([("db", paths)], excluded=frozenset({"00", "01"}), most=4)

    assert [path.stem for path in database.paths] == ["02", "04", "06", "08"]


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([("db", [Path("a.hea")]), ("db", [Path("b.hea")])], "two folders are called 'db'"),
        ([("db", [Path("left-out.hea")])], "'db' has no recording left of 1; exclude fewer"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(folders: list[tuple[str, list[Path]]], message: str) -> None:
    """An empty table is found out too late."""
    with pytest.raises(ConfigError, match=message):
        choose_records(folders, excluded=frozenset({"left-out"}))


def test_a_vocabulary_without_room_for_the_letters_is_refused_at_once() -> None:
    """Not after an hour of reading."""
    with pytest.raises(ConfigError, match="a vocabulary of 10 tokens is asked for; 8 letters and 7 special"):
        CodecPlan((), ROBUST, N_LEVELS, 400, (10, 32), 5000)


def test_a_first_database_that_cannot_be_scored_is_refused(write_wfdb) -> None:
    """Nothing can be fitted on flat lines."""
    path = write_wfdb([np.zeros(3600, dtype=np.int64)])

    with pytest.raises(ConfigError, match="'flat' has no ECG lead that can be scored"):
        measure_codec(plan_of((Database("flat", (path,)),)), shipped_coder())
