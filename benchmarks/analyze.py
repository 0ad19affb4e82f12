"""Run `heartbert analyze` on every recording below some folders and store time, memory and failures.

    python benchmarks/analyze.py -o benchmarks/results/analyze.json FOLDER...

Each recording is analysed in a process of its own that starts with the weights loaded, on one thread, with all result
files written; its peak memory is that of the whole process.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from heartbert.errors import HeartbertError
from heartbert.files import replacing_file
from heartbert.pipeline import HeartBert
from heartbert.records import read_record
from heartbert.results import write_results
from heartbert.training.corpus_building import find_records

sys.path.insert(0, str(Path(__file__).parent))
from provenance import provenance


def analyze_one(hb: HeartBert, path: Path) -> dict[str, Any]:
    """Analyse one recording into a temporary folder; returns its row of the table."""
    started = time.perf_counter()
    record = read_record(path)
    with tempfile.TemporaryDirectory() as folder:
        reading = time.perf_counter() - started
        analysis = hb.analyze(record)
        before_writing = time.perf_counter()
        write_results(analysis, Path(folder))
        writing = time.perf_counter() - before_writing
    return {
        "lead": analysis.channel.name,
        "lead_hours": analysis.channel.duration_s / 3600,
        "beats": int(analysis.beats.samples.size),
        "seconds": time.perf_counter() - started,
        "seconds_by_stage": {"opening": reading, **analysis.seconds_by_stage, "writing": writing},
    }


def analyze_in_child(hb: HeartBert, path: Path) -> dict[str, Any]:
    """Analyse one recording in a forked process; adds its peak memory, or the error."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            row = analyze_one(hb, path)
        except HeartbertError as error:
            row = {"error": str(error)}
        except Exception as error:  # a bug: reported in the table like any failure
            row = {"error": f"{type(error).__name__}: {error}"}
        os.write(write_end, json.dumps(row).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        content = pipe.read()
    _, _, usage = os.wait4(child, 0)
    row = json.loads(content) if content else {"error": "the process died"}
    return {"record": path.stem, **row, "peak_mb": usage.ru_maxrss / 1024}


def main() -> None:
    """Parse the command line, analyse, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    origin = provenance(arguments.folders)
    torch.set_num_threads(1)
    hb = HeartBert.load()
    rows: dict[str, list[dict[str, Any]]] = {}
    for folder in arguments.folders:
        rows[folder.name] = []
        for path in find_records(folder):
            row = analyze_in_child(hb, path)
            rows[folder.name].append(row)
            print(
                folder.name,
                row["record"],
                f"{row.get('seconds', 0):.2f} s",
                f"{row['peak_mb']:.0f} MB",
                row.get("error", ""),
                flush=True,
            )
    done = [row for table in rows.values() for row in table if "error" not in row]
    # Opening files and drawing the report dominate a 10-s record: the rate is that of recordings of half an hour.
    long_rows = [row for row in done if row["lead_hours"] >= 0.4] or done
    stages = list(done[0]["seconds_by_stage"])
    result = {
        **origin,
        "bundle": hb.bundle.name,
        "records": sum(len(table) for table in rows.values()),
        "failed": sum("error" in row for table in rows.values() for row in table),
        "seconds_per_lead_hour": statistics.median(row["seconds"] / row["lead_hours"] for row in long_rows),
        "peak_mb": max(row["peak_mb"] for table in rows.values() for row in table),
        "file_seconds_by_stage": {
            stage: statistics.median(row["seconds_by_stage"][stage] for row in long_rows) for stage in stages
        },
        "by_folder": {
            name: {
                "records": len(table),
                "failed": sum("error" in row for row in table),
                "median_seconds": statistics.median(row["seconds"] for row in table if "error" not in row),
                "max_peak_mb": max(row["peak_mb"] for row in table),
            }
            for name, table in rows.items()
        },
        "rows": rows,
    }
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
