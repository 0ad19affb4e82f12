"""Settings of the sleep head in a file."""

from pathlib import Path

import pytest

from heartbert.errors import ConfigError
from heartbert.training.sleep_config import SleepConfig
from heartbert.training.sleep_settings import read_sleep_config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sleep]\n", SleepConfig()),
        ("[sleep]\nlayer = 2\nnoise = 1\n", SleepConfig(layer=2, noise=1.0)),
    ],
)
def test_keys_that_are_not_there_keep_their_defaults(text: str, expected: SleepConfig, tmp_path: Path) -> None:
    """One key is changed without copying the others; a whole number may stand for a real one."""
    (tmp_path / "sleep.toml").write_text(text)

    found = read_sleep_config(tmp_path / "sleep.toml")

    assert found == expected
    assert isinstance(found.noise, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sleep", "cannot be read"),
        ("[encoder]\n", r"holds 'encoder'; the table \[sleep\] and nothing else"),
        ("[sleep]\n[encoder]\n", "holds 'sleep', 'encoder'"),
        ("sleep = 3\n", "the table"),
        ("", "holds nothing"),
        ("[sleep]\nn_unit = 3\n", r"unknown key 'n_unit'; did you mean 'n_units'\? Known: class_balance"),
        ("[sleep]\nzzz = 3\n", r"unknown key 'zzz'\. Known"),
        ("[sleep]\nseed = 0.5\n", "'seed' is 0.5; it must be of type int"),
        ("[sleep]\ndropout = true\n", "'dropout' is True; it must be of type float"),
        ("[sleep]\ndropout = 1.5\n", "dropout is 1.5; it must lie in"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(text: str, message: str, tmp_path: Path) -> None:
    """A wrong key is told before hours of work."""
    (tmp_path / "sleep.toml").write_text(text)

    with pytest.raises(ConfigError, match=message):
        read_sleep_config(tmp_path / "sleep.toml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """By name, and with what to give."""
    with pytest.raises(ConfigError, match=r"none\.toml' cannot be read .*give a TOML file with a table \[sleep\]"):
        read_sleep_config(tmp_path / "none.toml")
