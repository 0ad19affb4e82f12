"""Settings of the sleep head from a TOML file."""

import difflib
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from heartbert.errors import ConfigError
from heartbert.training.sleep_config import SleepConfig

_TABLE = "sleep"


def read_sleep_config(path: Path) -> SleepConfig:
    """Read the table ``[sleep]`` of a TOML file; keys that are not there keep their defaults.

    Raises
    ------
    ConfigError
        If the file cannot be read, has another table, or a key is unknown, of the wrong type or out of range.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"settings '{path}' cannot be read ({error}); give a TOML file with a table [{_TABLE}]."
        ) from error
    values = tables.get(_TABLE)
    if not isinstance(values, dict) or len(tables) > 1:
        found = ", ".join(f"'{name}'" for name in tables) or "nothing"
        raise ConfigError(f"{path.name} holds {found}; the table [{_TABLE}] and nothing else is allowed. Correct it.")
    kinds: dict[str, Any] = {field.name: field.type for field in fields(SleepConfig)}
    for key, value in values.items():
        _check(key, value, kinds, path.name)
    return SleepConfig(**{key: kinds[key](value) for key, value in values.items()})


def _check(key: str, value: object, kinds: dict[str, Any], name: str) -> None:
    if key not in kinds:
        near = difflib.get_close_matches(key, kinds, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise ConfigError(f"{name}: [{_TABLE}]: unknown key '{key}'{hint} Known: {', '.join(sorted(kinds))}")
    allowed = (int, float) if kinds[key] is float else int
    if not isinstance(value, allowed) or isinstance(value, bool):
        raise ConfigError(f"{name}: [{_TABLE}]: '{key}' is {value!r}; it must be of type {kinds[key].__name__}.")
