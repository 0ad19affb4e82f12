"""README examples run, and the numbers in the documents are those of the stored results."""

import doctest
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from heartbert.embeddings.encoder import quiet_transformers
from tests.synthetic import synthetic_ecg

ROOT = Path(__file__).parent.parent


def test_readme_examples_print_what_the_readme_says() -> None:
    """The first thing a visitor tries must work to the letter."""
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)

    assert tried >= 6
    assert failed == 0


def test_hugging_face_example_of_the_readme_loses_no_token() -> None:
    """People who use only transformers copy this block; windows longer than the model must continue in further rows."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    (code,) = [block for block in blocks if ">>>" not in block]
    with resources.as_file(resources.files("heartbert").joinpath("bundles", "small")) as folder:
        names = {"folder": folder, "lead_mv": synthetic_ecg(30.0, 250.0)[0]}
        with quiet_transformers():
            exec(code, names)

    rows, hidden, texts = (names[name] for name in ("rows", "hidden", "texts"))
    assert hidden.shape == (*rows["input_ids"].shape, 256)
    assert len(texts) == 3
    n_pieces = sum(names["tokenizer"](text, return_length=True, verbose=False)["length"][0] - 2 for text in texts)
    assert int((rows["input_ids"] > 6).sum()) == n_pieces


def test_tables_in_the_documents_equal_the_stored_results() -> None:
    """A number typed by hand, or left behind by a new measurement, must be noticed."""
    checked = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "tables.py", "--check"], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["100", "234", "sel100", "sel233"])
def test_shipped_weights_never_saw_the_test_records(name: str) -> None:
    """DS2 of MIT-BIH and its excerpts in QT Database are test data."""
    import json

    manifest = json.loads(resources.files("heartbert").joinpath("bundles", "small", "manifest.json").read_text())

    assert name in manifest["corpus"]["excluded"]
    assert name not in manifest["corpus"]["records"]
    assert name not in manifest["heartbeats"]["trained_on"] + manifest["heartbeats"]["validated_on"]
