"""The codec on the command line: text, decode and codec-report."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from heartbert.cli import main
from heartbert.preprocessing import load_preprocessing
from heartbert.records import read_record
from tests.evaluation.test_codec_databases import shipped_coder
from tests.synthetic import write_annotated


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the program with arguments and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["heartbert", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main.run()
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def codec_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a codec and a tokenizer without an encoder: all that these commands read."""
    folder = tmp_path_factory.mktemp("codec-bundle")
    coder = shipped_coder()
    coder.codec.save(folder)
    coder.tokenizers[0].save(folder)
    return folder


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two recordings."""
    folder = tmp_path_factory.mktemp("database")
    for seed, name in enumerate("ab"):
        write_annotated(folder, name, seed=seed, duration_s=12.0)
    return folder


@pytest.mark.parametrize("alphabet", ["heartbert", "published"])
def test_text_decodes_to_the_lead_within_half_a_cell(
    database: Path, codec_bundle: Path, tmp_path: Path, monkeypatch, capsys, alphabet: str
) -> None:
    """The round trip that the codec promises, through files and the command line."""
    text, output = tmp_path / "a.txt", tmp_path / "a.csv"
    arguments = ("--bundle", codec_bundle, "--alphabet", alphabet, "--lead", "ii")

    assert run(monkeypatch, "text", database / "a.hea", "-o", text, *arguments) == 0
    printed = capsys.readouterr().out
    assert run(monkeypatch, "decode", text, "-o", output) == 0

    codec = load_preprocessing(codec_bundle)
    facts = json.loads(text.with_name("a.txt.json").read_text())
    (block,) = codec.stream(read_record(database / "a.hea").lead())
    wanted = np.clip(block.inner_signal, facts["scale_low"], facts["scale_high"])
    decoded = read_record(output).lead("II").read()
    half_cell_mv = (facts["scale_high"] - facts["scale_low"]) / codec.codebook.n_levels / 2
    assert np.abs(decoded - wanted).max() <= half_cell_mv + 1e-5
    assert f"clipped samples\t{facts['n_clipped']}" in printed
    assert "lines\t11 of 400 letters at most\n" in printed
    assert f"alphabet\t{alphabet}\n" in printed
    assert "amplitudes\tmV\n" in capsys.readouterr().out


def test_a_text_without_side_file_decodes_by_a_bundle(codec_bundle: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """Texts of the published code have none; without --bundle, the shipped codebook decodes."""
    text = tmp_path / "a.txt"
    text.write_text(chr(65 + 7) + "A", encoding="utf-8")

    assert run(monkeypatch, "decode", text, "-o", tmp_path / "a.npy", "--alphabet", "published") == 0
    shipped = np.load(tmp_path / "a.npy")
    again = ("--bundle", codec_bundle, "--alphabet", "published")
    assert run(monkeypatch, "decode", text, "-o", tmp_path / "b.npy", *again) == 0

    assert "0 to 1, as there is no side file" in capsys.readouterr().out
    assert np.load(tmp_path / "b.npy").tolist() == [0.9375, 0.0625]
    assert shipped[0] > shipped[1]


def test_a_foreign_character_is_one_line_on_stderr(tmp_path: Path, monkeypatch, capsys) -> None:
    """With its line and position, and exit status 1."""
    (tmp_path / "a.txt").write_text("!!\n!<!", encoding="utf-8")

    status = run(monkeypatch, "decode", tmp_path / "a.txt", "-o", tmp_path / "a.npy")

    error = capsys.readouterr().err
    assert status == 1
    assert "line 2: the text has '<' (U+003C) at position 1" in error
    assert error.count("\n") == 1


def test_report_of_two_databases(database: Path, codec_bundle: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """Everything from folders to a page, without the excluded record."""
    second = tmp_path / "second"
    second.mkdir()
    write_annotated(second, "c", seed=3, duration_s=12.0)
    write_annotated(second, "left-out", seed=4, duration_s=12.0)
    (tmp_path / "names.txt").write_text("left-out\n")
    output = tmp_path / "report"
    options = ("--config", "tiny", "--bundle", codec_bundle, "--exclude", tmp_path / "names.txt")
    sizes = ("--vocabularies", "128", "--training-samples", "5000", "--max-records", "2")

    assert run(monkeypatch, "codec-report", database, second, "-o", output, *options, *sizes) == 0

    printed = capsys.readouterr().out
    content = json.loads((output / "codec.json").read_text())
    assert content["records"][second.name] == ["c"]
    assert content["snr_db"]["lloyd_max"] >= content["snr_db"]["uniform"]
    assert "Research software, not a medical device" in (output / "codec.html").read_text()
    assert f"written\t{output / 'codec.html'}\n" in printed
    assert "not a medical device" in printed.splitlines()[-1]


def test_sizes_of_vocabularies_must_be_numbers(database: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """A usage error, like any other option."""
    status = run(monkeypatch, "codec-report", database, "-o", tmp_path / "out", "--vocabularies", "1k")

    assert status == 2
    assert "'1k' is no list of whole numbers" in capsys.readouterr().err


def test_a_bundle_without_tokenizer_is_refused(database: Path, codec_bundle: Path, tmp_path: Path, monkeypatch, capsys):
    """In one line, as any other wrong path."""
    load_preprocessing(codec_bundle).save(tmp_path)

    status = run(monkeypatch, "codec-report", database, "-o", tmp_path / "out", "--bundle", tmp_path)

    assert status == 1
    assert "tokenizer.json" in capsys.readouterr().err
