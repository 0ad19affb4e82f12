"""The text of a recording as a file, and back."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from heartbert.errors import ConfigError, LeadNotFoundError, SignalValueError, TextError
from heartbert.levels import Codebook
from heartbert.preprocessing import Preprocessing
from heartbert.records import read_record
from heartbert.results.codec_text import (
    Decoder,
    choose_decoder,
    decode_text,
    read_facts,
    side_file,
    write_text,
)
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import Scaling, ScalingRule
from tests.synthetic import record_of, synthetic_ecg

HALF_CELL = 0.005


def codec_of(n_levels: int = 100, *, rule: ScalingRule | None = None) -> Preprocessing:
    """Return an unfiltered codec with even levels and windows of a second."""
    thresholds, values = np.arange(1, n_levels) / n_levels, (np.arange(n_levels) + 0.5) / n_levels
    codebook = Codebook(tuple(thresholds.tolist()), tuple(values.tolist()))
    return Preprocessing(BandPass(0.0, 0.0), rule or ScalingRule("record-range", 1.0), codebook, 360)


def signal_of(path: Path) -> npt.NDArray[np.float32]:
    """Read a decoded signal."""
    return np.asarray(np.load(path), dtype=np.float32)


@pytest.mark.parametrize("alphabet", ["heartbert", "published"])
@pytest.mark.parametrize("suffix", [".npy", ".csv"])
def test_decoded_text_is_the_signal_within_half_a_cell(tmp_path: Path, alphabet, suffix: str) -> None:
    """Text is a way to store an ECG only if it can be read again, line breaks of the published alphabet included."""
    signal = synthetic_ecg(10.5, 360.0, ventricular_share=0.3)[0]
    text, output = tmp_path / "a.txt", tmp_path / f"a{suffix}"
    write_text(record_of(signal, 360.0), codec_of(), text, alphabet=alphabet)

    n_samples = decode_text(text, choose_decoder(read_facts(text), None, None), output)

    decoded = signal_of(output) if suffix == ".npy" else read_record(output).lead("II").read()
    assert n_samples == decoded.size == signal.size
    width_mv = signal.max() - signal.min()
    assert np.abs(decoded - signal).max() <= HALF_CELL * width_mv + 1e-5


def test_text_has_a_line_for_each_window_and_nothing_but_line_feeds(tmp_path: Path) -> None:
    """Other programs count lines; U+0085 and U+00A0 are letters of the published alphabet."""
    text = tmp_path / "a.txt"

    facts = write_text(record_of(synthetic_ecg(3.5, 360.0)[0], 360.0), codec_of(), text, alphabet="published")

    lines = text.read_bytes().decode("utf-8").split("\n")
    assert [len(line) for line in lines] == [360, 360, 360, 180, 0]
    assert facts.n_windows == 4
    assert max("".join(lines)) <= chr(164)


def test_csv_is_read_as_the_same_lead_in_the_same_unit(tmp_path: Path) -> None:
    """A decoded lead can go through `heartbert analyze`."""
    text, output = tmp_path / "a.txt", tmp_path / "a.csv"
    write_text(record_of(synthetic_ecg(5.0, 360.0)[0], 360.0), codec_of(), text)
    decode_text(text, choose_decoder(read_facts(text), None, None), output)

    channel = read_record(output).lead()

    assert (channel.name, channel.unit, channel.fs, channel.n_samples) == ("II", "mV", 360.0, 1800)


def test_clipped_and_unscorable_samples_are_counted(tmp_path: Path) -> None:
    """Every window keeps its line, so what its letters are worth must be said elsewhere."""
    signal = synthetic_ecg(10.0, 360.0)[0]
    signal[360:1080] = np.nan
    codec = codec_of(rule=ScalingRule("fixed", 0.5))

    facts = write_text(record_of(signal, 360.0), codec, tmp_path / "a.txt")

    assert facts.n_samples == 3600
    assert facts.n_clipped == np.count_nonzero(np.abs(signal) > 0.5)
    (stretch,) = facts.unscorable
    assert (stretch.start_s, stretch.stop_s) == pytest.approx((0.9, 3.1))
    assert facts.unscorable_s == pytest.approx(2.2)
    assert read_facts(tmp_path / "a.txt") == facts


def test_without_side_file_amplitudes_lie_in_0_to_1(tmp_path: Path) -> None:
    """A text from elsewhere has no millivolts."""
    (tmp_path / "a.txt").write_text("!#\n#", encoding="utf-8")
    decoder = choose_decoder(read_facts(tmp_path / "a.txt"), (0.1, 0.5, 0.9), None)

    decode_text(tmp_path / "a.txt", decoder, tmp_path / "a.npy")
    decode_text(tmp_path / "a.txt", decoder, tmp_path / "a.csv")

    assert signal_of(tmp_path / "a.npy").tolist() == pytest.approx([0.1, 0.9, 0.9])
    assert (tmp_path / "a.csv").read_text().splitlines()[:2] == ['time_s,"amplitude"', "0.000000,0.1"]


def test_what_is_asked_for_wins_over_the_side_file(tmp_path: Path) -> None:
    """A bundle or an alphabet that is named is used."""
    facts = write_text(record_of(synthetic_ecg(3.0, 360.0)[0], 360.0), codec_of(), tmp_path / "a.txt")

    decoder = choose_decoder(facts, (0.25, 0.75), "published")

    assert (decoder.values, decoder.alphabet) == ((0.25, 0.75), "published")
    assert decoder.scaling == Scaling(facts.scale_low, facts.scale_high)


def test_decoding_needs_values(tmp_path: Path) -> None:
    """A guess would be a silent fallback."""
    with pytest.raises(ConfigError, match="nothing says what the letters decode to"):
        choose_decoder(None, None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"!#\n!x#\n", r"a.txt', line 2: the text has 'x' \(U\+0078\) at position 1"),
        (b"!#\r\n", r"line 1: the text has '\\r' \(U\+000D\) at position 2"),
        (b"!\xff", "is not UTF-8"),
        (b"\n\n", "holds no letter"),
    ],
)
def test_a_text_that_cannot_be_decoded_is_refused_with_its_place(tmp_path: Path, content: bytes, message: str) -> None:
    """In a file of a million letters, the first wrong one must be named; nothing is written."""
    (tmp_path / "a.txt").write_bytes(content)

    with pytest.raises(TextError, match=message):
        decode_text(
            tmp_path / "a.txt", Decoder((0.1, 0.5, 0.9), "heartbert", Scaling(0.0, 1.0), "x"), tmp_path / "a.npy"
        )

    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_other_kinds_of_output_are_refused(tmp_path: Path) -> None:
    """The name decides what is written."""
    with pytest.raises(ConfigError, match=r"'a\.wav' ends in '\.wav'; a signal is written as \.csv or \.npy"):
        decode_text(tmp_path / "a.txt", Decoder((0.1, 0.9), "heartbert", Scaling(0.0, 1.0), "x"), tmp_path / "a.wav")


@pytest.mark.parametrize("content", ["{", "[]", '{"unscorable": []}', '{"unscorable": [{"start": 1}]}'])
def test_a_damaged_side_file_is_refused(tmp_path: Path, content: str) -> None:
    """Millivolts from half a file would be wrong ones."""
    side_file(tmp_path / "a.txt").write_text(content)

    with pytest.raises(TextError, match=r"a\.txt\.json' does not say what the letters of 'a\.txt' mean"):
        read_facts(tmp_path / "a.txt")


def test_a_side_file_with_an_unknown_alphabet_is_refused(tmp_path: Path) -> None:
    """It may be of a later version."""
    text = tmp_path / "a.txt"
    write_text(record_of(synthetic_ecg(3.0, 360.0)[0], 360.0), codec_of(), text)
    content = json.loads(side_file(text).read_text())
    side_file(text).write_text(json.dumps({**content, "alphabet": "morse"}))

    with pytest.raises(TextError, match="the alphabet 'morse' is unknown"):
        read_facts(text)


def test_an_alphabet_with_too_few_letters_is_refused(tmp_path: Path) -> None:
    """The published one has a hundred."""
    with pytest.raises(ConfigError, match="the codebook has 128 levels and the alphabet 'published' has 100 letters"):
        write_text(record_of(synthetic_ecg(3.0, 360.0)[0], 360.0), codec_of(128), tmp_path / "a", alphabet="published")


def test_leads_that_are_none_or_not_in_their_unit_are_refused(tmp_path: Path) -> None:
    """As everywhere, and without a file left behind."""
    signal = synthetic_ecg(3.0, 360.0)[0]

    with pytest.raises(LeadNotFoundError, match="has no lead 'V9'"):
        write_text(record_of(signal, 360.0), codec_of(), tmp_path / "a.txt", lead="V9")
    with pytest.raises(SignalValueError, match="The unit is probably uV"):
        write_text(record_of(1000 * signal, 360.0), codec_of(), tmp_path / "a.txt")

    assert list(tmp_path.iterdir()) == []
