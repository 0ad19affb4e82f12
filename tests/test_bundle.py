import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from heartbert.bundle import Bundle, _load_head, load_bundle, save_bundle, verify_bundle
from heartbert.embeddings.encoder import build_encoder, quiet_transformers
from heartbert.errors import BundleError
from heartbert.files import shipped_bundle
from heartbert.predictions.beat_windows import WindowHead, build_window_network
from heartbert.predictions.heartbeats import HeartbeatHead
from heartbert.text import to_text
from heartbert.tokens import train_tokenizer
from heartbert.training.config import read_config

FILES = (
    "README.md", "config.json", "heartbeats.json", "heartbeats.safetensors", "model.safetensors",
    "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
)  # fmt: skip


def test_bundle_holds_only_safetensors_json_and_the_card(tiny_bundle: Path) -> None:
    """A pickle runs code when it is opened; a bundle from the net must not be able to."""
    found = sorted(path.name for path in tiny_bundle.iterdir())

    assert found == sorted([*FILES, "manifest.json"])


def test_auto_classes_load_a_bundle_without_remote_code(tiny_bundle: Path) -> None:
    """Most people will open it so; ids and embeddings must be those of heartbert."""
    bundle = load_bundle(tiny_bundle)
    text = to_text(np.arange(32, dtype=np.uint8))

    tokenizer = AutoTokenizer.from_pretrained(tiny_bundle, trust_remote_code=False)
    with quiet_transformers():
        model = AutoModel.from_pretrained(tiny_bundle, trust_remote_code=False).eval()
    encoded = tokenizer(text, return_tensors="pt")
    ours = bundle.tokenizer.encode([text], max_tokens=bundle.max_tokens)

    np.testing.assert_array_equal(encoded["input_ids"], ours.token_ids)
    with torch.no_grad():
        found = model(**encoded).last_hidden_state
        expected = bundle.model.base_model(**encoded).last_hidden_state
    torch.testing.assert_close(found.float(), expected)


@pytest.mark.parametrize("name", FILES)
def test_load_bundle_refuses_a_changed_file_by_name(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    """One flipped byte anywhere must not turn into wrong results."""
    copied = shutil.copytree(tiny_bundle, tmp_path / "copy")
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)

    with pytest.raises(BundleError, match=f"{name} is damaged"):
        load_bundle(copied)


@pytest.mark.parametrize("name", FILES)
def test_load_bundle_refuses_a_missing_file_by_name(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    """A download that stopped early must say which file is missing."""
    copied = shutil.copytree(tiny_bundle, tmp_path / "copy")
    (copied / name).unlink()

    with pytest.raises(BundleError, match=f"{name} is damaged: SHA-256 no file"):
        load_bundle(copied)


@pytest.mark.parametrize("content", ["", "[]", '{"name": "x"}', "{"])
def test_verify_bundle_refuses_a_manifest_that_is_none(tmp_path: Path, content: str) -> None:
    """Without a manifest nothing in the folder can be trusted."""
    (tmp_path / "manifest.json").write_text(content)

    with pytest.raises(BundleError, match="is no bundle: manifest"):
        verify_bundle(tmp_path)


def test_manifest_names_versions_records_and_seed(tiny_bundle: Path) -> None:
    """Results come out again only if the parts that made them are written down."""
    manifest = json.loads((tiny_bundle / "manifest.json").read_text())

    assert set(manifest["versions"]) >= {"python", "heartbert", "torch", "transformers", "tokenizers"}
    assert manifest["heartbeats"]["trained_on"] == ["a", "b"]
    assert manifest["heartbeats"]["validated_on"] == ["c"]
    assert [name.partition("/")[2] for name in manifest["corpus"]["records"]] == ["a", "b"]
    assert manifest["corpus"]["held_out"] == ["c"]
    assert manifest["pretraining"]["seed"] == 1


def test_bundle_survives_saving_again(tiny_bundle: Path, tmp_path: Path) -> None:
    """What was loaded and saved must be the same bundle: weights are stored as bfloat16 only once rounded."""
    save_bundle(load_bundle(tiny_bundle), tmp_path / "again", card="card")

    first, second = (json.loads((path / "manifest.json").read_text()) for path in (tiny_bundle, tmp_path / "again"))
    for name in set(FILES) - {"README.md", "config.json"}:
        assert first["sha256"][name] == second["sha256"][name], name


def test_bundle_refuses_a_tokenizer_that_does_not_fit_the_encoder(tiny_bundle: Path) -> None:
    """Ids beyond the embedding table end in an index error deep inside torch."""
    bundle = load_bundle(tiny_bundle)
    other = build_encoder(read_config("tiny").encoder, 500, seed=0)

    with pytest.raises(BundleError, match=r"tokenizer has \d+ tokens, encoder expects 500"):
        Bundle(bundle.preprocessing, bundle.tokenizer, other, None, bundle.manifest)


def test_bundle_refuses_a_tokenizer_that_does_not_fit_the_codebook(tiny_bundle: Path) -> None:
    """A tokenizer of fewer letters would read unknown tokens where the signal is high."""
    bundle = load_bundle(tiny_bundle)
    other = train_tokenizer(["abc"], n_levels=16, n_tokens=bundle.tokenizer.n_tokens)
    encoder = build_encoder(read_config("tiny").encoder, other.n_tokens, seed=0)

    with pytest.raises(BundleError, match="tokenizer knows 16 letters, codebook has 32 levels"):
        Bundle(bundle.preprocessing, other, encoder, None, bundle.manifest)


def test_bundle_keeps_the_temperature_of_its_head(tiny_bundle: Path, tmp_path: Path) -> None:
    """Probabilities after loading are those that were calibrated, and none that cannot be."""
    bundle = load_bundle(tiny_bundle)
    assert bundle.calibration is not None
    assert bundle.heartbeats is not None
    assert bundle.heartbeats.temperature == bundle.calibration.temperature

    settings = tmp_path / "heartbeats.json"
    shutil.copy(tiny_bundle / "heartbeats.safetensors", tmp_path)
    content = json.loads((tiny_bundle / "heartbeats.json").read_text())
    settings.write_text(json.dumps({**content, "temperature": 0.0}))
    with pytest.raises(BundleError, match=r"temperature is 0\.0, it must be positive"):
        _load_head(tmp_path)


def test_bundle_keeps_a_window_head(tiny_bundle: Path, tmp_path: Path) -> None:
    """Which of the two heads a bundle holds is told by its settings."""
    torch.manual_seed(0)
    head = WindowHead(build_window_network(32, n_units=4, dropout=0.0).eval(), 1080, 2, 1.5)

    save_bundle(replace(load_bundle(tiny_bundle), heartbeats=head), tmp_path / "window", card="card")
    loaded = load_bundle(tmp_path / "window").heartbeats

    assert isinstance(loaded, WindowHead)
    assert (loaded.window_samples, loaded.layer, loaded.temperature) == (1080, 2, 1.5)
    torch.testing.assert_close(loaded.network.state_dict(), head.network.state_dict())


def test_calibration_that_cannot_be_read_is_refused(tiny_bundle: Path) -> None:
    """A manifest of another version must not end in a traceback; one without calibration is fine."""
    bundle = load_bundle(tiny_bundle)

    assert replace(bundle, manifest={**bundle.manifest, "heartbeats": {}}).calibration is None
    with pytest.raises(BundleError, match="bundle 'tiny': its calibration cannot be read"):
        _ = replace(bundle, manifest={**bundle.manifest, "heartbeats": {"calibration": {"ece": 1}}}).calibration


def test_shipped_bundle_has_calibrated_heads() -> None:
    """What ships tells how far its probabilities can be trusted, and where abstention leads."""
    with shipped_bundle() as folder:
        bundle = load_bundle(folder)

    assert isinstance(bundle.heartbeats, HeartbeatHead)
    assert bundle.calibration is not None
    assert bundle.heartbeats.temperature == bundle.calibration.temperature != 1.0
    assert bundle.calibration.ece < 0.05
