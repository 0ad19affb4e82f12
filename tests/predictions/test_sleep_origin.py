"""Where a sleep head comes from, as the manifest tells it."""

import json

import pytest

from heartbert.predictions.sleep_labels import STAGE_SETS
from heartbert.predictions.sleep_origin import SCORES, Interval, SleepAgreement, SleepOrigin, origin_from_json

AGREEMENT = SleepAgreement(
    "slpdb", 16, 10181, "small 1", {of: {name: Interval(0.5, 0.4, 0.6) for name in SCORES} for of in STAGE_SETS}
)


@pytest.mark.parametrize("agreement", [None, AGREEMENT])
def test_origin_survives_json(agreement: SleepAgreement | None) -> None:
    """The manifest is JSON, and what is read must be what was written."""
    origin = SleepOrigin("slpdb", 16, "men examined for sleep apnoea", agreement)

    assert origin_from_json(json.loads(json.dumps(origin.as_json()))) == origin


@pytest.mark.parametrize("lacking", ["agreement", "who"])
def test_an_origin_that_says_too_little_is_refused(lacking: str) -> None:
    """The bundle turns this into a message."""
    told = SleepOrigin("slpdb", 16, "men", AGREEMENT).as_json()
    del told[lacking]

    with pytest.raises((KeyError, TypeError)):
        origin_from_json(told)
