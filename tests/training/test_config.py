"""Settings are complete and spelt right, or refused with the nearest known name."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from heartbert.embeddings.encoder import build_encoder
from heartbert.errors import ConfigError
from heartbert.training.config import PRESETS, Config, config_from_tables, read_config


def _tables() -> dict[str, Any]:
    return asdict(read_config("tiny"))


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_read(name: str) -> None:
    """Presets are what most users start from."""
    config = read_config(name)

    assert isinstance(config, Config)
    assert 2 <= config.codebook.n_levels <= 256
    assert config.encoder.hidden_size % config.encoder.n_heads == 0


def test_settings_survive_the_way_through_a_dictionary() -> None:
    """Manifests store them in this form."""
    assert config_from_tables(_tables(), "manifest") == read_config("tiny")


def test_file_is_read_and_whole_numbers_become_floats(tmp_path: Path) -> None:
    """Nobody writes 40.0 for 40 Hz."""
    preset = Path(__file__).parents[2] / "src/heartbert/training/presets/tiny.toml"
    path = tmp_path / "own.toml"
    path.write_text(preset.read_text().replace("high_hz = 40.0", "high_hz = 40"))

    config = read_config(path)

    assert config == read_config("tiny")
    assert isinstance(config.signal.high_hz, float)


def test_missing_file_is_refused_with_the_presets() -> None:
    """A misspelt preset is taken for a file."""
    with pytest.raises(ConfigError, match=r"settings 'little' cannot be read .*; give one of small, paper, tiny or"):
        read_config("little")


@pytest.mark.parametrize(("content", "message"), [(b"[signal\n", "not valid TOML"), (b"\xff\xfe", "cannot be read")])
def test_damaged_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The user has to see which file is wrong."""
    path = tmp_path / "own.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=f"own.toml.*{message}"):
        read_config(path)


def test_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    """A misspelt key would otherwise leave the default in force."""
    tables = _tables()
    tables["codebook"]["n_level"] = 32

    with pytest.raises(
        ConfigError,
        match=r"own: \[codebook\]: unknown key 'n_level'; did you mean 'n_levels'\? Known: method, n_levels",
    ):
        config_from_tables(tables, "own")


def test_unknown_table_without_a_near_name_is_refused_with_all_known_ones() -> None:
    """A guess that is far off would mislead."""
    tables = {**_tables(), "zzz": {}}

    with pytest.raises(
        ConfigError, match=r"own: unknown table 'zzz'\. Known: codebook, encoder, heartbeats, .*, token"
    ):
        config_from_tables(tables, "own")


def test_missing_table_is_refused() -> None:
    """Defaults hidden in code would not be in the manifest."""
    tables = _tables()
    del tables["encoder"]

    with pytest.raises(ConfigError, match=r"own: \[encoder\] is missing; every table"):
        config_from_tables(tables, "own")


def test_missing_key_is_refused() -> None:
    """The message names the first missing key and all that are needed."""
    tables = _tables()
    del tables["signal"]["span"]

    with pytest.raises(ConfigError, match=r"own: \[signal\]: 'span' is missing; all keys are needed: low_hz, high_hz"):
        config_from_tables(tables, "own")


@pytest.mark.parametrize(
    ("table", "key", "value", "wanted"),
    [
        ("codebook", "n_levels", "32", "int"),
        ("codebook", "n_levels", 32.0, "int"),
        ("codebook", "n_levels", True, "int"),
        ("signal", "low_hz", "0.5", "float"),
        ("signal", "low_hz", False, "float"),
        ("signal", "scaling", 1, "str"),
    ],
)
def test_wrong_type_is_refused(table: str, key: str, value: object, wanted: str) -> None:
    """TOML knows types, and true would pass for 1."""
    tables = _tables()
    tables[table][key] = value

    with pytest.raises(ConfigError, match=rf"own: \[{table}\]: '{key}' is {value!r}; it must be of type {wanted}"):
        config_from_tables(tables, "own")


@pytest.mark.parametrize(
    ("table", "key", "choices"),
    [("signal", "scaling", "robust, record-range, fixed"), ("encoder", "family", "roberta, modernbert")],
)
def test_unknown_choice_is_refused_with_the_known_ones(table: str, key: str, choices: str) -> None:
    """A family that does not exist must fail before the corpus is built, not after."""
    tables = _tables()
    tables[table][key] = "gpt"

    with pytest.raises(ConfigError, match=rf"'{key}' is 'gpt'; choose one of {choices}"):
        config_from_tables(tables, "own")


def test_paper_is_the_published_configuration() -> None:
    """The preset's name is a promise; METHOD's table is copied here."""
    paper = read_config("paper")

    assert (paper.codebook.n_levels, paper.tokenizer.window_samples, paper.tokenizer.n_tokens) == (100, 4000, 52_000)
    assert (paper.masking.mask, paper.masking.masked_share, paper.masking.random_share) == ("token", 0.15, 0.0)
    assert paper.masking.disguise == "bert"
    assert (paper.pretraining.rows_per_step, paper.pretraining.n_training_epochs) == (64, 1000.0)
    assert paper.pretraining.patience == 50
    assert (paper.signal.low_hz, paper.signal.high_hz, paper.signal.scaling) == (0.0, 0.0, "record-range")


def test_paper_builds_the_published_encoder_of_83_5_million_parameters() -> None:
    """Built without memory: 0.3 GB of weights is too much for a test, and only their number is asked."""
    paper = read_config("paper")

    with torch.device("meta"):
        model = build_encoder(paper.encoder, paper.tokenizer.n_tokens, seed=1)

    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == 83.5
    assert model.config.max_position_embeddings == 514
    assert (model.config.num_hidden_layers, model.config.num_attention_heads, model.config.hidden_size) == (6, 12, 768)


@pytest.mark.parametrize("table", ["masking", "pretraining", "encoder", "heartbeats"])
def test_tables_are_short(table: str) -> None:
    """More than ten keys are not read."""
    assert len(_tables()[table]) <= 10


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("n_steps", 0, "n_steps is 0; it must be at least 1"),
        ("rows_per_step", -1, "rows_per_step is -1; it must be at least 1"),
        ("n_training_epochs", 0.0, "n_training_epochs is 0.0; it must be positive"),
        ("learning_rate", float("nan"), "learning_rate is nan; it must be positive"),
        ("patience", -1, "patience is -1; it must not be negative"),
    ],
)
def test_settings_out_of_range_are_refused(key: str, value: float, message: str) -> None:
    """A run of a week must not fail at its end, nor do nothing."""
    tables = _tables()
    tables["pretraining"][key] = value

    with pytest.raises(ConfigError, match=message):
        config_from_tables(tables, "own")
