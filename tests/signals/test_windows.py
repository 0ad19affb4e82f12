"""Windows cover a signal: nothing twice, nothing lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError
from heartbert.signals.windows import cut_windows


@settings(max_examples=50, deadline=None)
@given(n_samples=st.integers(0, 500), window_samples=st.integers(1, 120))
def test_windows_cover_the_signal_without_overlap(n_samples: int, window_samples: int) -> None:
    """A lost sample is a lost beat; one seen twice is counted twice."""
    signal = np.arange(n_samples, dtype=np.float32)

    windows, covered = cut_windows(signal, window_samples)

    assert windows.shape == covered.shape == (-(-n_samples // window_samples), window_samples)
    assert windows[covered].tolist() == signal.tolist()


def test_last_window_is_filled_up_with_its_last_sample() -> None:
    """A jump to zero would look like a wave."""
    windows, covered = cut_windows(np.array([5, 6, 7], dtype=np.uint8), 2)

    assert windows.tolist() == [[5, 6], [7, 7]]
    assert covered.tolist() == [[True, True], [True, False]]
    assert windows.dtype == np.uint8


@pytest.mark.parametrize("window_samples", [0, -1, 4001])
def test_windows_refuse_an_impossible_length(window_samples: int) -> None:
    """The method's windows end at 4000 samples; longer ones do not fit the encoder."""
    with pytest.raises(ConfigError, match=rf"window_samples is {window_samples}; it must lie in 1 to 4000"):
        cut_windows(np.zeros(10, dtype=np.float32), window_samples)
