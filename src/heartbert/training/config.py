"""Settings of everything that is fitted or trained: one table a stage, read from TOML."""

import difflib
import tomllib
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from heartbert.errors import ConfigError
from heartbert.levels import Method
from heartbert.signals.scaling import ScalingMethod

EncoderFamily = Literal["roberta", "modernbert"]
MaskKind = Literal["span", "token", "beat"]
Disguise = Literal["always", "bert"]
Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class SignalConfig:
    """Stage 2, signal."""

    low_hz: float
    """Cut-off of the baseline filter in Hz; 0 leaves the baseline in."""
    high_hz: float
    """Cut-off of the noise filter in Hz; 0 leaves the noise in."""
    scaling: ScalingMethod
    """Rule that maps amplitudes to [0, 1]."""
    span: float
    """Half range of the scaling: multiple of the median beat amplitude (robust) or mV (fixed)."""


@dataclass(frozen=True)
class CodebookConfig:
    """Stage 3, levels."""

    n_levels: int
    """Number of levels, 2 to 256."""
    method: Method
    """How thresholds and values are fitted; "lloyd-max" has the least squared error."""


@dataclass(frozen=True)
class TokenizerConfig:
    """Stages 4 and 5, text and tokens."""

    window_samples: int
    """Samples at 360 Hz of a text, at most 4000."""
    n_tokens: int
    """Vocabulary size, special tokens and letters included."""
    max_token_samples: int
    """Samples at 360 Hz that a token covers at most; with `window_samples` there is no further bound."""
    training_samples: int
    """Samples that merges are learnt from at most; evenly spread over the corpus."""


@dataclass(frozen=True)
class EncoderConfig:
    """Stage 6, embeddings."""

    family: EncoderFamily
    """"roberta" (learned positions, post-norm) or "modernbert" (rotary positions, pre-norm)."""
    n_layers: int
    """Transformer layers."""
    hidden_size: int
    """Width of an embedding."""
    n_heads: int
    """Attention heads."""
    intermediate_size: int
    """Width of the feed-forward layers."""
    max_tokens: int
    """Positions, <s> and </s> included; longer windows continue in further rows."""


@dataclass(frozen=True)
class MaskingConfig:
    """What the masked-language model has to restore."""

    mask: MaskKind
    """"span" (stretches of a given duration), "token" (single tokens, as published) or "beat" (whole heartbeats)."""
    masked_share: float
    """Share of tokens masked in that way."""
    random_share: float
    """Share of tokens masked one by one besides."""
    shortest_span_ms: float
    """Shortest masked span in milliseconds."""
    longest_span_ms: float
    """Longest masked span in milliseconds."""
    disguise: Disguise
    """"always": masked tokens are shown as <mask>; "bert": 80 % so, 10 % as a random token, 10 % as they are."""


@dataclass(frozen=True)
class PretrainingConfig:
    """Masked-language modelling; the run ends at the first limit that is reached."""

    n_steps: int
    """Optimiser steps at most."""
    n_training_epochs: float
    """Passes over the tokens of the training leads at most."""
    rows_per_step: int
    """Rows of `max_tokens` tokens a step, over all processes together."""
    learning_rate: float
    """Peak learning rate; the warm-up takes 200 steps, or a tenth of all if those are fewer."""
    schedule: Schedule
    """After the warm-up: "constant" with a linear fall to 0 over the last fifth, or "cosine" to 0."""
    weight_decay: float
    """Decoupled weight decay of AdamW on matrices."""
    steps_per_check: int
    """Steps between two lines of the log, each with the loss on held-out leads."""
    patience: int
    """Checks without a lower validation loss after which the run ends; 0 never ends it early."""
    probe_every_minutes: float
    """Minutes between two probes of the frozen encoder on heartbeats, where probe data is given; 0 for none."""
    seed: int
    """Seed of the initial weights, the order of rows and the masks."""

    def __post_init__(self) -> None:
        for name in ("n_steps", "rows_per_step", "steps_per_check"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1. Raise it.")
        for name in ("n_training_epochs", "learning_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be positive and finite. Change it.")
        for name in ("patience", "probe_every_minutes", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must not be negative. Raise it.")


@dataclass(frozen=True)
class HeartbeatsConfig:
    """Stage 7, the heartbeat head."""

    layer: int
    """Encoder layer whose token embeddings are pooled, counted from 1; 0 is the input embedding."""
    n_units: int
    """LSTM units in each direction."""
    reads: Literal["encoder", "encoder-and-waveform"]
    """What of each wave is compared with the usual beat's: its embedding, or its waveform beside it."""
    n_directions: int
    """Numbers that embeddings themselves are projected to; 0 reads only how far they are from the usual beat's."""
    learning_rate: float
    """Peak learning rate of AdamW."""
    n_training_epochs: int
    """Passes over the training beats; a head that reads windows, or an encoder that learns, keeps the best of them."""
    dropout: float
    """Share of the outputs of each layer set to zero while training."""
    class_balance: float
    """Exponent of the class weights: 0 natural frequencies, 1 all classes equal."""
    n_seeds: int
    """Heads trained from different seeds; the one of median validation score ships."""
    seed: int
    """Seed of the first head."""


@dataclass(frozen=True)
class Config:
    """All settings."""

    signal: SignalConfig
    codebook: CodebookConfig
    tokenizer: TokenizerConfig
    encoder: EncoderConfig
    masking: MaskingConfig
    pretraining: PretrainingConfig
    heartbeats: HeartbeatsConfig


PRESETS = ("small", "paper", "tiny")


def read_config(source: str | Path) -> Config:
    """Read settings from a TOML file, or one of the presets by name.

    Parameters
    ----------
    source : str or Path
        ``"small"``, ``"paper"``, ``"tiny"``, or the path of a TOML file with all tables and keys.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a table or key is unknown, missing or of the wrong type.
    """
    if source in PRESETS:
        preset = resources.files("heartbert.training").joinpath("presets", f"{source}.toml")
        text = preset.read_text(encoding="utf-8")
    else:
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"settings '{source}' cannot be read ({error}); give one of {', '.join(PRESETS)} or the "
                "path of a TOML file."
            ) from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}. Correct the file.") from error
    return config_from_tables(tables, str(source))


def config_from_tables(tables: dict[str, Any], name: str) -> Config:
    """Build settings from nested dictionaries; `name` is used in messages.

    Raises
    ------
    ConfigError
        If a table or key is unknown, missing or of the wrong type.
    """
    known = {field.name: field.type for field in fields(Config)}
    _refuse_unknown(tables.keys(), known, f"{name}: unknown table")
    parts = {table: _read_table(kind, tables.get(table), f"{name}: [{table}]") for table, kind in known.items()}
    return Config(**parts)


def _read_table(kind: Any, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"{where} is missing; every table of the presets is needed.")
    known = {field.name: field.type for field in fields(kind)}
    _refuse_unknown(values.keys(), known, f"{where}: unknown key")
    missing = [key for key in known if key not in values]
    if missing:
        raise ConfigError(f"{where}: '{missing[0]}' is missing; all keys are needed: {', '.join(known)}.")
    return kind(**{key: _convert(values[key], known[key], f"{where}: '{key}'") for key in known})


def _convert(value: Any, kind: Any, where: str) -> Any:
    wanted: type = kind if kind in (int, float) else str
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ConfigError(f"{where} is {value!r}; it must be of type {wanted.__name__}.")
    choices = getattr(kind, "__args__", ())
    if choices and value not in choices:
        raise ConfigError(f"{where} is {value!r}; choose one of {', '.join(choices)}.")
    return value


def _refuse_unknown(found: Any, known: Any, where: str) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else "."
            raise ConfigError(f"{where} '{key}'{hint} Known: {', '.join(sorted(known))}")
