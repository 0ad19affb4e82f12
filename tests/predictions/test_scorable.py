import numpy as np

from heartbert.predictions.heartbeats import beat_intervals
from heartbert.predictions.scorable import beat_quality, hide_unscorable
from heartbert.signals.quality import Stretch
from heartbert.tokens import Tokens


def test_hide_unscorable_takes_a_token_by_the_half_of_its_samples() -> None:
    """Two windows stand one after the other; special tokens and padding cover nothing and are not read."""
    offsets = np.array([[[0, 0], [0, 4], [4, 6], [6, 6]], [[0, 0], [0, 4], [4, 4], [4, 4]]])
    mask = np.array([[True] * 4, [True, True, True, False]])
    tokens = Tokens(np.ones((2, 4), dtype=np.int64), mask, offsets, np.array([0, 1]))
    unscorable = np.array([1, 1, 0, 0, 0, 1, 1, 1, 1, 0], dtype=bool)

    hidden, usable = hide_unscorable(tokens, np.array([0, 6]), unscorable)

    np.testing.assert_array_equal(usable, [[False, True, True, False], [False, False, False, False]])
    np.testing.assert_array_equal(hidden.attention_mask, [[True] * 4, [True, False, True, False]])


def test_beat_quality_is_the_share_of_samples_counted_one_by_one() -> None:
    """The quick way over stretches must agree with a mask of samples."""
    rng = np.random.default_rng(0)
    n_samples = 4000
    unscorable = np.zeros(n_samples, dtype=bool)
    stretches = []
    for start in range(100, 3900, 500):
        stop = start + int(rng.integers(20, 400))
        unscorable[start:stop] = True
        stretches.append(Stretch(start / 360, stop / 360, "flat"))
    r_peaks = np.arange(0, n_samples, 37)

    quality = beat_quality(r_peaks, stretches, n_samples)

    starts, stops = beat_intervals(r_peaks)
    for beat, start, stop, found in zip(r_peaks, starts[:, 0], stops[:, -1], quality, strict=True):
        inside = ~unscorable[max(start, 0) : stop]
        expected = 0.0 if unscorable[beat] else inside.sum() / (stop - start)
        assert abs(found - expected) < 1e-9


def test_beat_quality_of_a_clean_lead_falls_only_at_its_ends() -> None:
    """Beyond the end of a shorter lead there is nothing to score."""
    quality = beat_quality(np.array([0, 1000, 3599, 5000]), (), 3600)

    assert quality[1] == 1.0
    assert 0 < quality[0] < 1
    assert 0 < quality[2] < 1
    assert quality[3] == 0.0
