"""A bundle: all fitted parts in one folder that `transformers` loads too; save, load, verify."""

import json
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from heartbert.embeddings.encoder import load_encoder, max_tokens_of, quiet_transformers
from heartbert.errors import BundleError
from heartbert.files import replacing_folder, sha256_of
from heartbert.predictions.beat_windows import TokenReader, WindowHead, build_window_network
from heartbert.predictions.calibration import Calibration, calibration_from_json
from heartbert.predictions.heartbeats import HeartbeatHead, build_network
from heartbert.preprocessing import Preprocessing, load_preprocessing
from heartbert.tokens import Tokenizer, load_tokenizer

MANIFEST_FILE, CARD_FILE = "manifest.json", "README.md"
HEARTBEATS_FILE, HEARTBEATS_SETTINGS_FILE = "heartbeats.safetensors", "heartbeats.json"
Head = HeartbeatHead | WindowHead
_VERSIONED = ("heartbert", "numpy", "scipy", "soxr", "sleepecg", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Bundle:
    """Everything that was fitted, ready to use.

    Attributes
    ----------
    preprocessing : Preprocessing
    tokenizer : Tokenizer
    model : PreTrainedModel
        Masked-language model; ``model.base_model`` is the encoder.
    heartbeats : HeartbeatHead, WindowHead or None
        Absent in a bundle that was only pre-trained.
    manifest : dict
        Name, settings, records used, scores, versions; `save_bundle` adds checksums.
    """

    preprocessing: Preprocessing
    tokenizer: Tokenizer
    model: PreTrainedModel
    heartbeats: Head | None
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """Name and version."""
        return f"{self.manifest['name']} {self.manifest['version']}"

    @property
    def max_tokens(self) -> int:
        """Positions of the encoder."""
        return max_tokens_of(self.model)

    @property
    def beat_layer(self) -> int:
        """Encoder layer that the heartbeat head reads; the last one without a head."""
        return self.heartbeats.layer if self.heartbeats else int(self.model.config.num_hidden_layers)

    @property
    def token_reader(self) -> TokenReader:
        """What turns levels into token embeddings."""
        return TokenReader(self.tokenizer, self.model.base_model, self.max_tokens)

    @property
    def calibration(self) -> Calibration | None:
        """What the probabilities of the heartbeat head are worth; None where the manifest does not say it.

        Raises
        ------
        BundleError
            If the manifest holds something else in its place.
        """
        content = self.manifest.get("heartbeats", {}).get("calibration")
        try:
            return calibration_from_json(content) if content else None
        except (KeyError, TypeError) as error:
            raise BundleError(
                f"bundle '{self.manifest['name']}': its calibration cannot be read ({error}); get the bundle again"
            ) from error

    def __post_init__(self) -> None:
        n_expected = int(self.model.config.vocab_size)
        if self.tokenizer.n_tokens != n_expected:
            raise BundleError(
                f"bundle '{self.manifest['name']}' is inconsistent: tokenizer has {self.tokenizer.n_tokens} tokens, "
                f"encoder expects {n_expected}; get the bundle again"
            )
        if self.tokenizer.n_levels != self.preprocessing.codebook.n_levels:
            raise BundleError(
                f"bundle '{self.manifest['name']}' is inconsistent: tokenizer knows {self.tokenizer.n_levels} letters, "
                f"codebook has {self.preprocessing.codebook.n_levels} levels; get the bundle again"
            )


def save_bundle(bundle: Bundle, folder: Path, *, card: str) -> None:
    """Write a bundle; the folder appears when it is complete.

    Weights are stored as bfloat16. ``AutoTokenizer`` and ``AutoModel`` load the folder without remote code.

    Parameters
    ----------
    bundle : Bundle
    folder : Path
    card : str
        Model card in Markdown.
    """
    with replacing_folder(folder) as building:
        bundle.preprocessing.save(building)
        _save_tokenizer(bundle.tokenizer, building, max_tokens=bundle.max_tokens)
        _save_model(bundle.model, building)
        if bundle.heartbeats is not None:
            _save_head(bundle.heartbeats, building)
        (building / CARD_FILE).write_text(card, encoding="utf-8")
        checksums = {path.name: sha256_of(path) for path in sorted(building.iterdir())}
        versions = {package: metadata.version(package) for package in _VERSIONED}
        manifest = {
            **bundle.manifest,
            "versions": {"python": platform.python_version(), **versions},
            "sha256": checksums,
        }
        (building / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def load_bundle(folder: Path) -> Bundle:
    """Load a bundle after checking every file.

    Raises
    ------
    BundleError
        If a file is missing, damaged, or does not fit the others.
    """
    manifest = verify_bundle(folder)
    return Bundle(
        load_preprocessing(folder), load_tokenizer(folder), load_encoder(folder), _load_head(folder), manifest
    )


def verify_bundle(folder: Path) -> dict[str, Any]:
    """Compare every file of a bundle with the manifest's checksums; returns the manifest.

    Raises
    ------
    BundleError
        If a file is missing or differs; the message names it.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        checksums: dict[str, str] = manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"'{folder}' is no bundle: {MANIFEST_FILE} cannot be read ({error}). Give the folder of a bundle."
        ) from error
    for name, expected in checksums.items():
        path = folder / name
        found = sha256_of(path) if path.is_file() else "no file"
        if found != expected:
            raise BundleError(
                f"bundle '{folder.name}': {name} is damaged: SHA-256 {found}, expected {expected}; get the bundle again"
            )
    return manifest


def _save_tokenizer(tokenizer: Tokenizer, folder: Path, *, max_tokens: int) -> None:
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.bpe,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<cls>",
        sep_token="<sep>",
        mask_token="<mask>",
        model_max_length=max_tokens,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)


def _save_model(model: PreTrainedModel, folder: Path) -> None:
    tied = set(model.all_tied_weights_keys)  # stored once, under the name they are tied to
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items() if name not in tied}
    with quiet_transformers():
        model.save_pretrained(folder, state_dict=weights)


def _save_head(head: Head, folder: Path) -> None:
    network = head.network
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / HEARTBEATS_FILE)
    settings: dict[str, Any] = {
        "reads": "beats" if isinstance(head, HeartbeatHead) else "windows",
        "layer": head.layer,
        "n_units": network.lstm.hidden_size,
        "temperature": head.temperature,
    }
    if isinstance(head, HeartbeatHead):
        settings["n_embedding"] = head.network.mean.numel()
    else:
        settings |= {"hidden_size": network.lstm.input_size, "window_samples": head.window_samples}
    (folder / HEARTBEATS_SETTINGS_FILE).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def _load_head(folder: Path) -> Head | None:
    if not (folder / HEARTBEATS_FILE).exists():
        return None
    try:
        settings = json.loads((folder / HEARTBEATS_SETTINGS_FILE).read_text(encoding="utf-8"))
        return _head_of(settings, load_file(folder / HEARTBEATS_FILE))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BundleError(
            f"bundle '{folder.name}': {HEARTBEATS_FILE} cannot be used: {error}; get the bundle again"
        ) from error


def _head_of(settings: dict[str, Any], weights: dict[str, torch.Tensor]) -> Head:
    """Build a head; settings written before there were two kinds, and temperatures, name neither."""
    layer, temperature = int(settings["layer"]), float(settings.get("temperature", 1.0))
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}, it must be positive")
    if settings.get("reads", "beats") == "beats":
        network = build_network(settings["n_embedding"], n_units=settings["n_units"], dropout=0.0)
        network.load_state_dict(weights)
        return HeartbeatHead(network.eval(), layer, temperature)
    windows = build_window_network(settings["hidden_size"], n_units=settings["n_units"], dropout=0.0)
    windows.load_state_dict(weights)
    return WindowHead(windows.eval(), int(settings["window_samples"]), layer, temperature)
