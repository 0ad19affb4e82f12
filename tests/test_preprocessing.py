"""One object holds all that lies between a lead and its text, and survives being stored."""

import json
from pathlib import Path

import numpy as np
import pytest

from heartbert.errors import BundleError, ConfigError
from heartbert.levels import Codebook
from heartbert.preprocessing import PREPROCESSOR_FILE, Preprocessing, load_preprocessing
from heartbert.records.record import ArraySource, Channel
from heartbert.signals.filtering import BandPass
from heartbert.signals.scaling import PIECE_S, ScalingRule, join_ranges, piece_ranges
from heartbert.text import from_text
from tests.synthetic import synthetic_ecg

CODEBOOK = Codebook(tuple(np.arange(1, 16) / 16), tuple((np.arange(16) + 0.5) / 16))
PREPROCESSING = Preprocessing(BandPass(0.5, 40.0), ScalingRule("robust", 1.5), CODEBOOK, 1000)


def test_loaded_preprocessing_equals_the_saved_one(tmp_path: Path) -> None:
    """The weights understand only the levels they were trained with."""
    PREPROCESSING.save(tmp_path)

    loaded = load_preprocessing(tmp_path)

    assert loaded == PREPROCESSING


def test_missing_file_is_named(tmp_path: Path) -> None:
    """The user has to know what to fetch again."""
    with pytest.raises(
        BundleError, match=rf"'{PREPROCESSOR_FILE}' in '{tmp_path.name}' cannot be used: .*No such file"
    ):
        load_preprocessing(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: "[1, 2", "Expecting"),
        (lambda content: "[]", "cannot be used"),
        (lambda content: json.dumps({**content, "codebook": {"thresholds": [0.5], "values": [0.1]}}), "codebook has 1"),
        (lambda content: json.dumps({**content, "band": {"low_hz": 0.5}}), "high_hz"),
        (lambda content: json.dumps({**content, "band": {"low_hz": "a", "high_hz": 40.0}}), "cannot be used"),
        (
            lambda content: json.dumps({**content, "scaling_rule": {"method": "x", "span": 1.0}}),
            "scaling method is 'x'",
        ),
        (lambda content: json.dumps({key: content[key] for key in content if key != "band"}), "band"),
        (lambda content: json.dumps({**content, "window_samples": "many"}), "cannot be used"),
    ],
)
def test_damaged_file_is_refused_and_named(tmp_path: Path, damage: object, message: str) -> None:
    """A bundle cut by a broken download must not give other levels."""
    PREPROCESSING.save(tmp_path)
    path = tmp_path / PREPROCESSOR_FILE
    path.write_text(damage(json.loads(path.read_text())))  # type: ignore[operator]

    with pytest.raises(BundleError, match=f"'{PREPROCESSOR_FILE}' in .*{message}"):
        load_preprocessing(tmp_path)


@pytest.mark.parametrize("window_samples", [1, 999, 1000, 4000])
def test_blocks_hold_whole_windows_of_about_five_minutes(window_samples: int) -> None:
    """A window cut by a block's edge would depend on the block size."""
    preprocessing = Preprocessing(PREPROCESSING.band, PREPROCESSING.scaling_rule, CODEBOOK, window_samples)

    assert preprocessing.block_samples % window_samples == 0
    assert preprocessing.block_samples == pytest.approx(300 * 360, rel=0.02)


@pytest.mark.parametrize("fs", [128.0, 250.0, 360.0, 500.0])
def test_texts_cover_the_lead(fs: float) -> None:
    """One letter a sample at 360 Hz, the last text shorter."""
    signal, _, _ = synthetic_ecg(10.0, fs)

    texts = PREPROCESSING.texts(signal, fs)

    assert [len(text) for text in texts] == [1000, 1000, 1000, 600]


def test_texts_agree_with_the_streamed_path() -> None:
    """The feature extractor for transformers and `HeartBert` have to read the same text."""
    signal, _, _ = synthetic_ecg(60.0, 250.0)
    blocks = list(PREPROCESSING.stream(Channel("II", 250.0, "mV", signal.size, "ecg", ArraySource(signal))))

    levels = from_text("".join(PREPROCESSING.texts(signal, 250.0)), CODEBOOK.n_levels)

    ranges = [piece_ranges(block.inner_signal, block.inner_codes == 0, round(PIECE_S * 360)) for block in blocks]
    scaling = PREPROCESSING.scaling_rule.fit(join_ranges(ranges))
    streamed = np.concatenate([CODEBOOK.quantize(scaling.apply(block.inner_signal)) for block in blocks])
    inner = slice(1000, -1000)  # the ends are extended before resampling here, after it there
    assert np.count_nonzero(levels[inner] != streamed[inner]) <= 2  # rounding at a threshold
    assert np.abs(levels.astype(int) - streamed).max() <= 1


def test_window_that_no_text_may_have_is_refused() -> None:
    """Longer windows do not fit the encoder."""
    preprocessing = Preprocessing(PREPROCESSING.band, PREPROCESSING.scaling_rule, CODEBOOK, 4001)

    with pytest.raises(ConfigError, match="window_samples is 4001"):
        preprocessing.texts(np.zeros(5000, dtype=np.float32), 360.0)
