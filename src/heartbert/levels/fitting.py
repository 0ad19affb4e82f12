"""Counted amplitudes -> codebook: the best quantiser, and by name the others that it is compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from heartbert.errors import ConfigError, SignalValueError
from heartbert.levels.codebook import Codebook
from heartbert.levels.histogram import bin_centres
from heartbert.levels.optimal import optimal_edges

Floats = npt.NDArray[np.float64]

Method = Literal[
    "lloyd-max",
    "lloyd-uniform",
    "lloyd-quantile",
    "lloyd-panter-dite",
    "uniform",
    "quantile",
    "panter-dite",
    "mu-law",
]
METHODS: tuple[Method, ...] = get_args(Method)

# Compression of the mu-law quantiser, as in telephony (ITU-T G.711).
MU = 255.0
# Lloyd's iteration comes to rest after 11 to 316 steps on real ECG; this only bounds it.
_MAX_STEPS = 10_000


@dataclass(frozen=True)
class _Points:
    """The amplitudes that occur, strictly increasing, and how often: float64, shape (n_points,) each."""

    amplitudes: Floats
    weights: Floats


def fit_codebook(counts: npt.NDArray[np.int64], n_levels: int, method: Method = "lloyd-max") -> Codebook:
    """Fit a quantiser of [0, 1] to a histogram of scaled amplitudes, by a method chosen by its name.

    ===================== ===================================================================================
    ``lloyd-max``         least mean squared error of all quantisers; see `fit_lloyd_max`
    ``lloyd-uniform``     Lloyd's iteration until nothing changes, from even steps; a local optimum.
                          Cells that become empty keep their value
    ``lloyd-quantile``    the same from the cells of ``quantile``
    ``lloyd-panter-dite`` the same from the cells of ``panter-dite``
    ``uniform``           even steps over [0, 1] whatever the signal, decoded to the middle of each step
    ``quantile``          cells of equal probability, decoded to their means. The code published with HeartBERT
                          fits these thresholds under the name Lloyd-Max, and decodes to nothing
    ``panter-dite``       cells of equal shares of the cube root of the density, which is optimal in the limit
                          of many levels (Panter and Dite 1951), decoded to their means
    ``mu-law``            even steps of the logarithmic compression of ITU-T G.711 with mu = 255, on either side
                          of the median (the baseline of an ECG) up to 0 and 1, decoded to the middle of each step
    ===================== ===================================================================================

    Where one amplitude holds more than one cell's share, the thresholds of ``quantile`` and ``panter-dite`` that
    fall on it move apart to the next amplitudes, so no cell is empty. Where there are no more amplitudes than
    levels, both return what ``lloyd-max`` returns. ``uniform`` and ``mu-law`` may have empty cells.

    Parameters
    ----------
    counts : ndarray of int64, shape (n_bins,)
        Histogram over [0, 1].
    n_levels : int
        2 to 256.
    method : Method

    Returns
    -------
    codebook : Codebook
        Of exactly `n_levels` levels, whatever the histogram.

    Raises
    ------
    ConfigError
        If `n_levels` is out of range or `method` is unknown.
    SignalValueError
        If the histogram is empty.

    References
    ----------
    S. P. Lloyd, IEEE Trans. Inf. Theory 28(2):129-137, 1982. P. F. Panter, W. Dite, Proc. IRE 39(1):44-48, 1951.
    """
    if method not in METHODS:
        raise ConfigError(f"quantiser method is '{method}'; choose one of {', '.join(METHODS)}.")
    if not 2 <= n_levels <= 256:
        raise ConfigError(f"n_levels is {n_levels}; a codebook has 2 to 256 levels.")
    used = np.flatnonzero(counts)
    if used.size == 0:
        raise SignalValueError("the histogram is empty; add at least one scorable signal before fitting a codebook.")
    points = _Points(bin_centres(counts.size)[used], counts[used].astype(np.float64))
    return _FITS[method](points, n_levels)


def fit_lloyd_max(counts: npt.NDArray[np.int64], n_levels: int) -> Codebook:
    """Fit the quantiser of least mean squared error to a histogram of scaled amplitudes.

    Lloyd's iteration stops in local optima (on ECG 2 to 3 dB below the best). Here the cells come from
    dynamic programming over the bins, which finds the global optimum of the histogram (Bruce 1965; the
    row minima are found by divide and conquer, as their positions are monotone). The result satisfies both
    of Max's conditions up to the width of a bin: each value is the mean of its cell, each threshold lies
    halfway between two values.

    Parameters
    ----------
    counts : ndarray of int64, shape (n_bins,)
        Histogram over [0, 1].
    n_levels : int
        2 to 256.

    Returns
    -------
    codebook : Codebook
        With fewer distinct amplitudes than levels, the left-over levels are spread evenly over [0, 1] between
        the others and are never used on the histogram's own samples.

    Raises
    ------
    ConfigError
        If `n_levels` is out of range.
    SignalValueError
        If the histogram is empty.

    References
    ----------
    J. D. Bruce, Optimum Quantization, MIT Tech. Rep. 429, 1965. J. Max, IRE Trans. 6(1):7-12, 1960.
    """
    return fit_codebook(counts, n_levels, "lloyd-max")


def _lloyd_max(points: _Points, n_levels: int) -> Codebook:
    if points.amplitudes.size <= n_levels:
        return _nearest(_fill_up(points.amplitudes, n_levels))
    return _nearest(_means(points, optimal_edges(points.amplitudes, points.weights, n_levels)))


def _uniform(_: _Points, n_levels: int) -> Codebook:
    steps = np.arange(2 * n_levels + 1) / (2 * n_levels)  # ends and middles of the cells in turn
    return _codebook(steps[2:-1:2], steps[1::2])


def _quantile(points: _Points, n_levels: int) -> Codebook:
    return _equal_shares(points, points.weights, n_levels)


def _panter_dite(points: _Points, n_levels: int) -> Codebook:
    return _equal_shares(points, np.cbrt(points.weights), n_levels)


def _mu_law(points: _Points, n_levels: int) -> Codebook:
    middle = np.searchsorted(np.cumsum(points.weights), points.weights.sum() / 2)
    median = points.amplitudes[middle]
    compressed = np.linspace(-1.0, 1.0, 2 * n_levels + 1)
    expanded = np.sign(compressed) * np.expm1(np.abs(compressed) * np.log1p(MU)) / MU
    steps = median + expanded * np.where(compressed < 0, median, 1 - median)
    return _codebook(steps[2:-1:2], steps[1::2])


def _lloyd_from(start: Callable[[_Points, int], Codebook]) -> Callable[[_Points, int], Codebook]:
    """Return the fit that improves the codebook of another fit by Lloyd's iteration."""

    def fit(points: _Points, n_levels: int) -> Codebook:
        codebook = _nearest(np.asarray(start(points, n_levels).values))
        edges = _edges(points, codebook)
        for _ in range(_MAX_STEPS):
            filled = np.flatnonzero(np.diff(edges))
            values = np.array(codebook.values)
            values[filled] = _means(points, np.append(edges[filled], points.amplitudes.size))
            codebook, before = _nearest(values), edges
            edges = _edges(points, codebook)
            if np.array_equal(edges, before):
                break
        return codebook

    return fit


_FITS: dict[Method, Callable[[_Points, int], Codebook]] = {
    "lloyd-max": _lloyd_max,
    "lloyd-uniform": _lloyd_from(_uniform),
    "lloyd-quantile": _lloyd_from(_quantile),
    "lloyd-panter-dite": _lloyd_from(_panter_dite),
    "uniform": _uniform,
    "quantile": _quantile,
    "panter-dite": _panter_dite,
    "mu-law": _mu_law,
}


def _codebook(thresholds: Floats, values: Floats) -> Codebook:
    return Codebook(tuple(thresholds.tolist()), tuple(values.tolist()))


def _nearest(values: Floats) -> Codebook:
    """Return the codebook that gives each sample the nearest value."""
    return _codebook((values[1:] + values[:-1]) / 2, values)


def _edges(points: _Points, codebook: Codebook) -> npt.NDArray[np.int64]:
    """Return the first point of each cell, and the number of points at the end."""
    inner = np.searchsorted(points.amplitudes, codebook.thresholds, side="left")
    return np.array([0, *inner, points.amplitudes.size])


def _means(points: _Points, edges: npt.NDArray[np.int64]) -> Floats:
    """Return the mean amplitude of each cell, none of them empty."""
    mass = np.add.reduceat(points.weights, edges[:-1])
    return np.asarray(np.add.reduceat(points.weights * points.amplitudes, edges[:-1]) / mass)


def _equal_shares(points: _Points, shares: Floats, n_levels: int) -> Codebook:
    """Cut the points into cells of equal sums of shares, none empty, with thresholds between amplitudes."""
    n_points = points.amplitudes.size
    if n_points <= n_levels:
        return _lloyd_max(points, n_levels)
    sums = np.cumsum(shares)
    number = np.arange(1, n_levels)
    inner = np.searchsorted(sums, sums[-1] * number / n_levels, side="right")
    inner = np.maximum.accumulate(np.maximum(inner, 1) - number) + number  # each at least one above the one before
    inner = np.minimum(inner, n_points - n_levels + number)
    thresholds = (points.amplitudes[inner - 1] + points.amplitudes[inner]) / 2
    return _codebook(thresholds, _means(points, np.array([0, *inner, n_points])))


def _fill_up(values: Floats, n_levels: int) -> Floats:
    """Add evenly spread values in the widest gaps of [0, 1] until there are `n_levels`."""
    found = list(values)
    while len(found) < n_levels:
        ends = np.array([0.0, *found, 1.0])
        widest = int(np.argmax(np.diff(ends)))
        found.insert(widest, float(ends[widest] + ends[widest + 1]) / 2)
    return np.array(found)
