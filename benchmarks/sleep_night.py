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

import numpy as np
import numpy.typing as npt
import torch

from heartbert.files import replacing_file
from heartbert.pipeline import HeartBert
from heartbert.records.record import Channel, Record

sys.path.insert(0, str(Path(__file__).parent))
from fresh_process import forget_peak, in_fresh_process, peak_mb
from provenance import provenance

FS = 250.0
# Waves of a beat: time from the R-peak in s, width in s, height in mV.
_WAVES = ((-0.17, 0.025, 0.12), (-0.03, 0.01, -0.1), (0.0, 0.012, 1.0), (0.03, 0.01, -0.2), (0.25, 0.05, 0.25))
# Mean RR interval in s, its part that follows breathing, and that of the night's cycles of 90 minutes.
_RR_S, _BREATHING_S, _CYCLE_S = 0.9, 0.04, 0.1


class GeneratedLead:
    """An ECG of any length whose samples are made when they are read."""

    def __init__(self, duration_s: float) -> None:
        beats, now = [], 0.5
        while now < duration_s:
            beats.append(now)
            breathing, cycle = np.sin(2 * np.pi * 0.25 * now), np.sin(2 * np.pi * now / 5400.0)
            now += _RR_S + _BREATHING_S * breathing + _CYCLE_S * cycle
        self._beats_s = np.array(beats)

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return samples ``start <= index < stop`` in mV."""
        times_s = np.arange(start, stop) / FS
        signal = 0.01 * np.sin(times_s * 1234.5)  # so that it is never flat
        first, last = np.searchsorted(self._beats_s, (start / FS - 1.0, stop / FS + 1.0))
        for beat_s in self._beats_s[first:last]:
            near = slice(*np.searchsorted(times_s, (beat_s - 0.4, beat_s + 0.6)))
            for offset_s, width_s, height_mv in _WAVES:
                signal[near] += height_mv * np.exp(-(((times_s[near] - beat_s - offset_s) / width_s) ** 2) / 2)
        return signal.astype(np.float32)


def stage(bundle: Path, hours: float) -> dict[str, Any]:
    """Stage one recording; returns its row of the table."""
    torch.set_num_threads(1)
    hb = HeartBert.load(bundle)
    n_samples = round(hours * 3600 * FS)
    channel = Channel("II", FS, "mV", n_samples, "ecg", GeneratedLead(n_samples / FS))
    record = Record("night", "night", (channel,), None, Path("night"))
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
