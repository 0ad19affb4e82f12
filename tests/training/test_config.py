"""Settings are complete and spelt right, or refused with the nearest known name."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

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
        ConfigError, match=r"own: \[codebook\]: unknown key 'n_level'; did you mean 'n_levels'\? Known: n_levels"
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
