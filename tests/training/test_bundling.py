"""The card of a bundle says what it was trained on, how well, and whether it may be passed on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from heartbert.errors import BundleError
from heartbert.tokens import TOKENIZER_FILE
from heartbert.training.bundling import bundle_pretrained
from heartbert.training.card import write_card
from heartbert.training.config import read_config
from heartbert.training.pretraining import Pretraining


@pytest.fixture
def manifest(tiny_pretrained: Path) -> dict[str, Any]:
    """Return the manifest of a bundle without head."""
    return dict(json.loads((tiny_pretrained / "manifest.json").read_text()))


def test_card_shows_what_counting_achieves(manifest: dict[str, Any]) -> None:
    """A loss without its baselines says nothing."""
    baselines = manifest["pretraining"]["baselines"]

    card = write_card(manifest)

    assert f"| counts between the previous and the next token | {baselines['trigram']} |" in card
    assert f"| this encoder | {manifest['pretraining']['validation_loss']} |" in card
    assert "in spans of 30 to 250 ms" in card


@pytest.mark.parametrize(("may_ship", "said"), [(True, "may be passed on"), (False, "may not be passed on")])
def test_card_says_whether_the_weights_may_be_passed_on(manifest: dict[str, Any], may_ship: bool, said: str) -> None:
    """Weights trained on non-commercial data must not be taken for free ones."""
    manifest["corpus"]["weights_may_ship"] = may_ship

    assert said in write_card(manifest)


def test_card_names_the_checkpoint_and_the_probe_that_chose_it(manifest: dict[str, Any]) -> None:
    """A reader must see that the score was used to choose."""
    manifest["pretraining"] |= {"step": 10, "steps_done": 20, "probe_macro_f1": 0.4321}

    card = write_card(manifest)

    assert "10 steps (the best of 20)" in card
    assert "macro-F1 of 0.432; it is optimistic" in card


@pytest.mark.parametrize(("mask", "said"), [("beat", "in whole heartbeats"), ("token", "as single tokens")])
def test_card_says_what_was_hidden(manifest: dict[str, Any], mask: str, said: str) -> None:
    """It is the task that was learnt."""
    manifest["config"]["masking"]["mask"] = mask

    assert said in write_card(manifest)


def test_card_of_a_bundle_of_the_first_version_is_still_written(manifest: dict[str, Any]) -> None:
    """A head is trained on the shipped encoder, whose manifest knows no masking table and no databases."""
    masking = manifest["config"].pop("masking")
    manifest["config"]["pretraining"] |= {
        "span_share": 0.3,
        **{key: masking[key] for key in ("random_share", "shortest_span_ms", "longest_span_ms")},
    }
    for key in ("weights_may_ship", "databases", "excluded_recordings"):
        manifest["corpus"].pop(key, None)
    for key in ("baselines", "steps_done"):
        del manifest["pretraining"][key]

    card = write_card(manifest)

    assert "30% of the tokens" in card
    assert "PTB-XL (CC BY 4.0)" in card


def test_run_of_another_corpus_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    """Encoder and tokenizer belong together."""
    run = Pretraining(tiny_corpus, tmp_path / "run", read_config("tiny"))
    run.state.step = run.n_steps
    other = tmp_path / "other"
    shutil.copytree(tiny_corpus, other)
    (other / TOKENIZER_FILE).write_text((other / TOKENIZER_FILE).read_text() + "\n")

    with pytest.raises(BundleError, match="another corpus than 'other': their tokenizers differ"):
        bundle_pretrained(run, other, tmp_path / "bundle", name="x", version="1")


def test_run_with_steps_left_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    """A half-trained encoder must not be mistaken for a trained one."""
    run = Pretraining(tiny_corpus, tmp_path / "run", read_config("tiny"))

    with pytest.raises(BundleError, match="step 0 of 20"):
        bundle_pretrained(run, tiny_corpus, tmp_path / "bundle", name="x", version="1")
