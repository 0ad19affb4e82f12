import numpy as np
import pytest

from heartbert.errors import ConfigError
from heartbert.predictions.labels import BEAT_CLASS_OF_SYMBOL, AamiClass, BeatPredictions


@pytest.mark.parametrize(
    ("symbols", "aami_class"),
    [("NLRej", AamiClass.N), ("AaJS", AamiClass.S), ("VE", AamiClass.V), ("F", AamiClass.F), ("/fQ", AamiClass.Q)],
)
def test_symbols_have_the_class_of_ec57(symbols: str, aami_class: AamiClass) -> None:
    """The table decides every score and follows the standard letter by letter."""
    assert {BEAT_CLASS_OF_SYMBOL[symbol] for symbol in symbols} == {aami_class}


@pytest.mark.parametrize("symbol", ["+", "~", "|", "[", "!", "x", "(", "T", '"'])
def test_symbols_that_are_no_beat_have_no_class(symbol: str) -> None:
    """A rhythm change or a noise mark counted as a beat would spoil every score."""
    assert symbol not in BEAT_CLASS_OF_SYMBOL


def test_beat_predictions_give_times_and_most_probable_classes() -> None:
    """Users read times in seconds and one class a beat."""
    probabilities = np.array([[0.9, 0.1, 0, 0, 0], [0.1, 0.2, 0.7, 0, 0]], dtype=np.float32)

    beats = BeatPredictions(np.array([250, 500]), 250.0, probabilities)

    np.testing.assert_array_equal(beats.times_s, [1.0, 2.0])
    np.testing.assert_array_equal(beats.classes, [AamiClass.N, AamiClass.V])


def test_beats_below_the_limit_of_confidence_are_q_and_keep_their_probabilities() -> None:
    """A beat exactly at the limit keeps its class."""
    probabilities = np.array([[0.75, 0.25, 0, 0, 0], [0.3, 0.2, 0.5, 0, 0]], dtype=np.float32)

    beats = BeatPredictions(np.array([250, 500]), 250.0, probabilities, min_confidence=0.75)

    np.testing.assert_array_equal(beats.abstained, [False, True])
    np.testing.assert_array_equal(beats.classes, [AamiClass.N, AamiClass.Q])
    np.testing.assert_array_equal(beats.confidences, [0.75, 0.5])


@pytest.mark.parametrize("limit", [-0.1, 1.01, float("nan")])
def test_limit_of_confidence_must_be_a_probability(limit: float) -> None:
    """60 for 60 % would make every beat Q."""
    with pytest.raises(ConfigError, match=r"min_confidence is .*; it is the lowest probability, 0 to 1"):
        BeatPredictions(np.empty(0, dtype=int), 250.0, np.empty((0, 5), dtype=np.float32), min_confidence=limit)
