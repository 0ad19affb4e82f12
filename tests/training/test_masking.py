"""What a model has to restore: whole waves, never a special token, the same under a seed."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError
from heartbert.tokens import END_ID, MASK_ID, SPECIAL_TOKENS, START_ID
from heartbert.training.masking import Masking

N_VOCABULARY = 60
SPANS = Masking(0.3, 0.0, 20, 90)
BOTH = Masking(0.3, 0.05, 20, 90)
Ids = npt.NDArray[np.int64]


def _lengths() -> Ids:
    """Return the samples of each token: none for special ones, 1 to 12 for the others."""
    lengths = np.arange(N_VOCABULARY) % 12 + 1
    lengths[: len(SPECIAL_TOKENS)] = 0
    return lengths


def _rows(n_rows: int = 8, n_tokens: int = 200, seed: int = 0) -> Ids:
    rows = np.random.default_rng(seed).integers(len(SPECIAL_TOKENS), N_VOCABULARY, (n_rows, n_tokens))
    rows[:, 0], rows[:, -1] = START_ID, END_ID
    return rows


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n_tokens=st.integers(10, 300))
def test_special_tokens_are_never_hidden_nor_made(seed: int, n_tokens: int) -> None:
    """Restoring <s> teaches nothing, and a random <pad> inside a row means something else."""
    rows = _rows(n_tokens=n_tokens, seed=seed)

    shown, hidden = BOTH.hide(rows, _lengths(), np.random.default_rng(seed))

    assert not hidden[:, [0, -1]].any()
    assert shown[:, [0, -1]].tolist() == rows[:, [0, -1]].tolist()
    assert set(shown[:, 1:-1].ravel().tolist()) <= {MASK_ID, *range(len(SPECIAL_TOKENS), N_VOCABULARY)}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_tokens_that_are_not_hidden_are_unchanged(seed: int) -> None:
    """The model must see the truth where it is not asked."""
    rows = _rows(seed=seed)

    shown, hidden = BOTH.hide(rows, _lengths(), np.random.default_rng(seed))

    assert shown[~hidden].tolist() == rows[~hidden].tolist()


@pytest.mark.parametrize(("masking", "share"), [(SPANS, 0.3), (BOTH, 0.335), (Masking(0.0, 0.2, 1, 1), 0.2)])
def test_share_is_reached(masking: Masking, share: float) -> None:
    """Half the share is half the training signal."""
    rows = _rows(n_rows=64)

    _, hidden = masking.hide(rows, _lengths(), np.random.default_rng(1))

    assert share - 0.02 < hidden.mean() < share + 0.05


def test_spans_are_runs_of_their_duration() -> None:
    """A single hidden token is given away by its neighbours; a wave is not."""
    rows, lengths = _rows(n_rows=200), _lengths()

    _, hidden = Masking(0.01, 0.0, 60, 80).hide(rows, lengths, np.random.default_rng(2))

    for row, row_hidden in zip(rows, hidden, strict=True):
        edges = np.flatnonzero(np.diff(row_hidden, prepend=False, append=False))
        n_samples = lengths[row[row_hidden]].sum()
        at_an_end = row_hidden[1] or row_hidden[-2]
        assert len(edges) == 2
        assert at_an_end or 60 <= n_samples <= 80 + 2 * 12


def test_hidden_tokens_are_disguised_in_the_shares_of_bert() -> None:
    """A model that sees <mask> only would not learn to read real tokens."""
    rows = _rows(n_rows=200)

    shown, hidden = BOTH.hide(rows, _lengths(), np.random.default_rng(3))

    masked = np.mean(shown[hidden] == MASK_ID)
    kept = np.mean(shown[hidden] == rows[hidden])
    assert masked == pytest.approx(0.8, abs=0.05)
    assert kept == pytest.approx(0.1, abs=0.05)


def test_masks_follow_from_the_generator_alone() -> None:
    """A run that was killed continues with the same batches."""
    rows = _rows()

    first, second, other = (BOTH.hide(rows, _lengths(), np.random.default_rng(seed)) for seed in (5, 5, 6))

    assert first[0].tolist() == second[0].tolist()
    assert first[1].tolist() == second[1].tolist()
    assert first[1].tolist() != other[1].tolist()


def test_hiding_leaves_the_rows_given_alone() -> None:
    """They are the targets."""
    rows = _rows()
    before = rows.copy()

    BOTH.hide(rows, _lengths(), np.random.default_rng(0))

    assert rows.tolist() == before.tolist()


@pytest.mark.parametrize(("span_share", "random_share"), [(1.0, 0.0), (-0.1, 0.0), (0.3, 1.5), (float("nan"), 0.0)])
def test_impossible_shares_are_refused(span_share: float, random_share: float) -> None:
    """Spans never cover a whole row, so a share of 1 would be drawn for ever."""
    with pytest.raises(ConfigError, match=r"both must lie in 0 to 0.9"):
        Masking(span_share, random_share, 20, 90)


@pytest.mark.parametrize(("shortest", "longest"), [(0, 10), (90, 20)])
def test_impossible_durations_are_refused(shortest: int, longest: int) -> None:
    """The generator's own message does not name the settings."""
    with pytest.raises(ConfigError, match=rf"spans last {shortest} to {longest} samples"):
        Masking(0.3, 0.0, shortest, longest)
