"""Stage 2 of 7: Record -> signal. Which stretches of a recording cannot be scored, and why."""

from dataclasses import dataclass
from typing import Literal

Reason = Literal["missing", "flat", "saturated"]


@dataclass(frozen=True)
class Stretch:
    """A part of a recording that is not scored."""

    start_s: float
    stop_s: float
    reason: Reason
