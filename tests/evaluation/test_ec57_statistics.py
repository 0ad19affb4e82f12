"""Statistics equal those worked out by hand from the definitions of bxb and sumstats."""

import numpy as np
import numpy.typing as npt
import pytest

from heartbert.evaluation.ec57_statistics import (
    Ratio,
    average_statistics,
    beat_statistics,
    mean_of_known,
    shutdown_statistics,
)


def numbered_counts() -> npt.NDArray[np.int64]:
    """Return a table of powers of two, so that a sum tells which cells are in it; pairs of O and X are empty."""
    counts = np.array([2**n for n in range(49)], dtype=np.int64).reshape(7, 7)
    counts[5:, 5:] = 0
    return counts


def cells(counts: npt.NDArray[np.int64], names: str) -> int:
    """Add up cells given by name, as in ``"Nv Sv"``."""
    rows, columns = "NSVFQOX", "nsvfqox"
    return sum(int(counts[rows.index(name[0]), columns.index(name[1])]) for name in names.split())


def test_each_statistic_consists_of_the_cells_of_its_definition() -> None:
    """Written out cell by cell as in print_results of bxb.c."""
    counts = numbered_counts()
    paired = cells(counts, " ".join(row + column for row in "NSVFQ" for column in "nsvfq"))
    missed = cells(counts, "No Nx So Sx Vo Vx Fo Fx Qo Qx")
    extra = cells(counts, "On Os Ov Of Oq Xn Xs Xv Xf Xq")
    veb_missed, veb_false = cells(counts, "Vn Vs Vf Vq Vo Vx"), cells(counts, "Nv Sv Ov Xv")
    veb_true_negative = cells(counts, " ".join(row + column for row in "NSFQOX" for column in "nsfq"))
    sveb_missed, sveb_false = cells(counts, "Sn Sv Sf Sq So Sx"), cells(counts, "Ns Vs Fs Os Xs")
    sveb_true_negative = cells(counts, " ".join(row + column for row in "NVFQOX" for column in "nvfq"))
    veb, sveb = cells(counts, "Vv"), cells(counts, "Ss")

    assert beat_statistics(counts) == {
        "QRS Se": Ratio(paired, paired + missed),
        "QRS +P": Ratio(paired, paired + extra),
        "VEB Se": Ratio(veb, veb + veb_missed),
        "VEB +P": Ratio(veb, veb + veb_false),
        "VEB FPR": Ratio(veb_false, veb_true_negative + veb_false),
        "SVEB Se": Ratio(sveb, sveb + sveb_missed),
        "SVEB +P": Ratio(sveb, sveb + sveb_false),
        "SVEB FPR": Ratio(sveb_false, sveb_true_negative + sveb_false),
    }


def test_fusion_and_unclassified_beats_called_v_are_neither_right_nor_wrong() -> None:
    """The standard leaves them out of +P and FPR."""
    counts = np.zeros((7, 7), dtype=np.int64)
    counts[2, 2], counts[3, 2], counts[4, 2] = 4, 10, 10

    statistics = beat_statistics(counts)

    assert statistics["VEB +P"].value == 1
    assert statistics["VEB FPR"].value is None


def test_a_statistic_of_nothing_is_none() -> None:
    """Zero over zero is neither perfect nor a failure."""
    statistics = beat_statistics(np.zeros((7, 7), dtype=np.int64))

    assert {ratio.value for ratio in statistics.values()} == {None}


def test_average_leaves_out_records_in_which_a_statistic_is_undefined() -> None:
    """As sumstats does: a record without V has no VEB sensitivity."""
    first, second, third = (np.zeros((7, 7), dtype=np.int64) for _ in range(3))
    first[2, 2], first[2, 0] = 1, 1
    second[2, 2] = 10
    third[0, 0] = 5

    average = average_statistics([beat_statistics(counts) for counts in (first, second, third)])

    assert average["VEB Se"] == pytest.approx(0.75)
    assert average["QRS Se"] == 1
    assert average["SVEB Se"] is None


def test_average_of_no_records_is_undefined() -> None:
    """All names are there all the same."""
    assert average_statistics([]) == dict.fromkeys(beat_statistics(np.zeros((7, 7), dtype=np.int64)))
    assert mean_of_known([None, 1.0, 2.0]) == 1.5


def test_shutdown_counts_every_class() -> None:
    """Of all beats: column x over rows N to Q."""
    counts = numbered_counts()

    statistics = shutdown_statistics(counts)

    assert statistics["beats missed in shutdown"] == Ratio(cells(counts, "Nx Sx Vx Fx Qx"), int(counts[:5].sum()))
    assert statistics["S missed in shutdown"] == Ratio(cells(counts, "Sx"), int(counts[1].sum()))
    assert list(statistics)[1:] == [f"{name} missed in shutdown" for name in "NSVF"]
