"""Predictions -> scores: the statistics of ANSI/AAMI EC57 from tables of beat pairs.

Defined as in the functions that print them in ``bxb`` (``app/bxb.c``, `print_results`) and ``sumstats``
(``app/sumstats.c``) of the WFDB software package. A capital is a label of the reference, a small letter one of the
test annotator: Nv counts beats that are N and were called V.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_N, _S, _V, _F, _Q, _O, _X = range(7)
_CLASSES = slice(_N, _Q + 1)
_ABSENT = slice(_O, _X + 1)


@dataclass(frozen=True)
class Ratio:
    """A statistic as the quotient of two counts."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """The quotient, or None where `whole` is 0 and the statistic says nothing."""
        return self.part / self.whole if self.whole else None


def beat_statistics(counts: npt.NDArray[np.int64]) -> dict[str, Ratio]:
    """Return sensitivity (Se), positive predictivity (+P) and false positive rate (FPR) of a table of pairs.

    ========  ==================================================================================================
    QRS       TP: all pairs of two beats. FN: columns o and x. FP: rows O and X.
    VEB       TP: Vv. FN: the rest of row V. FP: Nv, Sv, Ov, Xv. TN: the rest of rows N, S, F, Q, O and X without
              columns v, o and x. Fv and Qv are neither right nor wrong.
    SVEB      TP: Ss. FN: the rest of row S. FP: Ns, Vs, Fs, Os, Xs. Qs is neither right nor wrong. bxb prints no
              SVEB FPR; here TN is defined as for VEB.
    ========  ==================================================================================================

    Se is TP / (TP + FN), +P is TP / (TP + FP), FPR is FP / (TN + FP).

    Parameters
    ----------
    counts : ndarray of int64, shape (7, 7)
        As in `Comparison`.

    Returns
    -------
    statistics : dict
        QRS Se, QRS +P, VEB Se, VEB +P, VEB FPR, SVEB Se, SVEB +P, SVEB FPR.

    Examples
    --------
    >>> counts = np.zeros((7, 7), dtype=np.int64)
    >>> counts[2, 2], counts[2, 0], counts[0, 2] = 8, 2, 8  # Vv, Vn, Nv
    >>> beat_statistics(counts)["VEB +P"]
    Ratio(part=8, whole=16)
    """
    n_paired = int(counts[_CLASSES, _CLASSES].sum())
    return {
        "QRS Se": Ratio(n_paired, n_paired + int(counts[_CLASSES, _ABSENT].sum())),
        "QRS +P": Ratio(n_paired, n_paired + int(counts[_ABSENT, _CLASSES].sum())),
        **_ectopic_statistics("VEB", counts, _V, (_N, _S, _O, _X)),
        **_ectopic_statistics("SVEB", counts, _S, (_N, _V, _F, _O, _X)),
    }


def _ectopic_statistics(
    name: str, counts: npt.NDArray[np.int64], label: int, false_rows: Sequence[int]
) -> dict[str, Ratio]:
    """Return Se, +P and FPR of one label; `false_rows` are those in which that label is an error."""
    hits, n_reference = int(counts[label, label]), int(counts[label].sum())
    n_false = int(counts[list(false_rows), label].sum())
    others = np.delete(counts[:, _CLASSES], label, axis=0)
    n_true_negative = int(np.delete(others, label, axis=1).sum())
    return {
        f"{name} Se": Ratio(hits, n_reference),
        f"{name} +P": Ratio(hits, hits + n_false),
        f"{name} FPR": Ratio(n_false, n_true_negative + n_false),
    }


def shutdown_statistics(counts: npt.NDArray[np.int64]) -> dict[str, Ratio]:
    """Return the share of beats missed in shutdown: of all beats, and of N, S, V and F.

    Unlike the total of bxb, which forgets S, that of all beats counts every class.
    """
    by_class = {f"{name} missed in shutdown": counts[row] for name, row in zip("NSVF", (_N, _S, _V, _F), strict=True)}
    return {
        "beats missed in shutdown": Ratio(int(counts[_CLASSES, _X].sum()), int(counts[_CLASSES].sum())),
        **{name: Ratio(int(row[_X]), int(row.sum())) for name, row in by_class.items()},
    }


def average_statistics(records: Sequence[dict[str, Ratio]]) -> dict[str, float | None]:
    """Average each statistic over the records in which it is defined, so that every such record weighs the same."""
    names = records[0] if records else beat_statistics(np.zeros((7, 7), dtype=np.int64))
    return {name: mean_of_known([one[name].value for one in records]) for name in names}


def mean_of_known(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None, or None where all are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
