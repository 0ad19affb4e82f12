"""Predictions -> scores: what one annotator marked, in the form in which EC57 compares it.

Beats with their labels, stretches of ventricular flutter or fibrillation, and stretches of shutdown, all in whole
samples of one clock. The rules are those of ``bxb`` of the WFDB software package (file ``app/bxb.c``, 27 April 2020).
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from heartbert.predictions.labels import BEAT_CLASS_OF_SYMBOL
from heartbert.records.record import Annotations

Labelling = Literal["aami", "bxb"]

# Later than any sample of any recording: the time of a beat that never comes, and the end of an open stretch.
NEVER = 1 << 62

# Waves of ventricular flutter are QRS complexes to bxb, and of no class: they take part in pairing and are not counted.
_FLUTTER_WAVE, _NO_CLASS = "!", "O"
_FIBRILLATION_START, _FIBRILLATION_END, _NOISE = "[", "]", "~"
# annot(5): both bits are set in the subtype of a noise mark while neither signal can be read.
_SHUTDOWN_BITS = 0x30

_AAMI = {symbol: beat_class.name for symbol, beat_class in BEAT_CLASS_OF_SYMBOL.items()} | {_FLUTTER_WAVE: _NO_CLASS}
LABEL_OF_SYMBOL: Mapping[Labelling, Mapping[str, str]] = MappingProxyType(
    {"aami": MappingProxyType(_AAMI), "bxb": MappingProxyType(_AAMI | {"e": "S", "j": "S"})}
)
"""Label N, S, V, F, Q or O of each WFDB symbol that takes part in pairing.

The two differ in atrial and nodal escape beats alone: ``e`` and ``j`` are N in "aami" (de Chazal et al., IEEE Trans.
Biomed. Eng. 51(7):1196-1206, 2004, and `heartbert.predictions.labels`) and S in "bxb", as ``bxb -S`` counts them.
Both count ``n`` as S, ``B`` as N, ``r`` as V and ``?`` as Q. Without ``-C``, ``-L`` or ``-S``, bxb counts S as N.
"""


@dataclass(frozen=True)
class Marks:
    """Annotations with the subtypes that tell shutdown from mere noise.

    Attributes
    ----------
    annotations : Annotations
        In time order.
    subtypes : ndarray of int64, shape (n_annotations,)
    """

    annotations: Annotations
    subtypes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clock:
    """The time base of a comparison: samples of the reference, and the match window in them."""

    fs: float
    window_samples: int

    def samples_of(self, annotations: Annotations) -> npt.NDArray[np.int64]:
        """Return the times of annotations at any rate as the nearest samples of this clock."""
        if annotations.fs == self.fs:
            return annotations.samples
        samples = np.floor(annotations.samples * (self.fs / annotations.fs) + 0.5)
        return np.asarray(samples, dtype=np.int64)


@dataclass(frozen=True)
class Stretch:
    """Samples ``start`` to ``stop``, both included; `NEVER` where nothing ends it."""

    start: int
    stop: int

    def holds(self, sample: int) -> bool:
        """Return whether a sample lies in the stretch."""
        return self.start <= sample <= self.stop


@dataclass(frozen=True)
class Track:
    """What takes part in the comparison, in samples of its clock.

    Attributes
    ----------
    samples : tuple of int
        Beats, in time order.
    labels : tuple of str
        N, S, V, F, Q or O of each.
    fibrillation, shutdown : tuple of Stretch
    """

    samples: tuple[int, ...]
    labels: tuple[str, ...]
    fibrillation: tuple[Stretch, ...]
    shutdown: tuple[Stretch, ...]

    def rr_samples(self) -> list[int]:
        """Return the interval before each beat; 0 before the first and where fibrillation or shutdown began in it.

        Like bxb, an interval that starts at sample 0 counts as none.
        """
        onsets = sorted(stretch.start for stretch in (*self.fibrillation, *self.shutdown))
        intervals = [0] * len(self.samples)
        for index in range(1, len(self.samples)):
            before, beat = self.samples[index - 1 : index + 1]
            interrupted = bisect_left(onsets, beat) > bisect_left(onsets, before)
            intervals[index] = beat - before if before and not interrupted else 0
        return intervals


def follow_marks(marks: Marks, clock: Clock, labelling: Labelling) -> Track:
    """Sort annotations into beats, fibrillation and shutdown.

    Everything between ``[`` and the next ``]`` is skipped. A noise mark with both bits 0x30 of its subtype starts a
    shutdown. If the next annotation is a noise mark without them, that ends it; otherwise, as in the AHA database,
    the mark stands somewhere in the middle, and the shutdown reaches from a match window after the last beat or
    ``]`` to a match window before the next annotation. A stretch that nothing ends reaches to the end: bxb forgets
    that where an earlier stretch of the kind has ended, and knows the last two stretches of a kind alone.
    """
    samples, symbols = clock.samples_of(marks.annotations).tolist(), marks.annotations.symbols
    starts_shutdown = (marks.subtypes & _SHUTDOWN_BITS == _SHUTDOWN_BITS).tolist()
    label_of = LABEL_OF_SYMBOL[labelling]
    beats: list[tuple[int, str]] = []
    fibrillation: list[Stretch] = []
    shutdown: list[Stretch] = []
    index = 0
    while index < len(samples):
        symbol = symbols[index]
        if symbol in label_of:
            beats.append((samples[index], label_of[symbol]))
        elif symbol == _FIBRILLATION_START:
            end = next((i for i in range(index + 1, len(samples)) if symbols[i] == _FIBRILLATION_END), len(samples))
            fibrillation.append(Stretch(samples[index], samples[end] if end < len(samples) else NEVER))
            index = end
        elif symbol == _NOISE and starts_shutdown[index]:
            following = index + 1
            if following == len(samples):
                shutdown.append(Stretch(samples[index], NEVER))
            elif symbols[following] == _NOISE and not starts_shutdown[following]:
                shutdown.append(Stretch(samples[index], samples[following]))
                index = following
            else:
                last = max(beats[-1][0] if beats else 0, fibrillation[-1].stop if fibrillation else 0)
                stop = samples[following] - clock.window_samples
                shutdown.append(Stretch(min(last + clock.window_samples, stop), stop))
        index += 1
    return Track(
        tuple(sample for sample, _ in beats), tuple(label for _, label in beats), tuple(fibrillation), tuple(shutdown)
    )
