"""Byte-pair encoding in linear time, compiled by numba; import this module only where `has_numba()` says so.

Merging by rank gives the one cut of a text in which any two neighbouring pieces would also be cut so if they
stood alone. It is found from left to right: take the longest piece that fits its left neighbour, and where none
leads on, go back and shorten the piece before. A place that led nowhere is not tried again.

References
----------
H. van Antwerpen, A. Neubeck, "So many tokens, so little time: Introducing a faster, more flexible byte-pair
tokenizer", GitHub blog, 2024. M. Berglund, B. van der Merwe, "Formalizing BPE Tokenization", 2023.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numba
import numpy as np
import numpy.typing as npt

_NONE = -1
# Pieces are numbers of 21 bits, so that two of them and what they lead to fit one integer.
_BITS = 21
_NO_PIECE = (1 << _BITS) - 1
MAX_PIECES = _NO_PIECE
# A node of the tree is one integer: where its children start, the piece that ends there, the level that leads there.
_LEVEL_BITS = 9
_LEVEL = (1 << _LEVEL_BITS) - 1
_NODE_PIECE = _NO_PIECE << _LEVEL_BITS
_EMPTY_NODE = _NODE_PIECE | _LEVEL
_BASE_SHIFT = _BITS + _LEVEL_BITS
# Tries to place the children of a node after which free slots further down are given up.
_MANY_TRIES = 64
# What is known of a piece: the longest other piece that it begins with, or -1; its samples; what it was merged from,
# or -1; the lowest piece that is merged from it as first and as second part; from which piece on a merge may take its
# first letter, and its last one, out of it. Where there is no such piece, a number above all.
_SHORTER, _LENGTH, _FIRST_PART, _SECOND_PART = range(4)
_EARLIEST_AS_FIRST, _EARLIEST_AS_SECOND, _FIRST_LIMIT, _LAST_LIMIT = range(4, 8)
# Remembered decisions: 512 KB, within the second cache. The pair, two numbers of pieces, is scrambled by a product
# that no two pairs share; its high bits say where the answer is kept, its low bits are kept with the answer.
_PAIR_BITS, _KEPT_BITS, _ANSWER_BITS = 2 * _BITS, 25, 7
_N_REMEMBERED = 1 << (_PAIR_BITS - _KEPT_BITS)
_SCRAMBLING, _PAIR = np.uint64(0x9E3779B97F5), np.uint64((1 << _PAIR_BITS) - 1)
_KEPT, _ANSWER = np.uint64((1 << _KEPT_BITS) - 1), np.uint32((1 << _ANSWER_BITS) - 1)


_Function = TypeVar("_Function", bound=Callable[..., object])


def _compiled(function: _Function) -> _Function:
    """Compile a loop that makes no array, without numba's counting of references: 15 % faster."""
    compile_loop: Callable[[_Function], _Function] = numba.njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]
    return compile_loop(function)


class Tables(NamedTuple):
    """A vocabulary as the encoder walks it. Pieces are numbered anew: letters by level, then merges by rank.

    Attributes
    ----------
    nodes : ndarray of int64, shape (n_slots,)
        Tree of all pieces. The child of a node by a level lies at the node's base plus the level, if the level
        written there is the same: no two nodes have the same base. The root is 0.
    pieces : ndarray of int32, shape (n_pieces, 8)
        What is known of each piece, in columns that have names above.
    merges : ndarray of int64, shape (power of 2,)
        Hash table of pairs and what they merge to; -1 where empty.
    remembered : ndarray of uint32, shape (power of 2,)
        The latest answers of `_fitting`. Each is one integer that is right by itself, so threads may share them.
    """

    nodes: npt.NDArray[np.int64]
    pieces: npt.NDArray[np.int32]
    merges: npt.NDArray[np.int64]
    remembered: npt.NDArray[np.uint32]


def encode_windows(
    tables: Tables,
    levels: npt.NDArray[np.uint8],
    window_lengths: npt.NDArray[np.int64],
    out: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]],
) -> int:
    """Cut windows of levels into pieces; returns how many they are.

    Parameters
    ----------
    tables : Tables
    levels : ndarray of uint8, shape (n_samples,)
        All with a letter, one window after the other.
    window_lengths : ndarray of int64, shape (n_windows,)
    out : tuple of ndarray of int32, shape (n_samples,), and ndarray of int64, shape (n_windows,)
        Receives the pieces, one window after the other, and how many each window has.
    """
    leads_on = np.ones(int(window_lengths.max(initial=0)) + 1, dtype=np.uint8)
    return int(_encode_windows(tables, levels, window_lengths, out, leads_on))


@_compiled
def _encode_windows(
    tables: Tables,
    levels: npt.NDArray[np.uint8],
    window_lengths: npt.NDArray[np.int64],
    out: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]],
    leads_on: npt.NDArray[np.uint8],
) -> int:  # pragma: no cover - compiled
    """Do the work of `encode_windows`; `leads_on` is 1 throughout, one place more than the longest window."""
    nodes, pieces, merges, remembered = tables  # once: to take an array from a tuple costs as much as a merge
    found, counts = out
    n_found, start = 0, 0
    for window in range(window_lengths.size):
        n_before, place, stop = n_found, start, start + window_lengths[window]
        piece = _longest_piece(nodes, levels, place, stop)
        while place < stop:
            if n_found > n_before and piece != _NONE:
                border = found[n_found - 1], piece
                piece = _fitting(pieces, merges, remembered, border, (levels[place - 1], levels[place]))
            if piece == _NONE:  # back to the piece before, which has to be shorter
                leads_on[place - start] = 0
                n_found -= 1
                place -= pieces[found[n_found], _LENGTH]
                piece = pieces[found[n_found], _SHORTER]
            elif leads_on[place + pieces[piece, _LENGTH] - start]:
                found[n_found] = piece
                n_found += 1
                place += pieces[piece, _LENGTH]
                piece = _longest_piece(nodes, levels, place, stop)
            else:
                piece = pieces[piece, _SHORTER]
        leads_on[: stop - start] = 1
        counts[window] = n_found - n_before
        start = stop
    return n_found


@_compiled
def _longest_piece(
    nodes: npt.NDArray[np.int64], levels: npt.NDArray[np.uint8], place: int, stop: int
) -> int:  # pragma: no cover - compiled
    """Find the longest piece that begins at a place, whatever its neighbours."""
    node, found = nodes[0], np.int64(_NODE_PIECE)
    while place < stop:
        level = np.int64(levels[place])
        node = nodes[(node >> _BASE_SHIFT) + level]
        if node & _LEVEL != level:
            break
        if node & _NODE_PIECE != _NODE_PIECE:
            found = node & _NODE_PIECE
        place += 1
    return int(found >> _LEVEL_BITS)


@_compiled
def _fitting(
    pieces: npt.NDArray[np.int32],
    merges: npt.NDArray[np.int64],
    remembered: npt.NDArray[np.uint32],
    border: tuple[int, int],
    letters: tuple[int, int],
) -> int:  # pragma: no cover - compiled
    """Find the longest piece that fits after another: the one there or one that it begins with; -1 if none does."""
    before, piece = border
    scrambled = ((np.uint64(before) << np.uint64(_BITS) | np.uint64(piece)) * _SCRAMBLING) & _PAIR
    slot, kept = scrambled >> np.uint64(_KEPT_BITS), np.uint32((scrambled & _KEPT) << np.uint64(_ANSWER_BITS))
    # The answer is how many pieces have been tried, the one that fits included; 0 where nothing is remembered.
    entry = remembered[slot]
    n_tried = int(entry & _ANSWER)
    if n_tried and entry & ~_ANSWER == kept:
        while n_tried > 1 and piece != _NONE:
            piece = pieces[piece, _SHORTER]
            n_tried -= 1
        return piece
    # All candidates have the same first letter. If the letter before the border would merge with it, a candidate
    # must have merged it earlier.
    product = _product(merges, letters[0], letters[1])
    if product >= pieces[before, _LAST_LIMIT]:
        product = _NO_PIECE
    n_tried = 1
    while piece != _NONE and not (
        pieces[piece, _FIRST_LIMIT] <= product and fit(pieces, merges, before, piece, _NO_PIECE)
    ):
        piece = pieces[piece, _SHORTER]
        n_tried += 1
    if n_tried <= _ANSWER:
        remembered[slot] = kept | np.uint32(n_tried)
    return piece


@_compiled
def fit(
    pieces: npt.NDArray[np.int32], merges: npt.NDArray[np.int64], first: int, second: int, limit: int
) -> bool:  # pragma: no cover - compiled
    """Tell whether no merge below `limit` joins anything across the border of two pieces.

    The merges of both are undone one by one, the last made first. What touches the border at the same time must
    have no merge that would have come before the next one on either side. Of equal merges the left one comes first.
    """
    while True:
        earliest = max(pieces[first, _EARLIEST_AS_FIRST], pieces[second, _EARLIEST_AS_SECOND])
        if earliest < limit and _product(merges, first, second) < limit:
            return False
        if first > second:
            limit = first
            first = pieces[first, _SECOND_PART]
        else:
            limit = second + 1
            second = pieces[second, _FIRST_PART]
        if min(first, second) == _NONE:
            return True


@_compiled
def _product(merges: npt.NDArray[np.int64], first: int, second: int) -> int:  # pragma: no cover - compiled
    """Look up what a pair merges to; a number above all pieces if to nothing."""
    pair = int(np.int64(first) << _BITS | np.int64(second))
    slot = _hash(pair) & (merges.size - 1)
    while merges[slot] >> _BITS != pair and merges[slot] != _NONE:
        slot = (slot + 1) & (merges.size - 1)
    return int(merges[slot] & _NO_PIECE)


@_compiled
def _hash(pair: int) -> int:  # pragma: no cover - compiled
    return int(np.int64((np.uint64(pair) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)))


@numba.njit(cache=True, nogil=True)
def build_tables(
    n_letters: int, parts: npt.NDArray[np.int32], levels: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int32]
) -> Tables:  # pragma: no cover - compiled
    """Arrange a vocabulary for `encode_windows`.

    Parameters
    ----------
    n_letters : int
    parts : ndarray of int32, shape (n_pieces, 2)
        Both below the piece that they are merged to; fewer than `MAX_PIECES`.
    levels : ndarray of uint8, shape (sum of lengths,)
        What the pieces spell, one after the other.
    lengths : ndarray of int32, shape (n_pieces,)
    """
    nodes, shorter = _grow_tree(n_letters, levels, lengths)
    pieces = np.empty((lengths.size, 8), dtype=np.int32)
    pieces[:, _SHORTER] = shorter
    pieces[:, _LENGTH] = lengths
    pieces[:, _FIRST_PART] = parts[:, 0]
    pieces[:, _SECOND_PART] = parts[:, 1]
    pieces[:, _EARLIEST_AS_FIRST:] = _NO_PIECE
    capacity = 1
    while capacity < 4 * lengths.size:
        capacity *= 2
    merges = np.full(capacity, _NONE, dtype=np.int64)
    for piece in range(n_letters, lengths.size):
        first, second = parts[piece]
        pieces[first, _EARLIEST_AS_FIRST] = min(piece, pieces[first, _EARLIEST_AS_FIRST])
        pieces[second, _EARLIEST_AS_SECOND] = min(piece, pieces[second, _EARLIEST_AS_SECOND])
        pieces[piece, _FIRST_LIMIT] = pieces[first, _FIRST_LIMIT] if first >= n_letters else piece + 1
        pieces[piece, _LAST_LIMIT] = pieces[second, _LAST_LIMIT] if second >= n_letters else piece
        pair = int(np.int64(first) << _BITS | np.int64(second))
        slot = _hash(pair) & (capacity - 1)
        while merges[slot] != _NONE:
            slot = (slot + 1) & (capacity - 1)
        merges[slot] = pair << _BITS | piece
    return Tables(nodes, pieces, merges, np.zeros(_N_REMEMBERED, dtype=np.uint32))


@numba.njit(cache=True, nogil=True)
def _grow_tree(
    n_letters: int, levels: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:  # pragma: no cover - compiled
    """Put all pieces into a tree; returns `nodes` and `shorter` of `Tables`."""
    child, sibling, level_of, piece_at = np.full((4, levels.size + 1), _NONE, dtype=np.int32)
    n_nodes, i = 1, 0
    for piece in range(lengths.size):
        node = 0
        for _ in range(lengths[piece]):
            parent, node = node, child[node]
            while node != _NONE and level_of[node] != levels[i]:
                node = sibling[node]
            if node == _NONE:
                node = n_nodes
                child[parent], sibling[node], level_of[node] = node, child[parent], levels[i]
                n_nodes += 1
            i += 1
        piece_at[node] = piece
    nodes = _pack_tree(n_letters, (child[:n_nodes], sibling, level_of, piece_at))
    shorter = np.empty(lengths.size, dtype=np.int32)
    i = 0
    for piece in range(lengths.size):
        shorter[piece] = _longest_piece(nodes, levels, i, i + lengths[piece] - 1)
        i += lengths[piece]
    shorter[:n_letters] = _NONE
    return nodes, shorter


@numba.njit(cache=True, nogil=True)
def _pack_tree(
    n_letters: int, tree: tuple[npt.NDArray[np.int32], ...]
) -> npt.NDArray[np.int64]:  # pragma: no cover - compiled
    """Lay the children of all nodes into one array, interleaved wherever there is room."""
    child, sibling, level_of, piece_at = tree
    slot_of = np.zeros(child.size, dtype=np.int64)
    nodes = np.full(2 * child.size + 4 * n_letters, _EMPTY_NODE, dtype=np.int64)
    is_base = np.zeros(nodes.size, dtype=np.bool_)
    lowest, end = 1, 1
    for parent in range(child.size):
        if child[parent] == _NONE:
            continue
        while nodes[lowest] != _EMPTY_NODE:
            lowest += 1
        place, n_tries = lowest, 0
        while True:
            if place + 2 * n_letters > nodes.size:
                nodes = np.concatenate((nodes, np.full(nodes.size, _EMPTY_NODE, dtype=np.int64)))
                is_base = np.concatenate((is_base, np.zeros(is_base.size, dtype=np.bool_)))
            base = place - level_of[child[parent]]
            if base > 0 and not is_base[base]:
                node = child[parent]
                while node != _NONE and nodes[base + level_of[node]] == _EMPTY_NODE:
                    node = sibling[node]
                if node == _NONE:
                    break
            place += 1
            n_tries += 1
        if n_tries > _MANY_TRIES:
            lowest = place  # what is free below is too scattered to be worth a search
        is_base[base] = True
        nodes[slot_of[parent]] = base << _BASE_SHIFT | (nodes[slot_of[parent]] & _EMPTY_NODE)
        node = child[parent]
        while node != _NONE:
            slot_of[node] = base + level_of[node]
            nodes[slot_of[node]] = (piece_at[node] & _NO_PIECE) << _LEVEL_BITS | level_of[node]
            end = max(end, slot_of[node] + 1)
            node = sibling[node]
    # Nodes without children look for them behind all others, where nothing is.
    for node in range(child.size):
        if child[node] == _NONE:
            nodes[slot_of[node]] |= np.int64(end) << _BASE_SHIFT
    return nodes[: end + n_letters].copy()


@numba.njit(cache=True, nogil=True)
def spells_itself(tables: Tables) -> bool:  # pragma: no cover - compiled
    """Tell whether the text of every piece is cut into that piece alone, as in every trained vocabulary."""
    _, pieces, merges, _ = tables
    for piece in range(pieces.shape[0]):
        first, second = pieces[piece, _FIRST_PART], pieces[piece, _SECOND_PART]
        if first != _NONE and not fit(pieces, merges, first, second, piece):
            return False
    return True
