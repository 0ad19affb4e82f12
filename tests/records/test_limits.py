"""Limits of every recording."""

import pytest

from heartbert.errors import ConfigError, RecordFormatError
from heartbert.records.limits import check_fs, check_given_fs, check_same_fs

IMPOSSIBLE = [0.0, -1.0, float("nan"), float("inf"), 1e9]


@pytest.mark.parametrize("fs", IMPOSSIBLE)
def test_check_fs_refuses_impossible_rates(fs: float) -> None:
    """A rate of 0 or 1e9 Hz would make the resampler allocate without bound."""
    with pytest.raises(RecordFormatError, match=r"a.hea: sampling frequency is .* at most 100000 Hz"):
        check_fs(fs, "a.hea")


@pytest.mark.parametrize("fs", IMPOSSIBLE)
def test_check_given_fs_refuses_impossible_rates(fs: float) -> None:
    """The caller's mistake is a setting, not a damaged file."""
    with pytest.raises(ConfigError, match="Correct --fs"):
        check_given_fs(fs)


def test_check_same_fs_refuses_contradiction_and_names_both() -> None:
    """Neither value may win silently."""
    check_same_fs(None, [360.0], "a.hea")
    check_same_fs(360.1, [360.0], "a.hea")
    with pytest.raises(ConfigError, match=r"a.hea states 100 and 360 Hz but fs is 250 Hz"):
        check_same_fs(250.0, [360.0, 100.0], "a.hea")
