"""The card of a bundle says what it was trained on, how well, and whether it may be passed on."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from heartbert.bundle import load_bundle
from heartbert.embeddings.encoder import quiet_transformers
from heartbert.errors import BundleError, ConfigError
from heartbert.pipeline import HeartBert
from heartbert.records import read_annotations, read_record
from heartbert.tokens import TOKENIZER_FILE
from heartbert.training.bundling import HeadChoice, bundle_pretrained, bundle_with_heartbeats, choose_head
from heartbert.training.card import write_card
from heartbert.training.config import read_config
from heartbert.training.heartbeat_tuning import FineTuning
from heartbert.training.heartbeat_window import WindowHeadConfig
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


@pytest.mark.parametrize(
    ("may_ship", "said"),
    [(True, "the weights may be passed on"), (False, "may not be passed on"), (None, "is not known: nothing is known")],
)
def test_card_says_whether_the_weights_may_be_passed_on(
    manifest: dict[str, Any], may_ship: bool | None, said: str
) -> None:
    """Weights trained on non-commercial data must not be taken for free ones, nor those of unknown origin."""
    manifest["corpus"]["weights_may_ship"] = may_ship is True
    manifest["corpus"]["databases"] = [{**manifest["corpus"]["databases"][0], "weights_may_ship": may_ship}]

    assert said in write_card(manifest)


def test_card_names_the_checkpoint_and_its_probe(manifest: dict[str, Any]) -> None:
    """A reader must see that the score compares checkpoints."""
    manifest["pretraining"] |= {"step": 10, "steps_done": 20, "probe_average_precision": 0.4321}

    card = write_card(manifest)

    assert "10 steps (the best of 20)" in card
    assert "compares checkpoints, has a mean average precision of 0.432 for S and V" in card


@pytest.mark.parametrize(
    ("n_processes", "said"),
    [(1, "hours on 1 thread of a CPU"), (2, "hours on 2 processes, each with 1 thread of a CPU")],
)
def test_card_says_what_trained(manifest: dict[str, Any], n_processes: int, said: str) -> None:
    """Hours mean nothing without the machine."""
    manifest["pretraining"] |= {"n_processes": n_processes, "device": "1 thread of a CPU (x86_64)"}

    assert said in write_card(manifest)


@pytest.mark.parametrize(("mask", "said"), [("beat", "in whole heartbeats"), ("token", "as single tokens")])
def test_card_says_what_was_hidden(manifest: dict[str, Any], mask: str, said: str) -> None:
    """It is the task that was learnt."""
    manifest["config"]["masking"]["mask"] = mask

    assert said in write_card(manifest)


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


@pytest.mark.parametrize(
    "choice",
    [
        HeadChoice(tuning=FineTuning(n_layers=1, n_training_epochs=1)),
        HeadChoice(tuning=FineTuning(lora_rank=2, n_training_epochs=1), beats="reference"),
        HeadChoice(window=WindowHeadConfig(frozen_layers=1, n_units=8, n_training_epochs=1, windows_per_step=32)),
    ],
    ids=["layers", "lora", "window"],
)
def test_bundle_of_a_trained_encoder_loads_everywhere_and_scores_as_it_says(
    tiny_pretrained: Path, tiny_database: Path, tmp_path: Path, choice: HeadChoice
) -> None:
    """Heads and the encoders trained with them travel together, as a plain folder that transformers opens."""
    if choice.tuning and choice.tuning.lora_rank:
        pytest.importorskip("peft")
    sides = [tiny_database / "a.hea"], [tiny_database / "c.hea"]
    folder = tmp_path / "bundle"

    scores = bundle_with_heartbeats(tiny_pretrained, sides, folder, read_config("tiny").heartbeats, choice=choice)

    bundle = load_bundle(folder)
    with quiet_transformers():
        loaded = AutoModel.from_pretrained(folder, trust_remote_code=False).float().state_dict()
    ours = bundle.model.base_model.state_dict()
    assert all(torch.equal(loaded[name], ours[name]) for name in ours)
    told = bundle.manifest["heartbeats"]
    assert (told["scores"], told["beats"]) == (scores, choice.beats)
    assert (told["trained_on"], told["validated_on"]) == (["a"], ["c"])
    assert bundle.calibration is not None
    assert bundle.heartbeats is not None
    assert bundle.heartbeats.temperature == pytest.approx(bundle.calibration.temperature)
    assert not any("lora" in path.name or "adapter" in path.name for path in folder.iterdir())
    found = HeartBert(bundle).classify_heartbeats(
        read_record(sides[1][0]), r_peaks=read_annotations(sides[1][0], "atr").samples
    )
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_head_choice_takes_one_way_of_training_the_encoder() -> None:
    """The window head brings its own."""
    with pytest.raises(ConfigError, match="were both chosen"):
        HeadChoice(tuning=FineTuning(n_layers=1), window=WindowHeadConfig())


def test_options_of_the_command_line_become_a_choice() -> None:
    """What is not given keeps its usual value."""
    usual = {"frozen_layers": None, "n_layers": 0, "lora_rank": 0, "n_training_epochs": None, "device": "cpu"}

    assert choose_head("beats", "detected", usual) == HeadChoice()
    assert choose_head("beats", "reference", {**usual, "lora_rank": 4}) == HeadChoice(
        beats="reference", tuning=FineTuning(lora_rank=4)
    )
    assert choose_head("window", "detected", {**usual, "frozen_layers": 0, "n_training_epochs": 2}) == HeadChoice(
        window=WindowHeadConfig(frozen_layers=0, n_training_epochs=2)
    )
    for head, beats, numbers in (("tail", "detected", usual), ("beats", "guessed", usual)):
        with pytest.raises(ConfigError, match="a head is beats or window, and beats are detected or reference"):
            choose_head(head, beats, numbers)
    for head, numbers in (("window", {**usual, "n_layers": 1}), ("beats", {**usual, "frozen_layers": 3})):
        with pytest.raises(ConfigError, match="--frozen-layers belongs to --head window"):
            choose_head(head, "detected", numbers)
