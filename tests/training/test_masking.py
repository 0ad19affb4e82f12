"""What a model has to restore: waves, tokens or beats, never a special token, the same under a seed."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heartbert.errors import ConfigError
from heartbert.tokens import END_ID, MASK_ID, SPECIAL_TOKENS, START_ID
from heartbert.training.config import read_config
from heartbert.training.masking import Masking, masking_of

N_VOCABULARY = 60
SPANS = Masking("span", 0.3, 0.0, 20, 90)
BOTH = Masking("span", 0.3, 0.05, 20, 90)
TOKENS = Masking("token", 0.15, 0.0, 1, 1)
BEATS = Masking("beat", 0.3, 0.0, 20, 90, "always")
Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def _lengths() -> Ids:
    """Return the samples of each token: none for special ones, 1 to 12 for the others."""
    lengths = np.arange(N_VOCABULARY) % 12 + 1
    lengths[: len(SPECIAL_TOKENS)] = 0
    return lengths


def _rows(n_rows: int = 8, n_tokens: int = 200, seed: int = 0) -> Ids:
    rows = np.random.default_rng(seed).integers(len(SPECIAL_TOKENS), N_VOCABULARY, (n_rows, n_tokens))
    rows[:, 0], rows[:, -1] = START_ID, END_ID
    return rows


def _peaks(rows: Ids, every: int = 40) -> Mask:
    """Return an R-peak at every 40th token."""
    peaks = np.zeros(rows.shape, dtype=np.bool_)
    peaks[:, every // 2 : -1 : every] = True
    return peaks


def _hide(masking: Masking, rows: Ids, seed: int = 0, r_peaks: Mask | None = None) -> tuple[Ids, Mask]:
    rngs = [np.random.default_rng([seed, row]) for row in range(rows.shape[0])]
    return masking.hide(rows, _lengths(), rngs, r_peaks=r_peaks)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n_tokens=st.integers(10, 300), masking=st.sampled_from([BOTH, TOKENS, BEATS]))
def test_special_tokens_are_never_hidden_nor_made(seed: int, n_tokens: int, masking: Masking) -> None:
    """Restoring <s> teaches nothing, and a random <pad> inside a row means something else."""
    rows = _rows(n_tokens=n_tokens, seed=seed)

    shown, hidden = _hide(masking, rows, seed, _peaks(rows, 9))

    assert not hidden[:, [0, -1]].any()
    assert shown[:, [0, -1]].tolist() == rows[:, [0, -1]].tolist()
    assert set(shown[:, 1:-1].ravel().tolist()) <= {MASK_ID, *range(len(SPECIAL_TOKENS), N_VOCABULARY)}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), masking=st.sampled_from([BOTH, TOKENS, BEATS]))
def test_tokens_that_are_not_hidden_are_unchanged(seed: int, masking: Masking) -> None:
    """The model must see the truth where it is not asked."""
    rows = _rows(seed=seed)

    shown, hidden = _hide(masking, rows, seed, _peaks(rows))

    assert shown[~hidden].tolist() == rows[~hidden].tolist()


@pytest.mark.parametrize(
    ("masking", "share"),
    [(SPANS, 0.3), (BOTH, 0.335), (Masking("span", 0.0, 0.2, 1, 1), 0.2), (TOKENS, 0.15), (BEATS, 0.3)],
)
def test_share_is_reached(masking: Masking, share: float) -> None:
    """Half the share is half the training signal."""
    rows = _rows(n_rows=64)

    _, hidden = _hide(masking, rows, 1, _peaks(rows, 20))

    assert share - 0.02 < hidden.mean() < share + 0.05


def test_spans_are_runs_of_their_duration() -> None:
    """A single hidden token is given away by its neighbours; a wave is not."""
    rows, lengths = _rows(n_rows=200), _lengths()

    _, hidden = _hide(Masking("span", 0.01, 0.0, 60, 80), rows, 2)

    for row, row_hidden in zip(rows, hidden, strict=True):
        edges = np.flatnonzero(np.diff(row_hidden, prepend=False, append=False))
        n_samples = lengths[row[row_hidden]].sum()
        at_an_end = row_hidden[1] or row_hidden[-2]
        assert len(edges) == 2
        assert at_an_end or 60 <= n_samples <= 80 + 2 * 12


def test_many_short_spans_reach_a_large_share() -> None:
    """A row may need more spans than are drawn at a time."""
    rows = _rows(n_rows=4, n_tokens=600)

    _, hidden = _hide(Masking("span", 0.6, 0.0, 1, 2), rows)

    assert (hidden.mean(axis=1) >= 0.59).all()


def test_beats_reach_from_one_mid_rr_to_the_next() -> None:
    """A beat with half its neighbour is neither, and a P wave alone gives the QRS complex away."""
    rows = np.full((50, 202), 9 + len(SPECIAL_TOKENS))  # every token covers as many samples
    rows[:, 0], rows[:, -1] = START_ID, END_ID
    peaks = _peaks(rows)

    _, hidden = _hide(BEATS, rows, r_peaks=peaks)

    for row_hidden, row_peaks in zip(hidden, peaks, strict=True):
        edges = np.flatnonzero(np.diff(row_hidden, prepend=False, append=False)).reshape(-1, 2)
        assert row_hidden[row_peaks].any()
        for start, stop in edges.tolist():
            # Beats lie side by side, so a run holds whole ones: 40 tokens each, an end of the row aside.
            assert (stop - start) % 40 in (0, 1, 39) or start == 1 or stop == 201
            assert row_peaks[start:stop].sum() == round((stop - start) / 40)


def test_a_beat_alone_in_its_row_is_hidden_for_a_usual_duration() -> None:
    """Without a neighbour there is no RR interval to halve."""
    rows = np.full((1, 302), 9 + len(SPECIAL_TOKENS))
    peaks = np.zeros(rows.shape, dtype=np.bool_)
    peaks[0, 150] = True

    _, hidden = _hide(BEATS, rows, r_peaks=peaks)

    duration = _lengths()[rows[hidden]].sum() / 360
    assert 0.7 < duration < 0.9
    assert hidden[0, 150]


def test_rows_without_beats_get_spans() -> None:
    """A stretch without detected beats is still worth learning from."""
    rows = _rows(n_rows=2)
    peaks = _peaks(rows)
    peaks[1] = False

    shown, hidden = _hide(BEATS, rows, r_peaks=peaks)
    spans = _hide(replace(BEATS, kind="span"), rows)

    assert hidden[1].tolist() == spans[1][1].tolist()
    assert shown[1].tolist() == spans[0][1].tolist()
    assert hidden[0].tolist() != spans[1][0].tolist()


@pytest.mark.parametrize("masking", [BOTH, TOKENS])
def test_hidden_tokens_are_disguised_in_the_shares_of_bert(masking: Masking) -> None:
    """A model that sees <mask> only would not learn to read real tokens."""
    rows = _rows(n_rows=300)

    shown, hidden = _hide(masking, rows, 3)

    masked = np.mean(shown[hidden] == MASK_ID)
    kept = np.mean(shown[hidden] == rows[hidden])
    assert masked == pytest.approx(0.8, abs=0.05)
    assert kept == pytest.approx(0.1, abs=0.05)


def test_hidden_tokens_are_always_masks_where_that_is_wanted() -> None:
    """Hidden must mean hidden when nothing is fine-tuned later."""
    rows = _rows()

    shown, hidden = _hide(replace(BOTH, disguise="always"), rows)

    assert (shown[hidden] == MASK_ID).all()


@pytest.mark.parametrize("masking", [BOTH, TOKENS, BEATS])
def test_masks_of_a_row_do_not_depend_on_the_rows_beside_it(masking: Masking) -> None:
    """Any number of processes shares a batch, and a run that was killed continues with the same ones."""
    rows = _rows()
    peaks = _peaks(rows)
    peaks[2] = False

    together = _hide(masking, rows, 5, peaks)
    rngs = [np.random.default_rng([5, row]) for row in (1, 2, 3)]
    apart = masking.hide(rows[1:4], _lengths(), rngs, r_peaks=peaks[1:4])

    assert apart[0].tolist() == together[0][1:4].tolist()
    assert apart[1].tolist() == together[1][1:4].tolist()
    assert _hide(masking, rows, 6, peaks)[1].tolist() != together[1].tolist()


def test_hiding_leaves_the_rows_given_alone() -> None:
    """They are the targets."""
    rows = _rows()
    before = rows.copy()

    _hide(BOTH, rows)

    assert rows.tolist() == before.tolist()


@pytest.mark.parametrize(("masked_share", "random_share"), [(1.0, 0.0), (-0.1, 0.0), (0.3, 1.5), (float("nan"), 0.0)])
def test_impossible_shares_are_refused(masked_share: float, random_share: float) -> None:
    """Spans never cover a whole row, so a share of 1 would be drawn for ever."""
    with pytest.raises(ConfigError, match=r"both must lie in 0 to 0.9"):
        Masking("span", masked_share, random_share, 20, 90)


@pytest.mark.parametrize(("shortest", "longest"), [(0, 10), (90, 20)])
def test_impossible_durations_are_refused(shortest: int, longest: int) -> None:
    """The generator's own message does not name the settings."""
    with pytest.raises(ConfigError, match=rf"spans last {shortest} to {longest} samples"):
        Masking("span", 0.3, 0.0, shortest, longest)


def test_settings_in_milliseconds_become_samples() -> None:
    """A span of 250 ms is 90 samples at 360 Hz."""
    masking = masking_of(read_config("small").masking)

    assert masking == Masking("span", 0.3, 0.05, 11, 90, "bert")
