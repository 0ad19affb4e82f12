from pathlib import Path

import numpy as np
import pytest
import torch

from heartbert.bundle import Bundle, load_bundle
from heartbert.predictions.beat_windows import (
    LeadLevels,
    WindowHead,
    build_window_network,
    classify_windows,
    cut_windows,
    tokenize_windows,
)
from heartbert.predictions.bilstm import TokenSequenceHead


@pytest.fixture(scope="module")
def bundle(tiny_pretrained: Path) -> Bundle:
    return load_bundle(tiny_pretrained)


@pytest.fixture
def head() -> WindowHead:
    torch.manual_seed(0)
    return WindowHead(build_window_network(32, n_units=8, dropout=0.0).eval(), 1080, 2)


def lead_of(n_samples: int, *, seed: int = 0) -> LeadLevels:
    """Return smooth levels that can all be scored."""
    rng = np.random.default_rng(seed)
    levels = np.clip(16 + 10 * np.sin(np.arange(n_samples) / 9) + rng.normal(0, 1, n_samples), 0, 31)
    return LeadLevels(levels.astype(np.uint8), np.zeros(n_samples, dtype=bool))


def test_cut_windows_are_cut_at_the_ends_of_the_lead() -> None:
    """The first and the last beat have less around them, and nothing is made up."""
    lead = lead_of(100)

    windows, lengths = cut_windows(lead, np.array([0, 50, 99]), 21)

    np.testing.assert_array_equal(lengths, [11, 21, 11])
    expected = [lead.levels[:11], lead.levels[40:61], lead.levels[89:]]
    np.testing.assert_array_equal(windows.levels, np.concatenate(expected))


def test_windows_with_more_tokens_than_positions_lose_none(bundle: Bundle) -> None:
    """The tiny encoder has 96 positions, and 3 s have more tokens: they continue in further rows."""
    windows, lengths = cut_windows(lead_of(5000), np.array([600, 2500]), 1080)

    made = tokenize_windows(windows, lengths, bundle.token_reader)

    assert made.tokens.token_ids.shape[0] > 2
    covered = made.tokens.offsets[made.usable]
    assert (covered[:, 1] - covered[:, 0]).sum() == lengths.sum()
    assert made.counts.sum() == made.usable.sum()


def test_a_beat_does_not_depend_on_other_windows_of_its_batch(bundle: Bundle, head: WindowHead) -> None:
    """Padding is not read: neither by the encoder nor by the LSTM, whatever else is in the batch."""
    lead = lead_of(20_000)
    r_peaks = np.array([10, 900, 5000, 19_990])

    together = classify_windows(head, bundle.token_reader, lead, r_peaks)
    alone = np.concatenate([classify_windows(head, bundle.token_reader, lead, r_peaks[[i]]) for i in range(4)])

    np.testing.assert_allclose(together, alone, atol=2e-3)  # bfloat16 where the processor has it
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-5)


def test_beats_are_classified_by_their_window_alone(bundle: Bundle, head: WindowHead) -> None:
    """What happens more than 1.5 s away changes nothing."""
    lead, other = lead_of(5000), lead_of(5000)
    other.levels[:1900] = 3
    r_peaks = np.array([2500])

    first, second = (classify_windows(head, bundle.token_reader, one, r_peaks) for one in (lead, other))

    np.testing.assert_array_equal(first, second)


def test_window_without_signal_has_the_probabilities_of_nothing(bundle: Bundle, head: WindowHead) -> None:
    """A beat given in an unscorable stretch has a result, and the levels there do not change it."""
    levels = lead_of(3000).levels
    nothing = np.ones(3000, dtype=bool)

    first, second = (
        classify_windows(head, bundle.token_reader, LeadLevels(one, nothing), np.array([1500]))
        for one in (levels, np.full(3000, 7, dtype=np.uint8))
    )

    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()


def test_no_beats_give_no_rows(bundle: Bundle, head: WindowHead) -> None:
    """A block of a recording may hold no beat."""
    assert classify_windows(head, bundle.token_reader, lead_of(100), np.empty(0, dtype=int)).shape == (0, 5)


def test_states_are_read_at_the_ends_of_each_window_and_not_on_padding() -> None:
    """The defect of the published code: its last state lies on padding. Against an LSTM run window by window."""
    torch.manual_seed(0)
    network = TokenSequenceHead(6, 3, n_units=4, dropout=0.0).eval()
    counts = torch.tensor([5, 1, 0, 9])
    tokens = torch.randn(15, 6)

    with torch.no_grad():
        found = network(tokens, counts)
        pieces = [part if len(part) else torch.zeros(1, 6) for part in tokens.split(counts.tolist())]
        for piece, row in zip(pieces, found, strict=True):
            hidden, _ = network.lstm(piece[None])
            last = torch.cat([hidden[0, -1, :4], hidden[0, 0, 4:]])
            torch.testing.assert_close(row, network.classify(last))
