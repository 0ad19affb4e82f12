"""Run a command that tests a claim and store its result with its origin, beside those of other tasks.

    python benchmarks/claims.py label-efficiency heartbeats MITDB_FOLDER --work FOLDER
    python benchmarks/claims.py parameter-efficiency heartbeats MITDB_FOLDER --work FOLDER --bundle FOLDER ...
    python benchmarks/claims.py rivals heartbeats MITDB_FOLDER --work FOLDER --bundle FOLDER ...

Further options go to the command as they are. The result of each task goes under its name, or that of ``--name``, into
``benchmarks/results/COMMAND.json``, its plot or page beside it as ``COMMAND-NAME.svg`` or ``.html``.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from heartbert.files import replacing_file

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

COMMANDS = ("label-efficiency", "parameter-efficiency", "rivals")
RESULTS = Path(__file__).parent / "results"


def stored(path: Path) -> dict[str, Any]:
    """Return the results of all tasks so far."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def main() -> None:
    """Parse the command line, run the command, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("task")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", help="where a task is measured in more than one way; by default the task")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments, options = parser.parse_known_args()
    name = arguments.name or arguments.task
    folders = [Path(option) for option in options if Path(option).is_absolute()]
    origin = provenance([arguments.folder, *folders])
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / f"{arguments.command}-{name}.json"
        command = [arguments.command, arguments.task, str(arguments.folder), "-o", str(made), *options]
        subprocess.run([sys.executable, "-c", "from heartbert.cli.main import run; run()", *command], check=True)
        content = json.loads(made.read_text(encoding="utf-8"))
        for path in (one for one in made.parent.iterdir() if one != made):
            with replacing_file(arguments.results / path.name) as beside:
                shutil.copy(path, beside)
    target = arguments.results / f"{arguments.command}.json"
    with replacing_file(target) as path:
        results = {**stored(target), name: {**origin, **content}}
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
