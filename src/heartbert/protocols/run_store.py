"""Trained and scored runs in a folder, so that a protocol of hours continues where it was interrupted."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heartbert.errors import ConfigError
from heartbert.files import replacing_file
from heartbert.protocols.beat_scoring import Run, run_from_json

_SETTINGS_FILE = "settings.json"


@dataclass(frozen=True)
class RunStore:
    """Runs of one protocol with the same settings; made by `open_run_store`."""

    folder: Path

    def get(self, key: tuple[str | int, ...], make: Callable[[], Run]) -> Run:
        """Return the run of that key; it is made and kept where it is not there."""
        path = self.folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.json"
        if path.exists():
            try:
                return run_from_json(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, KeyError) as error:
                raise ConfigError(f"'{path}' holds no run ({error}); remove it and start again.") from error
        run = make()
        write_json(path, {"run": list(key), **run.as_json()})
        return run


def open_run_store(folder: Path, settings: Mapping[str, Any]) -> RunStore:
    """Open a folder of runs for given settings.

    Raises
    ------
    ConfigError
        If the folder holds runs of other settings; the message names the first that differs.
    """
    path = folder / _SETTINGS_FILE
    given = json.loads(json.dumps(settings))
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = sorted(name for name in {*found, *given} if found.get(name) != given.get(name))
        if differing:
            was, now = (str(one.get(differing[0]))[:80] for one in (found, given))
            raise ConfigError(
                f"'{folder}' holds runs made with other settings: '{differing[0]}' was {was}, now {now}. Give another "
                "output folder, or the same settings."
            )
    else:
        write_json(path, given)
    return RunStore(folder)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, complete or not at all."""
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
