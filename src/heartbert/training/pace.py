"""How far a pre-training run is in this call: when things were last done, and the time left."""

import time
from dataclasses import dataclass, field


@dataclass
class Pace:
    """When things were last done in this call of `run`, in seconds of the monotonic clock."""

    max_minutes: float | None
    first_step: int
    step_logged: int
    started: float = field(default_factory=time.monotonic)
    logged: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)
    probed: float = field(default_factory=time.monotonic)
    told: float = 0.0
    probe_took: float = 0.0

    def minutes_over(self) -> bool:
        """Return True when the time given is used up."""
        return self.max_minutes is not None and time.monotonic() - self.started > self.max_minutes * 60

    def seconds_left(self, step: int, n_steps: int) -> float:
        """Estimate the time to the last step or to the end of the time given, whichever is sooner."""
        passed = time.monotonic() - self.started
        left = passed / max(1, step - self.first_step) * (n_steps - step)
        return left if self.max_minutes is None else max(0.0, min(left, self.max_minutes * 60 - passed))


def duration(seconds: float) -> str:
    """Write a time roughly.

    >>> duration(50), duration(600), duration(30_000), duration(300_000)
    ('50 s', '10 min', '8.3 h', '3.5 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
