"""Work shared out to processes: results in the order of the items, whatever the number of processes."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Protocol, TypeVar

from heartbert.errors import HeartbertError

Item = TypeVar("Item")
Found = TypeVar("Found")
# Recordings sent to a worker at a time: PTB-XL has 21,799 of ten seconds.
_CHUNK = 8


class Mapper(Protocol):
    """Maps over items and yields the results in the order of the items, whatever the number of processes."""

    def __call__(self, function: Callable[[Item], Found], items: Sequence[Item], /) -> Iterator[Found]:
        """Yield the result for each item."""
        ...


@contextmanager
def open_workers(n_workers: int, *, chunk: int = _CHUNK) -> Iterator[Mapper]:
    """Yield a mapper that works in this process or, until the block ends, in several.

    Workers finish what they are at when the program is interrupted, and end when it is killed.

    Parameters
    ----------
    n_workers : int
        Processes; 1 starts none.
    chunk : int
        Items sent to a worker at a time.

    Raises
    ------
    HeartbertError
        If a worker is killed.
    """
    if n_workers == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_workers, mp_context=context, initializer=_begin) as executor:
        try:
            yield partial(executor.map, chunksize=chunk)
        except BrokenProcessPool as error:
            raise HeartbertError(
                f"one of {n_workers} worker processes was ended from outside, probably for want of memory. "
                "Run it again with fewer workers."
            ) from error
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:  # pragma: no cover - runs in another process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:  # pragma: no cover - runs in another process
    """End this process with its parent, which may be killed: a worker would wait for its next item for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
