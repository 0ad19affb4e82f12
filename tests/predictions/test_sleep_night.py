"""What the sleep head reads of a night."""

import numpy as np
import pytest

from heartbert.errors import SignalTooShortError
from heartbert.predictions.sleep_night import (
    NIGHT_FEATURES,
    against_night,
    centre,
    check_duration,
    describe_night,
    fill_gaps,
)
from tests.sleeping import labelled_night


def test_describe_night_gives_finite_features_where_beats_are_missing() -> None:
    """An hour without beats must not turn a night into NaN."""
    beats = np.concatenate([np.arange(0.0, 300.0, 0.8), np.arange(900.0, 1200.0, 0.8)])

    night = describe_night(beats, 40)

    assert night.features.shape == (40, len(NIGHT_FEATURES))
    assert np.isfinite(night.features).all()
    assert night.features[20, NIGHT_FEATURES.index("accepted time")] == 0


def test_describe_night_works_without_any_beat() -> None:
    """A recording in which no beat was found has quality 0 and no error."""
    assert np.isfinite(describe_night(np.empty(0), 20).features).all()


def test_describe_night_refuses_less_than_ten_minutes() -> None:
    """Minutes of variability are what stages are told from."""
    with pytest.raises(SignalTooShortError, match=r"lasts 9\.5 min.*at least 10 min"):
        describe_night(np.arange(0.0, 570.0, 0.8), 19)


def test_check_duration_accepts_ten_minutes() -> None:
    """The limit itself is long enough."""
    check_duration(600.0)


def test_against_night_does_not_depend_on_level_or_scale() -> None:
    """One person's heart beats at 50 asleep, another's at 75."""
    values = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)

    scaled = against_night(values * 7 + 3)

    np.testing.assert_allclose(scaled, against_night(values), atol=0.05)
    np.testing.assert_allclose(np.median(scaled, axis=0), 0, atol=1e-5)


def test_fill_gaps_takes_the_median_and_zero_for_an_empty_column() -> None:
    """No number may be invented where a column has none."""
    features = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]], dtype=np.float32)

    np.testing.assert_array_equal(fill_gaps(features), [[1, 0], [3, 0], [2, 0]])


def test_centre_leaves_missing_vectors_missing() -> None:
    """The mean is that of the epochs that have tokens."""
    vectors = np.array([[1.0, 1.0], [np.nan, np.nan], [3.0, 5.0]], dtype=np.float32)

    np.testing.assert_array_equal(centre(vectors), [[-1, -2], [np.nan, np.nan], [1, 2]])


def test_seen_by_hides_the_other_input() -> None:
    """A number for one input must not owe anything to the other."""
    night = labelled_night("a", seed=1, n_embedding=8).night

    beats, tokens = night.seen_by("beats"), night.seen_by("tokens")

    assert np.isnan(beats.embeddings).all()
    assert (tokens.features[:, : NIGHT_FEATURES.index("hours since start")] == 0).all()
    assert (
        tokens.features[:, [NIGHT_FEATURES.index(name) for name in ("accepted time", "accepted intervals")]] == 0
    ).all()
    assert night.seen_by("both") is night
