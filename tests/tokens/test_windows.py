"""Windows add up to the levels they are cut from."""

import numpy as np
import pytest

from heartbert.errors import TextError
from heartbert.tokens.windows import check_levels, lengths_of


@pytest.mark.parametrize(("n_samples", "expected"), [(0, []), (1, [1]), (3, [3]), (4, [4]), (5, [4, 1]), (8, [4, 4])])
def test_windows_of_one_length_cover_all_samples(n_samples: int, expected: list[int]) -> None:
    """The last window is kept, however short."""
    assert lengths_of(4, n_samples).tolist() == expected


@pytest.mark.parametrize("lengths", [[5], [3, 2, -1], []])
def test_windows_that_do_not_add_up_are_refused(lengths: list[int]) -> None:
    """A window too many would read memory behind the levels."""
    with pytest.raises(TextError, match=rf"windows have {sum(lengths)} samples together, there are 4 levels"):
        lengths_of(np.array(lengths, dtype=np.int64), 4)


def test_windows_without_samples_are_refused() -> None:
    """A window length of 0 is a mistake in a configuration."""
    with pytest.raises(TextError, match="windows have 0 samples; they need at least 1"):
        lengths_of(0, 4)


def test_all_256_levels_have_letters() -> None:
    """The finest codebook has 256 levels."""
    check_levels(np.arange(256, dtype=np.uint8), 256)
