"""Levels that rise and fall like a signal, so that pairs repeat, and a tokenizer that was trained on some."""

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from heartbert.text import ALPHABET, to_text
from heartbert.tokens import Tokenizer, train_tokenizer

Levels = npt.NDArray[np.uint8]
N_LEVELS = 12
LETTERS = ALPHABET[:N_LEVELS]


def walks(n_walks: int = 60, n_levels: int = N_LEVELS, seed: int = 0) -> Levels:
    """Return random walks of 200 samples, shape (n_walks, 200)."""
    steps = np.random.default_rng(seed).integers(-1, 2, (n_walks, 200))
    return np.clip(np.cumsum(steps, axis=1) + n_levels // 2, 0, n_levels - 1).astype(np.uint8)


def texts(n_texts: int = 60, seed: int = 0) -> list[str]:
    """Return walks as texts."""
    return [to_text(walk) for walk in walks(n_texts, seed=seed)]


def tokenizer() -> Tokenizer:
    """Train 80 tokens on 60 walks."""
    return train_tokenizer(texts(), n_levels=N_LEVELS, n_tokens=80)


@st.composite
def windows(draw: st.DrawFn, n_levels: int) -> list[Levels]:
    """Draw windows of any length: noise, walks, and long runs of one level."""
    drawn = []
    for _ in range(draw(st.integers(0, 5))):
        noise = draw(st.lists(st.integers(0, n_levels - 1), max_size=60))
        runs = np.repeat(noise, draw(st.integers(1, 9)))
        steps = np.cumsum(np.subtract(noise, n_levels // 2)) % n_levels
        drawn.append(draw(st.sampled_from([np.array(noise), runs, steps])).astype(np.uint8))
    return drawn


def joined(parts: list[Levels]) -> tuple[Levels, npt.NDArray[np.int64]]:
    """Return windows one after the other, and their lengths."""
    lengths = np.array([part.size for part in parts], dtype=np.int64)
    return np.concatenate([np.empty(0, dtype=np.uint8), *parts]), lengths
