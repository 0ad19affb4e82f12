"""What every stored result says about its origin: commit, machine, versions, command."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any


def provenance(folders: Sequence[Path]) -> dict[str, Any]:
    """Return commit, machine, versions and command of the running program; folders are given by name only."""
    root = Path(__file__).parent.parent
    describe = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, check=False
    )
    names = {str(folder): folder.name for folder in folders}
    command = [_shown(names.get(argument, argument)) for argument in sys.argv]
    return {
        "commit": describe.stdout.strip(),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "versions": {name: metadata.version(name) for name in ("heartbert", "numpy", "torch", "transformers")},
        "python": platform.python_version(),
        "command": " ".join(["python", *command]),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _shown(argument: str) -> str:
    """Return an argument without the folders of this machine."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
