"""Learning byte pairs, compiled by numba; import this module only where `has_numba()` says so.

Tokens lie in one array of cells, one a sample, with an empty cell around each window. The first and the last cell
of a token hold its id, so the token on either side of a place is read without a search. Each pair that occurs
twice has its places in one run of a long array, in rising order. A pair gets new places only while its younger
token is being made, so the run is written once; places that no longer hold the pair are skipped when it is merged.
"""

import heapq

import numba
import numpy as np
import numpy.typing as npt

from heartbert.tokens.vocabulary import SPECIAL_TOKENS

# Id of the first letter. Smaller ids are special tokens and never in a cell, so 0 is free to mean "empty".
_FIRST = len(SPECIAL_TOKENS)
_EMPTY = 0
# Columns of the table of pairs: the pair, how often it occurs, where its places start, how many were written.
_PAIR, _COUNT, _START, _SIZE = range(4)
# What is taken: rows of the table, places up to here, and the run of places that may be written over.
_USED, _END, _FREE, _FREE_STOP = range(4)
# A pair is merged only if it occurs this often, as in `min_frequency` of the published tokenizer.
_FEWEST = 2
# A queue entry is one integer that sorts by falling count, then by rising pair of ids.
_PAIR_BITS, _ID_BITS, _LARGEST_COUNT = 32, 16, (1 << 31) - 1


@numba.njit(cache=True, nogil=True)
def learn_merges(
    levels: npt.NDArray[np.uint8],
    window_lengths: npt.NDArray[np.int64],
    n_levels: int,
    n_tokens: int,
    max_length: int,
) -> npt.NDArray[np.int64]:  # pragma: no cover - compiled
    """Learn the merges of windows of levels; returns pairs of ids, shape (n_merges, 2).

    Parameters
    ----------
    levels : ndarray of uint8, shape (n_samples,)
        Below `n_levels`, one window after the other; fewer than 2 ** 31 samples and windows together.
    window_lengths : ndarray of int64, shape (n_windows,)
    n_levels : int
    n_tokens : int
        Size of the vocabulary at most, special tokens and letters included; at most 2 ** 16.
    max_length : int
        No token covers more samples, but pairs of letters are always allowed.
    """
    cells = _lay_out(levels, window_lengths)
    places, table, queue, most = _place_letters(cells, _FIRST + n_levels)
    room = np.array([len(queue), cells.size, 0, 0])  # letters have no more places than there are cells
    lengths = np.ones(n_tokens, dtype=np.int32)
    found = np.empty(most, dtype=np.int32)
    neighbours = np.empty((2, most), dtype=np.uint16)
    # How often each token is the left and the right neighbour in this merge, then where its next place is written.
    cursors = np.zeros((2, n_tokens), dtype=np.int64)
    met = np.empty((2, n_tokens), dtype=np.int64)
    merges = np.empty((n_tokens, 2), dtype=np.int64)
    new = _FIRST + n_levels
    while new < n_tokens:
        slot = _pop_pair(queue, table)
        if slot < 0:
            break
        first, second = table[slot, _PAIR] >> _ID_BITS, table[slot, _PAIR] & ((1 << _ID_BITS) - 1)
        start, stop = table[slot, _START], table[slot, _START] + table[slot, _SIZE]
        table[slot, _COUNT] = 0
        room[_FREE], room[_FREE_STOP] = start, stop
        ids = first, second, new
        merges[new, 0], merges[new, 1] = first, second
        lengths[new] = lengths[first] + lengths[second]
        n_found = _merge(ids, places[start:stop], cells, lengths, (found, neighbours))
        n_met = [_count(neighbours[side, :n_found], cursors[side], met[side]) for side in range(2)]
        if 2 * (room[_USED] + sum(n_met)) > table.shape[0]:
            table, room[_USED] = _with_room(table, sum(n_met))
        for side in range(2):
            _lower_pairs(table, ids, side, met[side, : n_met[side]], cursors[side])
            longest = max_length - lengths[new]
            _add_pairs((table, queue, room), new, side, met[side, : n_met[side]], cursors[side], (lengths, longest))
        _write_places(places, (found[:n_found], neighbours), cursors, lengths)
        for side in range(2):
            cursors[side, met[side, : n_met[side]]] = 0
        new += 1
    return merges[_FIRST + n_levels : new]


@numba.njit(cache=True, nogil=True)
def _lay_out(
    levels: npt.NDArray[np.uint8], window_lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint16]:  # pragma: no cover - compiled
    """Write each level as the id of its letter, with an empty cell before, between and after windows."""
    cells = np.zeros(levels.size + window_lengths.size + 1, dtype=np.uint16)
    sample, cell = 0, 1
    for length in window_lengths:
        for _ in range(length):
            cells[cell] = levels[sample] + _FIRST
            sample += 1
            cell += 1
        cell += 1
    return cells


@numba.njit(cache=True, nogil=True)
def _place_letters(
    cells: npt.NDArray[np.uint16], n_ids: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], list[int], int]:  # pragma: no cover - compiled
    """Count and place the pairs of letters; returns places, table, queue and the largest count."""
    counts = np.zeros((n_ids, n_ids), dtype=np.int64)
    for i in range(cells.size - 1):
        counts[cells[i], cells[i + 1]] += 1
    # Each merge adds at most two places and removes a token, so this always suffices. Pages that are never written
    # take no memory.
    places = np.empty(3 * cells.size, dtype=np.int32)
    table, _ = _with_room(np.zeros((1, 4), dtype=np.int64), n_ids * n_ids)
    queue = [0 for _ in range(0)]
    starts = np.full((n_ids, n_ids), -1, dtype=np.int64)
    end, most = 0, 0
    for first in range(_FIRST, n_ids):
        for second in range(_FIRST, n_ids):
            count = counts[first, second]
            if count >= _FEWEST:
                _enter(table, _pair(first, second), count, end)
                heapq.heappush(queue, _entry(_pair(first, second), count))
                starts[first, second] = end
                end += count
                most = max(most, count)
    for i in range(cells.size - 1):
        at = starts[cells[i], cells[i + 1]]
        if at >= 0:
            places[at] = i
            starts[cells[i], cells[i + 1]] = at + 1
    return places, table, queue, most


@numba.njit(cache=True, nogil=True)
def _pop_pair(queue: list[int], table: npt.NDArray[np.int64]) -> int:  # pragma: no cover - compiled
    """Take the most frequent pair from the queue; returns its slot in the table, or -1 if none occurs twice."""
    while len(queue) > 0:
        pair = queue[0] & ((1 << _PAIR_BITS) - 1)
        slot = _slot(table, pair)
        count = table[slot, _COUNT]
        if count < _FEWEST:
            heapq.heappop(queue)
            continue
        entry = _entry(pair, count)
        if entry == queue[0]:
            heapq.heappop(queue)
            return slot
        heapq.heapreplace(queue, entry)  # counts only fall, so an entry is never too far back
    return -1


@numba.njit(cache=True, nogil=True)
def _merge(
    ids: tuple[int, int, int],
    places: npt.NDArray[np.int32],
    cells: npt.NDArray[np.uint16],
    lengths: npt.NDArray[np.int32],
    out: tuple[npt.NDArray[np.int32], npt.NDArray[np.uint16]],
) -> int:  # pragma: no cover - compiled
    """Merge a pair wherever it still is; writes its places with their neighbours and returns how many they are.

    Two neighbours that are both new are written once, by the left one as its right neighbour.
    """
    first, second, new = ids
    found, neighbours = out
    n_found = 0
    for place in places:
        middle = place + lengths[first]
        if cells[place] != first or cells[middle] != second:
            continue
        stop = middle + lengths[second]
        cells[middle] = _EMPTY  # no token starts here any more
        cells[place] = new
        cells[stop - 1] = new
        left = cells[place - 1]
        if left == new:
            neighbours[1, n_found - 1] = new
            left = _EMPTY
        found[n_found] = place
        neighbours[0, n_found] = left
        neighbours[1, n_found] = cells[stop]
        n_found += 1
    return n_found


@numba.njit(cache=True, nogil=True)
def _count(
    neighbours: npt.NDArray[np.uint16], counts: npt.NDArray[np.int64], met: npt.NDArray[np.int64]
) -> int:  # pragma: no cover - compiled
    """Count each neighbour; writes the different ones and returns how many they are."""
    n_met = 0
    for neighbour in neighbours:
        if neighbour == _EMPTY:
            continue
        if counts[neighbour] == 0:
            met[n_met] = neighbour
            n_met += 1
        counts[neighbour] += 1
    return n_met


@numba.njit(cache=True, nogil=True)
def _lower_pairs(
    table: npt.NDArray[np.int64],
    ids: tuple[int, int, int],
    side: int,
    met: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> None:  # pragma: no cover - compiled
    """Take away the pairs that the parts of a new token had with its neighbours on one side."""
    first, second, new = ids
    for neighbour in met:
        right = first if neighbour == new else neighbour  # what a new token to the right began with
        pair = _pair(neighbour, first) if side == 0 else _pair(second, right)
        slot = _slot(table, pair)
        if table[slot, _PAIR] == pair:
            table[slot, _COUNT] -= counts[neighbour]


@numba.njit(cache=True, nogil=True)
def _add_pairs(
    pairs: tuple[npt.NDArray[np.int64], list[int], npt.NDArray[np.int64]],
    new: int,
    side: int,
    met: npt.NDArray[np.int64],
    cursors: npt.NDArray[np.int64],
    limit: tuple[npt.NDArray[np.int32], int],
) -> None:  # pragma: no cover - compiled
    """Enter the pairs of a new token and its neighbours on one side, with room for their places.

    `cursors` has the count of each neighbour and receives where its places start, -1 if the pair cannot be merged.
    """
    table, queue, room = pairs
    lengths, longest = limit
    for neighbour in met:
        count = cursors[neighbour]
        cursors[neighbour] = -1
        if count < _FEWEST or lengths[neighbour] > longest:
            continue
        # The places of the merged pair are not needed any more and are written over first.
        at = _FREE if room[_FREE] + count <= room[_FREE_STOP] else _END
        pair = _pair(neighbour, new) if side == 0 else _pair(new, neighbour)
        _enter(table, pair, count, room[at])
        heapq.heappush(queue, _entry(pair, count))
        cursors[neighbour] = room[at]
        room[at] += count
        room[_USED] += 1


@numba.njit(cache=True, nogil=True)
def _write_places(
    places: npt.NDArray[np.int32],
    merged: tuple[npt.NDArray[np.int32], npt.NDArray[np.uint16]],
    cursors: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int32],
) -> None:  # pragma: no cover - compiled
    """Write the places of the pairs that new tokens form with their neighbours."""
    found, neighbours = merged
    cursors[:, _EMPTY] = -1
    for i in range(found.size):
        left, right = neighbours[0, i], neighbours[1, i]
        if cursors[0, left] >= 0:
            places[cursors[0, left]] = found[i] - lengths[left]
            cursors[0, left] += 1
        if cursors[1, right] >= 0:
            places[cursors[1, right]] = found[i]
            cursors[1, right] += 1


@numba.njit(cache=True, nogil=True)
def _enter(table: npt.NDArray[np.int64], pair: int, count: int, start: int) -> None:  # pragma: no cover - compiled
    slot = _slot(table, pair)
    table[slot, _PAIR] = pair
    table[slot, _COUNT] = table[slot, _SIZE] = count
    table[slot, _START] = start


@numba.njit(cache=True, nogil=True)
def _with_room(
    table: npt.NDArray[np.int64], n_more: int
) -> tuple[npt.NDArray[np.int64], int]:  # pragma: no cover - compiled
    """Copy the pairs that can still be merged to a table at most a quarter full; returns it with their number."""
    n_kept = 0
    for row in range(table.shape[0]):
        n_kept += table[row, _COUNT] >= _FEWEST
    capacity = 1
    while capacity < 4 * (n_kept + n_more):
        capacity *= 2
    roomy = np.zeros((capacity, 4), dtype=np.int64)
    for row in range(table.shape[0]):
        if table[row, _COUNT] >= _FEWEST:
            slot = _slot(roomy, table[row, _PAIR])
            for column in range(4):
                roomy[slot, column] = table[row, column]
    return roomy, n_kept


@numba.njit(cache=True, nogil=True)
def _slot(table: npt.NDArray[np.int64], pair: int) -> int:  # pragma: no cover - compiled
    """Find the row of a pair in a table, or the empty row where it belongs."""
    mask = np.uint64(table.shape[0] - 1)
    slot = (np.uint64(pair) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32) & mask
    while table[slot, _PAIR] != pair and table[slot, _PAIR] != 0:
        slot = (slot + np.uint64(1)) & mask
    return int(np.int64(slot))


@numba.njit(cache=True, nogil=True)
def _pair(first: int, second: int) -> int:  # pragma: no cover - compiled
    return int(np.int64(first) << _ID_BITS | np.int64(second))


@numba.njit(cache=True, nogil=True)
def _entry(pair: int, count: int) -> int:  # pragma: no cover - compiled
    return int(np.int64(_LARGEST_COUNT - count) << _PAIR_BITS | np.int64(pair))
