from pathlib import Path

import numpy as np
import pytest

from heartbert.embeddings.extractor import HeartbertFeatureExtractor
from heartbert.errors import SignalValueError
from heartbert.preprocessing import load_preprocessing
from tests.synthetic import synthetic_ecg


def test_feature_extractor_gives_the_texts_of_the_bundle(tiny_bundle: Path) -> None:
    """The Hugging Face way and our own must read a lead alike."""
    signal, _, _ = synthetic_ecg(9.0, 250.0)

    texts = HeartbertFeatureExtractor.from_pretrained(tiny_bundle)(signal, sampling_rate=250.0)["text"]

    assert texts == load_preprocessing(tiny_bundle).texts(signal, 250.0)
    assert [len(text) for text in texts] == [2000, 1240]


def test_feature_extractor_survives_saving(tiny_bundle: Path, tmp_path: Path) -> None:
    """`save_pretrained` is what users of transformers call."""
    extractor = HeartbertFeatureExtractor.from_pretrained(tiny_bundle)

    extractor.save_pretrained(tmp_path)

    assert load_preprocessing(tmp_path) == load_preprocessing(tiny_bundle)


@pytest.mark.parametrize("signal", [np.zeros((2, 400)), np.zeros(0), np.array([0.0, np.nan])])
def test_feature_extractor_refuses_what_is_not_one_finite_lead(tiny_bundle: Path, signal: np.ndarray) -> None:
    """NaN would become a level and two leads one text."""
    extractor = HeartbertFeatureExtractor.from_pretrained(tiny_bundle)

    with pytest.raises(SignalValueError, match="one lead of finite samples"):
        extractor(signal, sampling_rate=360.0)
