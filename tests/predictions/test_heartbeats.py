import numpy as np
import pytest
import torch

from heartbert.predictions.bilstm import N_PARTS
from heartbert.predictions.heartbeats import (
    BEAT_PARTS_S,
    BEATS_PER_SEQUENCE,
    CONTEXT_BEATS,
    HeartbeatClassifier,
    HeartbeatHead,
    beat_intervals,
    build_network,
    classify_heartbeats,
    describe_sequence,
    late_beats,
    usual_beat,
)
from heartbert.signals.beats import RR_FEATURES, rr_features


@pytest.fixture
def head() -> HeartbeatHead:
    torch.manual_seed(0)
    return HeartbeatHead(build_network(12, n_units=8, dropout=0.0).eval(), 1)


def beats(n_beats: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_beats, 12)).astype(np.float16), np.cumsum(rng.integers(250, 330, n_beats))


@pytest.mark.parametrize("n_beats", [0, 1, 2, 37, BEATS_PER_SEQUENCE + 1])
def test_classify_heartbeats_gives_probabilities_for_any_number_of_beats(head: HeartbeatHead, n_beats: int) -> None:
    """A recording may hold no beat at all, one, or more than fit one sequence."""
    embeddings, r_peaks = beats(n_beats)

    probabilities = classify_heartbeats(head, embeddings, r_peaks)

    assert probabilities.shape == (n_beats, 5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)


def test_classify_heartbeats_does_not_depend_on_beats_far_away(head: HeartbeatHead) -> None:
    """Long recordings are cut into sequences; what happens hours later must not change a beat."""
    embeddings, r_peaks = beats(3 * BEATS_PER_SEQUENCE)
    changed = embeddings.copy()
    changed[-200:] = 5.0

    before = classify_heartbeats(head, embeddings, r_peaks)
    after = classify_heartbeats(head, changed, r_peaks)

    np.testing.assert_array_equal(before[:BEATS_PER_SEQUENCE], after[:BEATS_PER_SEQUENCE])
    assert not np.array_equal(before[-200:], after[-200:])


def test_classifier_gives_the_same_for_beats_that_arrive_in_parts(head: HeartbeatHead) -> None:
    """Embeddings come block by block; where blocks end must not matter, and what is done must be forgotten."""
    embeddings, r_peaks = beats(3 * BEATS_PER_SEQUENCE)
    classifier = HeartbeatClassifier(head, r_peaks)

    held = []
    for start in range(0, r_peaks.size, 100):
        classifier.add(embeddings[start : start + 100])
        held.append(classifier.n_held)

    np.testing.assert_array_equal(classifier.probabilities, classify_heartbeats(head, embeddings, r_peaks))
    assert max(held) < BEATS_PER_SEQUENCE + 3 * CONTEXT_BEATS + 100


def test_beat_intervals_lie_around_the_r_peak() -> None:
    """The parts are the P wave, the QRS complex and the T wave, at 360 Hz."""
    starts, stops = beat_intervals(np.array([1000]))

    np.testing.assert_array_equal(starts, [[899, 978, 1029]])
    np.testing.assert_array_equal(stops, [[978, 1029, 1158]])
    assert len(BEAT_PARTS_S) == N_PARTS


@pytest.mark.parametrize("n_directions", [0, 4])
def test_network_learns_one_batch_by_heart(n_directions: int) -> None:
    """A head that cannot overfit eight beats is wired wrongly."""
    torch.manual_seed(0)
    network = build_network(12, n_units=16, dropout=0.0, n_directions=n_directions)
    embeddings, rr, labels = torch.randn(1, 8, 12), torch.randn(1, 8, len(RR_FEATURES)), torch.arange(8)[None] % 5
    usual = embeddings.median(dim=1, keepdim=True).values
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)

    for _ in range(80):
        loss = torch.nn.functional.cross_entropy(network(embeddings, usual, rr)[0], labels[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert loss.item() < 0.05


@pytest.mark.parametrize("n_beats", [1, 2, 7, 640])
def test_usual_beat_is_the_median(n_beats: int) -> None:
    """It is sorted for speed, and must be what np.median gives, for odd and even numbers."""
    beats = np.random.default_rng(n_beats).normal(size=(n_beats, 30)).astype(np.float32)

    assert np.array_equal(usual_beat(beats), np.median(beats, axis=0))


def described(embeddings: np.ndarray, *, n_directions: int = 0) -> np.ndarray:
    """Describe beats that come once a second."""
    torch.manual_seed(0)
    network = build_network(embeddings.shape[1], n_units=2, dropout=0.0, n_directions=n_directions)
    rr = rr_features(np.arange(len(embeddings), dtype=np.float64))
    return describe_sequence(network, embeddings.astype(np.float32), rr).numpy()


def test_what_is_read_of_a_wave_does_not_depend_on_the_direction_in_which_it_differs() -> None:
    """What an ectopic beat looks like in one person says little of another; how unlike the usual it is says more."""
    usual = np.tile([3.0, 0.0, 0.0, 0.0], 3)
    one, other, alike = (np.tile(wave, 3) for wave in ([3.0, 2.0, 0, 0], [3.0, 0, 0, -2.0], [3.0, 0.1, 0, 0]))
    beats = np.stack([usual] * 40)
    beats[[10, 20, 30]] = one, other, alike

    features = described(beats)

    np.testing.assert_allclose(features[10], features[20], atol=1e-6)
    distance, farther, cosine = features[:, 0], features[:, 3], features[:, 6]
    assert distance[10] == pytest.approx(0.0, abs=1e-3)  # the logarithm of a root mean square of 1
    assert distance[30] < distance[10] - 2
    assert farther[5] == 0 < farther[30] < farther[10]
    assert cosine[5] == pytest.approx(1.0)
    assert cosine[10] == pytest.approx(9 / (3 * np.sqrt(13)), abs=1e-6)


def test_waveforms_behind_embeddings_are_compared_apart() -> None:
    """The two differ in scale and number; a distance over both would be that of the larger one."""
    rng = np.random.default_rng(0)
    embeddings, waveforms = rng.normal(size=(30, 12)).astype(np.float32), rng.normal(size=(30, 6)).astype(np.float32)
    rr = rr_features(np.arange(30, dtype=np.float64))
    network = build_network(18, n_units=2, dropout=0.0, n_waveform=6)

    both = describe_sequence(network, np.hstack([embeddings, waveforms]), rr).numpy()

    assert network.n_waveform == 6
    assert both.shape == (30, 2 * 9 + len(RR_FEATURES))
    for numbers, alone in ((slice(0, 9), embeddings), (slice(9, 18), waveforms)):
        single = build_network(alone.shape[1], n_units=2, dropout=0.0)
        np.testing.assert_allclose(both[:, numbers], describe_sequence(single, alone, rr)[:, :9], atol=1e-6)


def test_directions_are_read_on_demand() -> None:
    """With many persons the direction in which beats differ can be learnt."""
    beats = np.random.default_rng(0).normal(size=(30, 12))

    alone, wide = described(beats), described(beats, n_directions=4)

    assert wide.shape == (30, alone.shape[1] + 2 * 12)
    np.testing.assert_array_equal(wide[:, : alone.shape[1]], alone)
    np.testing.assert_allclose(wide[:, alone.shape[1] : alone.shape[1] + 12], beats, atol=1e-6)


def test_usual_beat_is_sought_among_those_that_come_late() -> None:
    """Where most beats are premature, the median of all of them is a premature one."""
    premature = np.tile([True, True, True, True, False], 20)
    rr = rr_features(np.cumsum(np.where(premature, 0.6, 1.8)))

    late = late_beats(rr)

    assert not (late & premature)[1:].any()
    assert np.count_nonzero(late) >= 19
    assert late_beats(rr[:20]).all()  # four are too few
