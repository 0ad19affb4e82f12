"""What `heartbert corpus build` says of licences, and `heartbert corpus probe`."""

from pathlib import Path

import pytest

from heartbert.cli.corpus import corpus_build, corpus_probe
from heartbert.errors import LeakageError
from heartbert.evaluation.splits import MITDB_DS1, MITDB_DS1_VALIDATION
from heartbert.training.probe import PROBE_FILE, load_probe
from tests.synthetic import write_annotated

SHIPPING = "whether weights may be shipped is not known"


@pytest.fixture(scope="module")
def ds1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of synthetic recordings with the names of DS1."""
    folder = tmp_path_factory.mktemp("data") / "mitdb"
    folder.mkdir()
    for seed, name in enumerate(MITDB_DS1):
        write_annotated(folder, name, seed=seed, duration_s=12.0)
    return folder


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the rows of the table on stdout."""
    return dict(line.split("\t", 1) for line in capsys.readouterr().out.splitlines())


def test_probe_is_made_beforehand_and_kept_in_the_corpus(
    ds1: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The machine that trains gets one folder, and needs no recording."""
    held_out = tmp_path / "held-out.txt"
    held_out.write_text("\n".join(MITDB_DS1_VALIDATION))
    corpus_build([ds1], tmp_path / "corpus", config="tiny", held_out=[held_out])
    assert SHIPPING not in printed(capsys)

    corpus_probe(tmp_path / "corpus", ds1)

    rows = printed(capsys)
    assert rows["written"] == str(tmp_path / "corpus" / PROBE_FILE)
    assert rows["scored on"].startswith(f"{len(MITDB_DS1_VALIDATION)}: {MITDB_DS1_VALIDATION[0]}, ")
    assert rows["fitted on"].startswith(f"{len(MITDB_DS1) - len(MITDB_DS1_VALIDATION)}: ")
    probe = load_probe(tmp_path / "corpus" / PROBE_FILE, tmp_path / "corpus")
    assert int(rows["beats of class N"]) + int(rows["beats of class V"]) == probe.labels.size > 0


def test_probe_of_persons_that_are_trained_on_is_refused_before_training(ds1: Path, tmp_path: Path) -> None:
    """A score on training records chooses the checkpoint that knows them by heart."""
    corpus_build([ds1], tmp_path / "corpus", config="tiny")

    with pytest.raises(LeakageError, match="Build the corpus with --held-out naming"):
        corpus_probe(tmp_path / "corpus", ds1)

    assert not (tmp_path / "corpus" / PROBE_FILE).exists()


@pytest.mark.parametrize("own_data", [False, True])
def test_build_says_that_nothing_is_known_of_a_licence(
    tiny_database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], own_data: bool
) -> None:
    """Weights of recordings that somebody lent must not be published by accident."""
    corpus_build([tiny_database], tmp_path / "corpus", config="tiny", own_data=own_data)

    expected = None if own_data else f"{tiny_database.name}; --own-data says they may"
    assert printed(capsys).get(SHIPPING) == expected
