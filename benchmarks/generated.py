"""A generated ECG of any length that takes no memory: its samples are made when they are read."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from heartbert.records.record import Channel, Record

FS = 250.0
# Waves of a beat: time from the R-peak in s, width in s, height in mV.
_WAVES = ((-0.17, 0.025, 0.12), (-0.03, 0.01, -0.1), (0.0, 0.012, 1.0), (0.03, 0.01, -0.2), (0.25, 0.05, 0.25))
# Mean RR interval in s, its part that follows breathing, and that of the night's cycles of 90 minutes.
_RR_S, _BREATHING_S, _CYCLE_S = 0.9, 0.04, 0.1


class GeneratedLead:
    """An ECG whose samples are made when they are read."""

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


def generated_record(hours: float) -> Record:
    """Return a recording of one lead."""
    n_samples = round(hours * 3600 * FS)
    channel = Channel("II", FS, "mV", n_samples, "ecg", GeneratedLead(n_samples / FS))
    return Record("generated", "generated", (channel,), None, Path("generated"))
