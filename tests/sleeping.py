"""Synthetic nights: beats that tell the stage, and records in the layout of the Polysomnographic Database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import wfdb

from heartbert.predictions.sleep_labels import NOTE_OF_STAGE, SleepStage
from heartbert.predictions.sleep_night import describe_night
from heartbert.records.record import Record
from heartbert.training.sleep import LabelledNight
from tests.synthetic import record_of, synthetic_ecg

# RR in s of each stage, W, N1, N2, N3, R, and its spread: enough for a network to tell them.
_RR_S, _SPREAD_S = (0.65, 0.8, 0.95, 1.1, 0.75), (0.06, 0.03, 0.02, 0.01, 0.09)


def cycle_of_stages(n_epochs: int, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return stages in runs of a few epochs, all five of them where there is room."""
    rng = np.random.default_rng(seed)
    runs = [np.full(int(rng.integers(2, 6)), stage) for _ in range(n_epochs) for stage in rng.permutation(5)]
    return np.concatenate(runs)[:n_epochs].astype(np.int64)


def beats_of_stages(stages: npt.NDArray[np.int64], *, seed: int = 0) -> npt.NDArray[np.float64]:
    """Return beat times in s whose rate and spread follow the stages."""
    rng = np.random.default_rng(seed)
    times, now = [], 0.3
    while now < stages.size * 30.0:
        stage = int(stages[int(now // 30.0)])
        times.append(now)
        breathing = 0.03 * np.sin(2 * np.pi * 0.25 * now)
        now += max(0.35, _RR_S[stage] + breathing + rng.normal(0, _SPREAD_S[stage]))
    return np.array(times)


def labelled_night(name: str, *, seed: int, n_epochs: int = 40, n_embedding: int = 0) -> LabelledNight:
    """Return a night of one person; every second epoch has a vector that tells its stage."""
    stages = cycle_of_stages(n_epochs, seed=seed)
    vectors = np.full((n_epochs, n_embedding), np.nan, dtype=np.float32)
    if n_embedding:
        vectors[::2] = np.eye(5, n_embedding, dtype=np.float32)[stages[::2]]
    night = describe_night(beats_of_stages(stages, seed=seed), n_epochs, embeddings=vectors)
    return LabelledNight("slpdb", name, f"slpdb/{name}", night, stages)


def write_slpdb_record(
    folder: Path,
    name: str,
    notes: Sequence[str],
    *,
    seed: int = 0,
    first_epoch: int = 0,
    with_signal: bool = True,
    with_beats: bool = True,
) -> Path:
    """Write a record at 250 Hz as published: ECG and pressure, `.ecg` beats, `.st` notes; return its header."""
    duration_s = (first_epoch + len(notes)) * 30.0
    if with_signal:
        signal, samples, _ = synthetic_ecg(duration_s, 250.0, seed=seed)
        pressure = np.full_like(signal, 90.0)
        wfdb.wrsamp(
            name, fs=250, units=["mV", "mmHg"], sig_name=["ECG", "BP"],
            p_signal=np.stack([signal, pressure], axis=1).astype(float), fmt=["212", "212"], adc_gain=[500.0, 10.0],
            baseline=[0, 0], write_dir=str(folder), comments=["44 M 89 32-01-89"],
        )  # fmt: skip
    else:
        samples = np.round(np.arange(0.5, duration_s, 0.8) * 250).astype(np.int64)
        lines = [f"{name} 1 250 {round(duration_s * 250)} 23:07:00 19/1/1989", f"{name}.dat 212 -200/mV 12 0 0 0 0 ECG"]
        (folder / f"{name}.hea").write_text("\n".join([*lines, "# 44 M 89 32-01-89"]) + "\n", encoding="ascii")
    if with_beats:
        wfdb.wrann(name, "ecg", samples, ["N"] * samples.size, fs=250, write_dir=str(folder))
    starts = np.maximum((np.arange(len(notes)) + first_epoch) * 7500, 1)
    wfdb.wrann(name, "st", starts, ['"'] * len(notes), aux_note=list(notes), fs=250, write_dir=str(folder))
    return folder / f"{name}.hea"


def notes_of(stages: npt.NDArray[np.int64]) -> list[str]:
    """Return the notes of stages as a `.st` file has them."""
    return [NOTE_OF_STAGE[SleepStage(int(stage))] for stage in stages]


def night_ecg(stages: npt.NDArray[np.int64], fs: float, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return a lead in mV of any length at little cost: one wave shape at beats whose rate follows the stages."""
    signal = np.random.default_rng(seed).normal(0, 0.01, round(stages.size * 30.0 * fs)).astype(np.float32)
    shape = synthetic_ecg(1.2, fs)[0][round(0.2 * fs) : round(0.9 * fs)]  # its only R-peak is at 0.5 s
    for beat_s in beats_of_stages(stages, seed=seed):
        start = round((beat_s - 0.3) * fs)
        if 0 <= start <= signal.size - shape.size:
            signal[start : start + shape.size] += shape
    return signal


def night_record(
    stages: npt.NDArray[np.int64], *, fs: float = 100.0, start: datetime | None = None, seed: int = 0
) -> Record:
    """Return a recording in memory whose heart rate follows the stages."""
    return replace(record_of(night_ecg(stages, fs, seed=seed), fs, name="night"), start=start)
