"""Stage 6 of 7: tokens -> embeddings. Construction and loading of the encoder."""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoModelForMaskedLM, ModernBertConfig, PreTrainedModel, RobertaConfig
from transformers.utils import logging as transformers_logging

from heartbert.embeddings.attention import attend_fast
from heartbert.errors import BundleError
from heartbert.tokens import END_ID, PAD_ID, START_ID

if TYPE_CHECKING:
    from heartbert.training.config import EncoderConfig


def build_encoder(config: "EncoderConfig", n_tokens: int, *, seed: int) -> PreTrainedModel:
    """Build an untrained masked-language model.

    Parameters
    ----------
    config : EncoderConfig
        ``roberta`` is the published architecture: learned absolute positions, layer norm after each block.
        ``modernbert`` (Warner et al., arXiv 2412.13663) has rotary positions and layer norm before each block;
        both load with ``AutoModel`` and no remote code. Dropout is 0: the corpus is seen about once.
    n_tokens : int
        Size of the vocabulary.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    model : PreTrainedModel
        ``model.base_model`` is the encoder, the rest the masked-language head.
    """
    shared = {
        "vocab_size": n_tokens,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.intermediate_size,
        "pad_token_id": PAD_ID,
        "bos_token_id": START_ID,
        "eos_token_id": END_ID,
    }
    family: RobertaConfig | ModernBertConfig
    if config.family == "roberta":
        # RoBERTa counts positions from pad_token_id + 1.
        n_positions = config.max_tokens + PAD_ID + 1
        family = RobertaConfig(
            **shared,
            max_position_embeddings=n_positions,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    else:
        family = ModernBertConfig(
            **shared, max_position_embeddings=config.max_tokens, cls_token_id=START_ID, sep_token_id=END_ID
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForMaskedLM.from_config(family, attn_implementation="sdpa")
    return model


def masked_logits(model: PreTrainedModel, hidden: torch.Tensor) -> torch.Tensor:
    """Apply the masked-language head to chosen positions only.

    Parameters
    ----------
    model : PreTrainedModel
        As made by `build_encoder`.
    hidden : Tensor, shape (n_positions, hidden_size)

    Returns
    -------
    logits : Tensor, shape (n_positions, n_tokens)
    """
    logits: torch.Tensor = model.lm_head(hidden) if hasattr(model, "lm_head") else model.decoder(model.head(hidden))
    return logits


def max_tokens_of(model: PreTrainedModel) -> int:
    """Return the positions of a model, ``<s>`` and ``</s>`` included."""
    n_positions = int(model.config.max_position_embeddings)
    return n_positions - PAD_ID - 1 if model.config.model_type == "roberta" else n_positions


def encoder_layers(encoder: PreTrainedModel) -> nn.ModuleList:
    """Return the layers of a base model, the one next to the tokens first."""
    layers: nn.ModuleList = encoder.layers if hasattr(encoder, "layers") else encoder.encoder.layer
    return layers


def fast_copy(encoder: PreTrainedModel, n_layers: int) -> PreTrainedModel:
    """Return a base model that computes the same faster, for inference.

    Its weights are bfloat16 where the processor multiplies that natively: about twice the speed, relative error of an
    embedding about 1 %. Attention is that of `attend_by_row` on a processor. To copy takes some milliseconds, and a
    copy knows nothing of what its model learns later.

    Parameters
    ----------
    encoder : PreTrainedModel
        Stays as it is.
    n_layers : int
        Layers to keep; 0 for the input embedding alone. Where they are not all, ``last_hidden_state`` is the output of
        the last one kept.
    """
    copied = copy.deepcopy(lower_layers(encoder, n_layers))
    attend_fast(copied)
    return copied.bfloat16() if has_bfloat16(encoder.device) else copied


def has_bfloat16(device: torch.device) -> bool:
    """Return True where bfloat16 is multiplied natively; accelerators that torch trains on do so."""
    return device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()


def in_bfloat16(device: torch.device) -> AbstractContextManager[object]:
    """Multiply in bfloat16 where that is native, for training; weights and sums stay 32-bit floats."""
    return torch.autocast(device.type, torch.bfloat16) if has_bfloat16(device) else nullcontext()


def lower_layers(encoder: PreTrainedModel, n_layers: int) -> PreTrainedModel:
    """Return the part of a base model below a layer, or all of it; the weights are shared.

    Its ``last_hidden_state`` is the output of the last layer kept, normalised only where all are kept.
    """
    if n_layers >= len(encoder_layers(encoder)):
        return encoder
    lower: PreTrainedModel = _shallow(encoder)
    if hasattr(encoder, "layers"):
        lower.layers = encoder.layers[:n_layers]
        lower.final_norm = nn.Identity()
    else:
        lower.encoder = _shallow(encoder.encoder)
        lower.encoder.layer = encoder.encoder.layer[:n_layers]
    return lower


def _shallow(module: Any) -> Any:
    """Copy a module so that its parts can be exchanged; they are the same objects."""
    copied = copy.copy(module)
    copied._modules = dict(module._modules)
    return copied


def load_encoder(folder: Path) -> PreTrainedModel:
    """Load the masked-language model of a bundle in evaluation mode, 32-bit floats.

    Raises
    ------
    BundleError
        If the folder holds no model that `transformers` can load.
    """
    try:
        with quiet_transformers():
            model: PreTrainedModel = AutoModelForMaskedLM.from_pretrained(
                folder, local_files_only=True, dtype=torch.float32
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise BundleError(f"the encoder in '{folder.name}' cannot be loaded: {error}. Get the bundle again.") from error
    return model.eval()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep `transformers` from writing progress bars and load reports into a program's own output."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
