"""Synthetic recordings of several people, with tables of labels that can be learnt from the signal."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

FS = 200.0
# Waves of a beat: time from the R-peak in s, width in s, height in mV; the last is the T wave.
_WAVES = ((-0.17, 0.025, 0.12), (-0.03, 0.01, -0.1), (0.0, 0.012, 1.0), (0.03, 0.01, -0.2))
_T_WAVE = (0.25, 0.05)


def ecg(t_heights_mv: npt.NDArray[np.float64], *, seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return a lead with one beat a second and the R-peaks; each beat has a T wave of its own height."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(round(t_heights_mv.size * FS)) / FS
    beats_s = np.arange(t_heights_mv.size) + 0.5 + rng.normal(0, 0.02, t_heights_mv.size)
    signal = rng.normal(0, 0.01, times_s.size)
    for beat_s, height_mv in zip(beats_s, t_heights_mv, strict=True):
        for offset_s, width_s, wave_mv in (*_WAVES, (*_T_WAVE, height_mv)):
            signal += wave_mv * np.exp(-(((times_s - beat_s - offset_s) / width_s) ** 2) / 2)
    return signal.astype(np.float32), np.round(beats_s * FS).astype(np.int64)


def write_record(
    folder: Path, name: str, t_heights_mv: Sequence[float], *, seed: int, n_leads: int = 1
) -> npt.NDArray[np.int64]:
    """Write ``NAME.npz``, a second for each T wave, in leads II, I and so on; returns the samples of the R-peaks."""
    signal, r_peaks = ecg(np.asarray(t_heights_mv, dtype=np.float64), seed=seed)
    leads = {lead: signal * gain for lead, gain in zip(("II", "I", "V5"), (1.0, 0.6, 0.8), strict=True)}
    np.savez(folder / f"{name}.npz", fs=FS, **dict(list(leads.items())[:n_leads]))
    return r_peaks


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    """Write a table as CSV, or as TSV where its name ends so."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerow(header)
        writer.writerows(rows)
    return path
