"""What a person reads: the hypnogram of a night as CSV, EDF+ annotations, WFDB annotations and statistics."""

import csv
import json
import re
import tempfile
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import edfio
import numpy as np
import wfdb
from matplotlib.figure import Figure

from heartbert.errors import ConfigError
from heartbert.evaluation.sleep import sleep_statistics
from heartbert.files import replacing_file
from heartbert.predictions.sleep_labels import (
    EPOCH_S,
    NOTE_OF_STAGE,
    STAGE_SETS,
    SleepPredictions,
    SleepStage,
    StageSetName,
)
from heartbert.results.hypnogram import draw_hypnogram
from heartbert.results.plots import png_bytes

# Text of an epoch that is left open, in CSV and EDF+ (EDF+ standard texts for polysomnography).
_OPEN = "?"
# A recording without start time gets the earliest that EDF can tell.
_EARLIEST = datetime(1985, 1, 1)
# The first note of a published `.st` file stands at sample 1, as notes at sample 0 may be definitions.
_FIRST_SAMPLE = 1


def write_hypnogram_csv(predictions: SleepPredictions, path: Path, *, least_probability: float = 0.0) -> None:
    """Write one row an epoch: its time, its class in each set, and all probabilities.

    Parameters
    ----------
    predictions : SleepPredictions
    path : Path
    least_probability : float, default 0
        A less certain epoch has the class ``?``; its probabilities are given all the same.
    """
    names = [(of, name) for of, stage_set in STAGE_SETS.items() for name in stage_set.classes]
    classes = {of: _words(predictions, of, least_probability) for of in STAGE_SETS}
    header = ["epoch", "start_s", "time", *STAGE_SETS, *(f"p_{of}_{name}" for of, name in names)]
    with replacing_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for epoch, start_s in enumerate(predictions.times_s.tolist()):
            time = (predictions.start + timedelta(seconds=start_s)).isoformat() if predictions.start else ""
            shares = [f"{value:.4f}" for of in STAGE_SETS for value in predictions.probabilities[of][epoch]]
            writer.writerow([epoch, f"{start_s:g}", time, *(classes[of][epoch] for of in STAGE_SETS), *shares])


def _words(predictions: SleepPredictions, of: StageSetName, least_probability: float) -> list[str]:
    names = STAGE_SETS[of].classes
    return [names[one] if one >= 0 else _OPEN for one in predictions.hypnogram(of, least_probability=least_probability)]


def write_hypnogram_edf(predictions: SleepPredictions, path: Path, *, least_probability: float = 0.0) -> None:
    """Write the five stages as annotations of an EDF+ file without signals, which polysomnography programs open.

    Each epoch is an annotation of 30 s such as ``Sleep stage N2``, the texts of the EDF+ standard; ``Sleep stage ?``
    is an epoch left open.
    """
    words = _words(predictions, "stages5", least_probability)
    annotations = [
        edfio.EdfAnnotation(float(start_s), EPOCH_S, f"Sleep stage {word}")
        for start_s, word in zip(predictions.times_s, words, strict=True)
    ]
    start = predictions.start or _EARLIEST
    file = edfio.Edf(
        [],
        recording=edfio.Recording(startdate=start.date()),
        starttime=start.time(),
        annotations=annotations,
    )
    with replacing_file(path) as temporary:
        file.write(temporary)


def write_hypnogram_wfdb(
    predictions: SleepPredictions, folder: Path, name: str, *, fs: float, least_probability: float = 0.0
) -> Path:
    """Write the stages as a `.st` file in the layout of `slpdb`: a note an epoch, slow-wave sleep as 3.

    Parameters
    ----------
    predictions : SleepPredictions
    folder : Path
        Created if needed.
    name : str
        Of the record: letters, digits, hyphens and underscores.
    fs : float
        Sampling frequency in Hz of the sample indices: that of the record.
    least_probability : float, default 0
        Less certain epochs have no note.

    Raises
    ------
    ConfigError
        If `name` has other characters.
    """
    if not re.fullmatch(r"[\w-]+", name, re.ASCII):
        raise ConfigError(f"record name is '{name}'; letters, digits, '_' and '-' are allowed. Give another name.")
    hypnogram = predictions.hypnogram("stages5", least_probability=least_probability)
    kept = np.flatnonzero(hypnogram >= 0)
    samples = np.maximum(np.round(kept * EPOCH_S * fs).astype(np.int64), _FIRST_SAMPLE)
    target = folder / f"{name}.st"
    with replacing_file(target) as temporary, tempfile.TemporaryDirectory() as scratch:
        if kept.size:
            notes = [NOTE_OF_STAGE[SleepStage(int(hypnogram[epoch]))] for epoch in kept]
            wfdb.wrann(name, "st", samples, symbol=['"'] * kept.size, aux_note=notes, fs=fs, write_dir=scratch)
            temporary.write_bytes((Path(scratch) / f"{name}.st").read_bytes())
        else:
            temporary.write_bytes(b"\0\0")  # an annotation file without annotations
    return target


def write_sleep_results(
    predictions: SleepPredictions, folder: Path, name: str, *, fs: float, least_probability: float = 0.0
) -> list[Path]:
    """Write all files of a staged night into a folder.

    Returns
    -------
    paths : list of Path
        hypnogram.png, hypnogram.csv, hypnogram.edf, the `.st` file, sleep.json (statistics of the hypnogram with
        nothing left open, and the share of epochs left open).
    """
    plot, table, edf, summary = (
        folder / file for file in ("hypnogram.png", "hypnogram.csv", "hypnogram.edf", "sleep.json")
    )
    figure = Figure(figsize=(11, 5), layout="constrained")
    draw_hypnogram(figure, predictions, least_probability=least_probability)
    with replacing_file(plot) as temporary:
        temporary.write_bytes(png_bytes(figure))
    write_hypnogram_csv(predictions, table, least_probability=least_probability)
    write_hypnogram_edf(predictions, edf, least_probability=least_probability)
    marks = write_hypnogram_wfdb(predictions, folder, name, fs=fs, least_probability=least_probability)
    left_open = predictions.hypnogram(least_probability=least_probability) < 0
    content = {
        "start": predictions.start.isoformat() if predictions.start else None,
        "n_epochs": predictions.n_epochs,
        "share_left_open": float(left_open.mean()) if left_open.size else 0.0,
        "least_probability": least_probability,
        **asdict(sleep_statistics(predictions.hypnogram())),
    }
    with replacing_file(summary) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return [plot, table, edf, marks, summary]
