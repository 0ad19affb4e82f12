"""How long work tells its progress."""

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Told the name of the stage and the fraction of it that is done, 0 to 1."""


def no_progress(stage: str, fraction: float) -> None:
    """Tell nobody."""
