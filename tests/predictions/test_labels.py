import numpy as np
import pytest

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
