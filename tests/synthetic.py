"""Synthetic electrocardiograms with known beats, and a tiny database, corpus and bundle made from them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import wfdb

from heartbert.records.record import ArraySource, Channel, Record

# Waves of a beat: time from the R-peak in s, width in s, height in mV.
_NORMAL = ((-0.17, 0.025, 0.12), (-0.03, 0.01, -0.1), (0.0, 0.012, 1.0), (0.03, 0.01, -0.2), (0.25, 0.05, 0.25))
_VENTRICULAR = ((0.0, 0.04, 1.4), (0.1, 0.03, -0.6), (0.3, 0.06, -0.4))


def synthetic_ecg(
    duration_s: float, fs: float, *, seed: int = 0, ventricular_share: float = 0.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], list[str]]:
    """Return a lead in mV, the samples of its R-peaks, and the symbol of each beat (N or V)."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(round(duration_s * fs)) / fs
    signal = rng.normal(0, 0.01, times_s.size)
    beats_s, symbols, now = [], [], 0.5
    while now < duration_s - 0.5:
        symbol = "V" if rng.random() < ventricular_share else "N"
        for offset_s, width_s, height_mv in _VENTRICULAR if symbol == "V" else _NORMAL:
            signal += height_mv * np.exp(-(((times_s - now - offset_s) / width_s) ** 2) / 2)
        beats_s.append(now)
        symbols.append(symbol)
        now += rng.normal(0.8, 0.03)
    samples = np.round(np.array(beats_s) * fs).astype(np.int64)
    return signal.astype(np.float32), samples, symbols


def record_of(signal: npt.NDArray[np.float32], fs: float, *, unit: str = "mV", name: str = "synthetic") -> Record:
    """Return a record with one ECG lead, II, held in memory."""
    channel = Channel("II", fs, unit, signal.size, "ecg", ArraySource(signal))
    return Record(name, name, (channel,), None, Path(f"{name}.npy"))


def write_annotated(folder: Path, name: str, *, seed: int, duration_s: float = 60.0) -> Path:
    """Write a WFDB record with beat annotations and return its header."""
    signal, samples, symbols = synthetic_ecg(duration_s, 360.0, seed=seed, ventricular_share=0.25)
    wfdb.wrsamp(
        name, fs=360, units=["mV"], sig_name=["II"], p_signal=signal[:, None].astype(float), fmt=["16"],
        adc_gain=[1000.0], baseline=[0], write_dir=str(folder),
    )  # fmt: skip
    wfdb.wrann(name, "atr", samples, symbols, fs=360, write_dir=str(folder))
    return folder / f"{name}.hea"
