"""The learning rate of each step."""

import pytest

from heartbert.training.optimizing import learning_rate_share


def test_learning_rate_warms_up_holds_and_falls_to_zero() -> None:
    """A run may be prolonged until the fall begins, so the plateau must not depend on its length."""
    shares = [learning_rate_share(step, 10_000) for step in (0, 199, 5000, 7999, 9000, 10_000)]

    assert shares == pytest.approx([1 / 200, 1.0, 1.0, 1.0, 0.5, 0.0])


def test_cosine_warms_up_and_falls_from_the_start() -> None:
    """Half a cosine: half the rate in the middle, nothing at the end."""
    shares = [learning_rate_share(step, 10_200, "cosine") for step in (0, 199, 5199, 10_199)]

    assert shares == pytest.approx([1 / 200, 1.0, 0.5, 0.0], abs=1e-3)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("n_steps", [1, 2, 20])
def test_short_runs_learn_at_all(schedule: str, n_steps: int) -> None:
    """A schedule that is zero throughout trains nothing and says nothing."""
    shares = [learning_rate_share(step, n_steps, schedule) for step in range(n_steps)]  # type: ignore[arg-type]

    assert max(shares) > 0
    assert all(0 <= share <= 1 for share in shares)
