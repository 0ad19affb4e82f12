"""A tiny database, corpus, run and bundle, trained once a test session by the project's own code.

heartbert is imported inside the fixtures: pytest loads this file before it starts to measure coverage.
"""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three annotated WFDB records of a minute, a, b and c."""
    from tests.synthetic import write_annotated

    folder = tmp_path_factory.mktemp("database")
    for seed, name in enumerate("abc"):
        write_annotated(folder, name, seed=seed)
    return folder


@pytest.fixture(scope="session")
def tiny_corpus(tiny_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a corpus of the database with record c held out."""
    from heartbert.training.config import read_config
    from heartbert.training.corpus_building import build_corpus
    from heartbert.training.corpus_planning import plan_corpus

    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    build_corpus(plan_corpus([tiny_database], held_out="c"), folder, read_config("tiny"))
    return folder


@pytest.fixture(scope="session")
def tiny_pretrained(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle with an encoder and no head."""
    from heartbert.training.bundling import bundle_pretrained
    from heartbert.training.config import read_config
    from heartbert.training.pretraining import Pretraining

    folder = tmp_path_factory.mktemp("pretrained")
    run = Pretraining(tiny_corpus, folder / "run", read_config("tiny"))
    run.run()
    bundle_pretrained(run, tiny_corpus, folder / "bundle", name="tiny", version="0.0.1")
    return folder / "bundle"


@pytest.fixture(scope="session")
def tiny_bundle(tiny_pretrained: Path, tiny_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a complete bundle whose head was trained on records a and b and validated on c."""
    from heartbert.training.bundling import bundle_with_heartbeats
    from heartbert.training.config import read_config
    from heartbert.training.corpus_building import find_records

    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    paths = find_records(tiny_database)
    bundle_with_heartbeats(tiny_pretrained, (paths[:2], paths[2:]), folder, read_config("tiny").heartbeats)
    return folder
