"""A bundle: all fitted parts in one folder that `transformers` loads too; save, load, verify."""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field
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
from heartbert.predictions.sleep_epochs import N_STATISTICS
from heartbert.predictions.sleep_origin import SleepOrigin, origin_from_json
from heartbert.predictions.sleep_stages import SLEEP_FILE, SleepHead, load_sleep_head, save_sleep_head
from heartbert.predictions.task_files import encoder_digest, load_task_heads, save_task_heads
from heartbert.predictions.tasks import TaskHead
from heartbert.preprocessing import PREPROCESSOR_FILE, Preprocessing, load_preprocessing
from heartbert.tokens import TOKENIZER_FILE, Tokenizer, load_tokenizer

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
    sleep : SleepHead or None
        Stages sleep; absent in most bundles.
    tasks : dict of str to TaskHead
        Heads that `heartbert finetune` added, by name; `task` gives one that fits the encoder.
    """

    preprocessing: Preprocessing
    tokenizer: Tokenizer
    model: PreTrainedModel
    heartbeats: Head | None
    manifest: dict[str, Any]
    sleep: SleepHead | None = None
    tasks: dict[str, TaskHead] = field(default_factory=dict)

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
    def embedding_digest(self) -> str:
        """Tells bundles apart by what their embeddings depend on: weights of the encoder, tokenizer, preprocessing."""
        checksums = self.manifest.get("sha256", {})
        parts = [encoder_digest(self.model), *(checksums.get(name) for name in (TOKENIZER_FILE, PREPROCESSOR_FILE))]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def signal_digest(self) -> str:
        """Tells bundles apart by what a filtered and scaled lead depends on."""
        parts = [asdict(self.preprocessing.band), asdict(self.preprocessing.scaling_rule)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

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

    def task(self, name: str) -> TaskHead:
        """Return the head of a task.

        Raises
        ------
        BundleError
            If there is none of that name, or it was trained on another encoder.
        """
        if name not in self.tasks:
            known = ", ".join(f"'{one}'" for one in self.tasks) or "none"
            raise BundleError(
                f"bundle '{self.manifest['name']}' has no task '{name}'; it has {known}. Add one with "
                "'heartbert finetune', or give another bundle."
            )
        if self.tasks[name].encoder != encoder_digest(self.model):
            raise BundleError(
                f"task '{name}' of bundle '{self.manifest['name']}' was trained on another encoder than the bundle has "
                "now; run 'heartbert finetune' for it again."
            )
        return self.tasks[name]

    @property
    def sleep_head(self) -> SleepHead:
        """The head that stages sleep.

        Raises
        ------
        BundleError
            If there is none, or the encoder was trained on after it.
        """
        if self.sleep is None:
            raise BundleError(
                f"bundle '{self.name}' has no sleep head; train one with 'heartbert train-sleep' or use another bundle."
            )
        told = self.manifest.get("sleep", {}).get("encoder")
        if self.sleep.inputs != "beats" and told != encoder_digest(self.model):
            raise BundleError(
                f"the sleep head of bundle '{self.name}' was trained on another encoder than the bundle has now; run "
                "'heartbert train-sleep' again."
            )
        return self.sleep

    @property
    def sleep_origin(self) -> SleepOrigin:
        """Who the sleep head was trained on, and how far it agrees with a person.

        Raises
        ------
        BundleError
            If there is none, or the manifest does not say it.
        """
        _ = self.sleep_head
        try:
            return origin_from_json(self.manifest["sleep"]["origin"])
        except (KeyError, TypeError) as error:
            raise BundleError(
                f"bundle '{self.manifest['name']}': where its sleep head comes from cannot be read ({error!r}); train "
                "it again with 'heartbert train-sleep'"
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
        if self.sleep is not None:
            self._check_sleep(self.sleep)

    def _check_sleep(self, head: SleepHead) -> None:
        """Refuse a sleep head that reads vectors which the encoder does not give."""
        n_found = head.networks[0].embedding_scale.numel()
        n_given, n_layers = (int(getattr(self.model.config, name)) for name in ("hidden_size", "num_hidden_layers"))
        if head.inputs != "beats" and (n_found != N_STATISTICS * n_given or head.layer > n_layers):
            raise BundleError(
                f"bundle '{self.manifest['name']}' is inconsistent: the sleep head reads {n_found} numbers of layer "
                f"{head.layer}, the encoder gives {N_STATISTICS * n_given} and has {n_layers} layers; train the head "
                "again with 'heartbert train-sleep'"
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
        if bundle.sleep is not None:
            save_sleep_head(bundle.sleep, building)
        save_task_heads(bundle.tasks, building)
        (building / CARD_FILE).write_text(card, encoding="utf-8")
        checksums = {path.name: sha256_of(path) for path in sorted(building.iterdir())}
        versions = {package: metadata.version(package) for package in _VERSIONED}
        manifest = {
            **bundle.manifest,
            "versions": {"python": platform.python_version(), **versions},
            "sha256": checksums,
        }
        (building / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def load_bundle(folder: Path, *, heartbeats: bool = True) -> Bundle:
    """Load a bundle after checking every file.

    Parameters
    ----------
    folder : Path
    heartbeats : bool
        False leaves out the heartbeat head, for who trains a new one: that of an earlier version may not be usable.

    Raises
    ------
    BundleError
        If a file is missing, damaged, or does not fit the others.
    """
    manifest = verify_bundle(folder)
    return Bundle(
        load_preprocessing(folder),
        load_tokenizer(folder),
        load_encoder(folder),
        _load_head(folder) if heartbeats else None,
        manifest,
        load_sleep_head(folder) if SLEEP_FILE in manifest["sha256"] else None,
        load_task_heads(folder, manifest["sha256"]),
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
        shape = head.network
        settings |= {
            "n_embedding": shape.mean.numel(),
            "n_directions": shape.n_directions,
            "n_waveform": shape.n_waveform,
        }
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
            f"bundle '{folder.name}': {HEARTBEATS_FILE} cannot be used: {error}; get the bundle again, or train its "
            "head anew with 'heartbert train-heartbeats'"
        ) from error


def _head_of(settings: dict[str, Any], weights: dict[str, torch.Tensor]) -> Head:
    """Build a head of either kind."""
    layer, temperature = int(settings["layer"]), float(settings["temperature"])
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}, it must be positive")
    if settings["reads"] == "beats":
        shape = {name: settings[name] for name in ("n_units", "n_directions", "n_waveform")}
        network = build_network(settings["n_embedding"], dropout=0.0, **shape)
        network.load_state_dict(weights)
        return HeartbeatHead(network.eval(), layer, temperature)
    windows = build_window_network(settings["hidden_size"], n_units=settings["n_units"], dropout=0.0)
    windows.load_state_dict(weights)
    return WindowHead(windows.eval(), int(settings["window_samples"]), layer, temperature)
