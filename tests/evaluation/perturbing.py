"""Test annotations made from reference annotations by arithmetic alone, so that other programs can make the same."""

from collections.abc import Iterable

PerturbedMark = tuple[int, str, int]

# Labels of the test annotator by position; most marks keep that of the reference.
_RELABELLED = {11: "V", 29: "S", 37: "N", 53: "F", 71: "Q"}
_BEATS = frozenset("NLRBaAJSVrFejnE/fQ?")


def perturb(marks: Iterable[PerturbedMark]) -> list[PerturbedMark]:
    """Shift, drop, relabel and add beats, and mark three shutdowns; other marks are left out.

    Parameters
    ----------
    marks : iterable of (sample, symbol, subtype)
        At 360 Hz, in time order.

    Returns
    -------
    perturbed : list of (sample, symbol, subtype)
        In time order.
    """
    made: list[PerturbedMark] = []
    beats = [(sample, symbol) for sample, symbol, _ in marks if symbol in _BEATS]
    for index, (sample, symbol) in enumerate(beats):
        if index % 13 == 7 or (index // 40) % 17 == 9:
            continue  # missed, singly and in runs of 40
        shift = (index * 7919) % 131 - 65  # up to 181 ms, so that some beats fall out of the window
        label = next((label for step, label in _RELABELLED.items() if index % step == step - 1), symbol)
        made.append((max(sample + (shift if index % 3 else 0), 1), label, 0))
        if index % 19 == 5:
            made.append((sample + 70 + index % 90, "NVS"[index % 3], 0))
    shutdowns = [(130_000 + 150_000 * n, 137_000 + 150_000 * n) for n in range(3)]
    made += [(start, "~", 48) for start, _ in shutdowns] + [(stop, "~", 0) for _, stop in shutdowns]
    return sorted(made, key=lambda mark: mark[0])
