"""Run `heartbert codec-report` on databases and store its numbers; all is fitted on the first database.

    python benchmarks/codec.py FOLDER... --exclude recipes/small/excluded.txt -o benchmarks/results/codec.json

The page itself goes beside, where `--page` says. How often each level is used is left out of the stored result.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from heartbert.files import replacing_file

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance

LEFT_OUT = ("level_use", "records")


def main() -> None:
    """Parse the command line, run the command, store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--exclude", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--page", type=Path, help="Where the page is copied to.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance([*arguments.folders, *([arguments.page] if arguments.page else [])])
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report"
        command = ["codec-report", *map(str, arguments.folders), "-o", str(report)]
        command += ["--exclude", str(arguments.exclude), "--workers", str(arguments.workers)]
        subprocess.run([sys.executable, "-c", "from heartbert.cli.main import run; run()", *command], check=True)
        content = json.loads((report / "codec.json").read_text(encoding="utf-8"))
        if arguments.page:
            shutil.copy(report / "codec.html", arguments.page)
    result = {**origin, **{key: value for key, value in content.items() if key not in LEFT_OUT}}
    with replacing_file(arguments.output) as path:
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
