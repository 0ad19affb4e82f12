"""From scored nights to a bundle with a sleep head."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heartbert.bundle import Bundle, load_bundle, save_bundle
from heartbert.errors import BundleError, ConfigError, LeakageError
from heartbert.predictions.sleep_night import NIGHT_FEATURES
from heartbert.predictions.sleep_origin import SCORES
from heartbert.predictions.sleep_stages import stage_sleep
from heartbert.training.sleep import LabelledNight
from heartbert.training.sleep_bundling import SleepChoice, bundle_with_sleep, check_layer, read_agreement
from heartbert.training.sleep_config import SleepConfig
from tests.sleeping import labelled_night

CONFIG = SleepConfig(layer=1, n_units=4, n_embedding_units=2, n_training_epochs=1, n_networks=2)
# Numbers of an epoch's vector of the tiny encoder.
N_EMBEDDING = 64


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def nights() -> list[LabelledNight]:
    names = ("slp03", "slp04", "slp14")
    return [labelled_night(name, seed=seed, n_embedding=N_EMBEDDING) for seed, name in enumerate(names)]


def _result(inputs: str = "both", **changes: Any) -> dict[str, Any]:
    """Return what `heartbert evaluate sleep` stores, as far as it is read here."""
    score = {"mean": 0.5, "low": 0.4, "high": 0.6}
    row = {of: dict.fromkeys(SCORES, score) for of in ("stages3", "stages4", "stages5")}
    settings = [asdict(replace(CONFIG, noise=0.4)), asdict(replace(CONFIG, seed=900))]
    whole = {inputs: {"n_epochs": 10181, "n_persons": 16, **row}, "settings": settings, "protocol": "slpdb"}
    return {**whole, **changes}


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[Any], Path]:
    """Return a function that writes a result."""

    def write(content: Any) -> Path:
        (tmp_path / "result.json").write_text(json.dumps(content), encoding="utf-8")
        return tmp_path / "result.json"

    return write


def test_bundle_gets_a_head_that_stages_as_before(bundle: Bundle, nights: list[LabelledNight], tmp_path: Path) -> None:
    """What was trained is what is loaded; the rest of the bundle stays as it was."""
    told = bundle_with_sleep(bundle, nights, tmp_path / "out", SleepChoice("both", CONFIG))

    loaded = load_bundle(tmp_path / "out")
    assert loaded.heartbeats is not None
    assert loaded.sleep_head.inputs == "both"
    assert len(loaded.sleep_head.networks) == 2
    assert loaded.manifest["sleep"] == json.loads(json.dumps(told))
    assert told["persons"] == ["slpdb/slp03", "slpdb/slp04", "slpdb/slp14"]
    assert (told["n_epochs"], told["n_epochs_with_tokens"], told["seed"]) == (120, 60, 0)
    assert told["temperatures"] == loaded.sleep_head.temperatures
    assert "commit" not in json.dumps(told)
    predictions = stage_sleep(loaded.sleep_head, nights[0].night)
    np.testing.assert_allclose(predictions.probabilities["stages5"].sum(axis=1), 1, rtol=1e-5)


def test_card_tells_who_was_trained_on_and_that_nothing_was_measured(
    bundle: Bundle, nights: list[LabelledNight], tmp_path: Path
) -> None:
    """A reader must not take a hypnogram for more than it is."""
    bundle_with_sleep(bundle, nights, tmp_path, SleepChoice("beats", CONFIG))

    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "belongs to it, a head that classifies heartbeats and a head that stages sleep." in card
    assert "`sleep.safetensors`, `sleep.json`" in card
    assert "3\npersons: men examined for sleep apnoea" in card
    assert "**not measured**" in card
    assert card.index("## Sleep head") < card.index("## Limits")


def test_measured_agreement_goes_into_manifest_and_card(
    bundle: Bundle, nights: list[LabelledNight], tmp_path: Path, stored: Callable[[Any], Path]
) -> None:
    """Scores come from a stored result, of the same inputs and settings; a seed does not matter."""
    choice = SleepChoice("both", CONFIG)
    agreement = read_agreement(stored(_result(bundle=bundle.name)), choice, encoder=bundle.name)

    bundle_with_sleep(bundle, nights, tmp_path / "out", replace(choice, agreement=agreement))

    assert load_bundle(tmp_path / "out").sleep_origin.agreement == agreement
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "| W, NREM, R | 0.500 (0.400-0.600) |" in card
    assert f"16 persons, 10,181 epochs of\nslpdb, with the encoder of {bundle.name}, 95 % intervals" in card


def test_agreement_of_a_head_of_beats_names_no_encoder(stored: Callable[[Any], Path]) -> None:
    """It read none, so any bundle will do."""
    choice = SleepChoice("beats", CONFIG)

    agreement = read_agreement(stored(_result("beats", bundle="other 1")), choice, encoder="mine 1")

    assert agreement.encoder is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_result("beats"), r"has no scores of a head that reads 'both' \(KeyError\('both'\)\)"),
        ([], "has no scores"),
        (_result(settings=[asdict(replace(CONFIG, noise=0.9))]), "measured with other settings"),
        (_result(bundle="other 1"), "measured with the encoder of 'other 1', and the bundle is 'mine 1'"),
    ],
)
def test_agreement_of_another_head_is_refused(content: Any, message: str, stored: Callable[[Any], Path]) -> None:
    """Scores of one head on the card of another are worse than none."""
    with pytest.raises(ConfigError, match=message):
        read_agreement(stored(content), SleepChoice("both", CONFIG), encoder="mine 1")


@pytest.mark.parametrize("inputs", ["tokens", "both"])
def test_a_head_of_tokens_needs_some(bundle: Bundle, inputs: Any, tmp_path: Path) -> None:
    """The published database without waveform and text has none."""
    nights = [labelled_night(name, seed=seed) for seed, name in enumerate(("slp03", "slp04"))]

    with pytest.raises(ConfigError, match="none of the 2 nights has a scored epoch with tokens"):
        bundle_with_sleep(bundle, nights, tmp_path, SleepChoice(inputs, CONFIG))


def test_a_head_of_tokens_learns_from_epochs_that_have_some(
    bundle: Bundle, nights: list[LabelledNight], tmp_path: Path
) -> None:
    """The others say nothing to it."""
    told = bundle_with_sleep(bundle, nights, tmp_path / "out", SleepChoice("tokens", CONFIG))

    assert told["inputs"] == "tokens"


def test_one_recording_under_two_persons_is_a_leak(bundle: Bundle, nights: list[LabelledNight], tmp_path: Path) -> None:
    """The temperatures would be fitted on what was trained on."""
    disguised = replace(nights[0], subject_id="slpdb/other")

    with pytest.raises(LeakageError):
        bundle_with_sleep(bundle, [*nights, disguised], tmp_path, SleepChoice("both", CONFIG))


def test_an_encoder_that_saw_the_nights_without_labels_is_told(
    bundle: Bundle, nights: list[LabelledNight], tmp_path: Path
) -> None:
    """It is allowed, and written down."""
    corpus = {**bundle.manifest["corpus"], "records": ["slpdb/slp03"]}
    saw = replace(bundle, manifest={**bundle.manifest, "corpus": corpus})

    told = bundle_with_sleep(saw, nights, tmp_path / "out", SleepChoice("both", CONFIG))

    assert told["encoder_saw"] == ["the encoder has seen the unlabelled signal of 1 test person, first 'slpdb/slp03'"]


def test_features_that_never_varied_have_no_say(bundle: Bundle, nights: list[LabelledNight], tmp_path: Path) -> None:
    """Nights known by their text alone have no unscorable share: its weights stay random, and must not be used."""
    bundle_with_sleep(bundle, nights, tmp_path / "out", SleepChoice("both", CONFIG))
    head = load_bundle(tmp_path / "out").sleep_head
    night = nights[0].night
    features = night.features.copy()
    features[:, NIGHT_FEATURES.index("unscorable")] = 0.7

    plain, changed = stage_sleep(head, night), stage_sleep(head, replace(night, features=features))

    np.testing.assert_array_equal(changed.probabilities["stages5"], plain.probabilities["stages5"])


def test_a_layer_that_the_encoder_lacks_is_refused(bundle: Bundle) -> None:
    """Before hours of embedding; a head of beats reads no layer."""
    with pytest.raises(ConfigError, match=r"layer is 9, the encoder of bundle 'tiny 0\.0\.1' has 2 layers"):
        check_layer(bundle, SleepChoice("both", replace(CONFIG, layer=9)))

    check_layer(bundle, SleepChoice("beats", replace(CONFIG, layer=9)))


def test_bundle_refuses_a_head_of_another_encoder(bundle: Bundle, nights: list[LabelledNight], tmp_path: Path) -> None:
    """By the size of its vectors at once, by its weights when it is used."""
    bundle_with_sleep(bundle, nights, tmp_path / "out", SleepChoice("both", CONFIG))
    loaded = load_bundle(tmp_path / "out")
    assert loaded.sleep is not None

    with pytest.raises(BundleError, match="sleep head reads 64 numbers of layer 7, the encoder gives 64 and has 2"):
        replace(loaded, sleep=replace(loaded.sleep, layer=7))
    with torch.no_grad():
        next(loaded.model.base_model.parameters()).add_(1.0)
    with pytest.raises(BundleError, match="was trained on another encoder than the bundle has now"):
        _ = loaded.sleep_head


def test_bundle_without_origin_of_its_head_is_refused(
    bundle: Bundle, nights: list[LabelledNight], tmp_path: Path
) -> None:
    """What nobody can tell cannot be told to a user."""
    told = bundle_with_sleep(bundle, nights, tmp_path / "out", SleepChoice("beats", CONFIG))
    loaded = load_bundle(tmp_path / "out")
    manifest = {**loaded.manifest, "sleep": {**told, "origin": {}}}

    with pytest.raises(BundleError, match="where its sleep head comes from cannot be read"):
        _ = replace(loaded, manifest=manifest).sleep_origin


def test_bundle_without_sleep_head_says_how_to_get_one(bundle: Bundle) -> None:
    """The command is named."""
    with pytest.raises(BundleError, match=r"bundle 'tiny 0\.0\.1' has no sleep head; train one with"):
        _ = bundle.sleep_head


def test_damaged_sleep_head_is_refused_by_name(bundle: Bundle, nights: list[LabelledNight], tmp_path: Path) -> None:
    """Like every other file of a bundle."""
    bundle_with_sleep(bundle, nights, tmp_path / "out", SleepChoice("beats", CONFIG))
    save_bundle(load_bundle(tmp_path / "out"), tmp_path / "again", card="card")
    (tmp_path / "again" / "sleep.safetensors").write_bytes(b"")

    with pytest.raises(BundleError, match=r"sleep\.safetensors is damaged"):
        load_bundle(tmp_path / "again")
