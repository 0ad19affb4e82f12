"""Tiny recordings written on the fly, for every format that is read."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import edfio
import numpy as np
import numpy.typing as npt
import pytest

Digital = Sequence[npt.NDArray[np.int64]]


def pack(storage: str, samples: npt.NDArray[np.int64]) -> bytes:
    """Encode digital samples as one signal file of signal(5), independently of wfdb."""
    values = [int(value) for value in samples]
    if storage == "8":
        return np.diff(samples, prepend=0).astype("<i1").tobytes()
    if storage in {"16", "32", "80", "160", "61"}:
        offset = {"80": 128, "160": 32768}.get(storage, 0)
        dtype = {"16": "<i2", "32": "<i4", "80": "<u1", "160": "<u2", "61": ">i2"}[storage]
        return (samples + offset).astype(dtype).tobytes()
    if storage == "24":
        return b"".join((value & 0xFFFFFF).to_bytes(3, "little") for value in values)
    content = bytearray()
    size = 2 if storage == "212" else 3
    values += [0] * (-len(values) % size)
    for i in range(0, len(values), size):
        group = values[i : i + size]
        if storage == "212":
            a, b = (value & 0xFFF for value in group)
            content += bytes([a & 0xFF, a >> 8 | b >> 8 << 4, b & 0xFF])
        else:
            a, b, c = (value & 0x3FF for value in group)
            word = a | b << 10 | c << 20
            if storage == "310":
                word = a << 1 | (c & 0x1F) << 11 | b << 17 | c >> 5 << 27
            content += word.to_bytes(4, "little")
    return bytes(content)


@pytest.fixture
def write_wfdb(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a WFDB record and returns its header."""

    def write(
        signals: Digital,
        *,
        name: str = "rec",
        fs: str = "360",
        storage: str = "16",
        per_frame: Sequence[int] | None = None,
        names: Sequence[str] = ("MLII", "V5", "RESP", "BP"),
        gain: str = "200(0)/mV",
        skew: Sequence[int] | None = None,
        tail: str = "",
        n_stated: str | None = None,
    ) -> Path:
        per_frame = per_frame or [1] * len(signals)
        n_frames = len(signals[0]) // per_frame[0]
        frames = [np.reshape(signal, (n_frames, -1)) for signal in signals]
        (tmp_path / f"{name}.dat").write_bytes(pack(storage, np.concatenate(frames, axis=1).ravel()))
        lines = [f"{name} {len(signals)} {fs} {n_frames if n_stated is None else n_stated}"]
        for i in range(len(signals)):
            form = f"{storage}x{per_frame[i]}" + (f":{skew[i]}" if skew else "")
            lines.append(f"{name}.dat {form} {gain} 12 0 0 0 0 {names[i]}")
        header = tmp_path / f"{name}.hea"
        header.write_text("\n".join(lines) + "\n" + tail, encoding="utf-8")
        return header

    return write


@pytest.fixture
def write_edf(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an EDF or BDF file, EDF+C where annotations are given."""

    def write(
        signals: Sequence[tuple[str, float, str, npt.NDArray[np.float64]]],
        *,
        name: str = "night.edf",
        annotations: Sequence[edfio.EdfAnnotation] | None = None,
        recording: edfio.Recording | None = None,
        patient: edfio.Patient | None = None,
    ) -> Path:
        is_bdf = name.endswith("bdf")
        signal_class = edfio.BdfSignal if is_bdf else edfio.EdfSignal
        made = [
            signal_class(values, fs, label=label, physical_dimension=unit, physical_range=(-3200, 3200))
            for label, fs, unit, values in signals
        ]
        file = (edfio.Bdf if is_bdf else edfio.Edf)(made, annotations=annotations, recording=recording, patient=patient)
        file.write(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def digital() -> npt.NDArray[np.int64]:
    """Return 1000 digital samples of a slow wave with noise, small enough for 8-bit formats."""
    rng = np.random.default_rng(0)
    wave = 60 * np.sin(np.arange(1000) / 20) + rng.integers(-3, 4, 1000)
    return np.asarray(wave, dtype=np.int64)


@pytest.fixture
def data_folder() -> Path:
    """Return the folder of real recordings, or skip."""
    folder = os.environ.get("HEARTBERT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("HEARTBERT_DATA names no folder of unpacked recordings")
    return Path(folder)


@pytest.fixture
def real_database(data_folder: Path) -> Callable[[str], Path]:
    """Return a function that gives the folder of a real database, or skips."""

    def find(name: str) -> Path:
        if not (data_folder / name).is_dir():
            pytest.skip(f"{name} is not unpacked in the folder that HEARTBERT_DATA names")
        return data_folder / name

    return find
