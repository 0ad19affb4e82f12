"""Stage generated recordings of one hour and of a whole night: seconds and peak memory on one core.

    python benchmarks/sleep_night.py BUNDLE -o benchmarks/results/sleep-night.json

The bundle needs a sleep head ('heartbert train-sleep'). Each recording is staged in a process of its own; its peak
memory is what it holds at most while staging, and what it held before, with the weights loaded, is given beside it.
Generated samples take no memory: they are made when they are read.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from heartbert.files import replacing_file
from heartbert.pipeline import HeartBert

sys.path.insert(0, str(Path(__file__).parent))
from fresh_process import forget_peak, in_fresh_process, peak_mb
from generated import FS, generated_record
from provenance import provenance


def stage(bundle: Path, hours: float) -> dict[str, Any]:
    """Stage one recording; returns its row of the table."""
    torch.set_num_threads(1)
    hb = HeartBert.load(bundle)
    record = generated_record(hours)
    forget_peak()
    before_mb, started, worked = peak_mb(), time.perf_counter(), time.process_time()
    predictions = hb.stage_sleep(record)
    return {
        "hours": hours,
        "n_epochs": predictions.n_epochs,
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - worked,
        "before_mb": before_mb,
        "peak_mb": peak_mb(),
    }


def main() -> None:
    """Parse the command line, stage, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--hours", type=float, nargs="+", default=[1.0, 8.0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    hb = HeartBert.load(arguments.bundle)
    result = {
        **provenance([arguments.bundle]),
        "bundle": hb.bundle.name,
        "inputs": hb.bundle.sleep_head.inputs,
        "fs": FS,
        "rows": [],
    }
    for hours in arguments.hours:
        row = in_fresh_process(stage, arguments.bundle, hours)
        result["rows"].append(row)
        print(
            f"{hours:g} h: {row['seconds']:.1f} s, {row['peak_mb']:.0f} MB, {row['before_mb']:.0f} before", flush=True
        )
    first, last = result["rows"][0], result["rows"][-1]
    result["mb_an_hour"] = (last["peak_mb"] - first["peak_mb"]) / max(last["hours"] - first["hours"], 1e-9)
    with replacing_file(arguments.output) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
