"""Operations, time, memory and parameters of an encoder with a head, against counts made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from heartbert.bundle import load_bundle
from heartbert.embeddings.encoder import build_encoder
from heartbert.errors import ConfigError
from heartbert.predictions.heartbeats import build_network
from heartbert.protocols import footprint
from heartbert.protocols.footprint import (
    FootprintTask,
    count_flops,
    count_parameters,
    measure_footprint,
    measure_in_fresh_process,
)
from heartbert.training.config import EncoderConfig
from tests.synthetic import synthetic_ecg

N_ROWS, N_TOKENS, HIDDEN, INNER, N_LAYERS = 2, 16, 32, 48, 3


@torch.no_grad()
def _encode(family: str) -> int:
    config = EncoderConfig(family, N_LAYERS, HIDDEN, 4, INNER, 32)  # type: ignore[arg-type]
    encoder = build_encoder(config, 64, seed=1).eval().base_model
    ids = torch.full((N_ROWS, N_TOKENS), 9)
    mask = torch.ones_like(ids)
    return count_flops(lambda: encoder(input_ids=ids, attention_mask=mask))


@pytest.mark.parametrize(("family", "n_feed_forward"), [("roberta", 2), ("modernbert", 3)])
def test_operations_of_an_encoder_are_those_counted_by_hand(family: str, n_feed_forward: int) -> None:
    """Attention runs in one fused kernel, which a counter of operations can overlook; ModernBERT's layers are gated."""
    n_all = N_ROWS * N_TOKENS
    projections = 4 * HIDDEN * HIDDEN + n_feed_forward * HIDDEN * INNER
    attention = 2 * N_TOKENS * HIDDEN  # each token with all others: scores, and the mean of values
    by_hand = 2 * n_all * N_LAYERS * (projections + attention)

    # RoBERTa's pooler, where there is one, is a product a row; rotary positions multiply nothing by a matrix
    assert _encode(family) == pytest.approx(by_hand, rel=0.03)


@torch.no_grad()
def test_operations_of_an_lstm_are_those_counted_by_hand() -> None:
    """It runs in one fused kernel, too."""
    network = nn.LSTM(7, 5, batch_first=True, bidirectional=True).eval()

    found = count_flops(lambda: network(torch.zeros(2, 11, 7)))

    assert found == 2 * (2 * 11) * 2 * 4 * 5 * (7 + 5)


def test_parameters_are_counted_once_each() -> None:
    """Tied weights are stored once."""
    first = nn.Linear(3, 4)

    assert count_parameters(nn.ModuleList([first, first])) == 16


@pytest.fixture(scope="module")
def task(tiny_pretrained: Path) -> FootprintTask:
    signal = synthetic_ecg(20.0, 250.0)[0]
    return FootprintTask(tiny_pretrained, "beats", 8, 1, signal, 250.0, n_repeats=1)


def test_encoder_costs_more_than_the_head_alone(task: FootprintTask) -> None:
    """The row without encoder shows what the encoder costs."""
    whole, head = (measure_footprint(replace(task, head=name)) for name in ("beats", "beats without encoder"))

    assert whole.mflops > 2 * head.mflops > 0
    assert whole.n_encoder == count_parameters(load_bundle(task.bundle).model.base_model)
    assert head.n_encoder == 0
    assert head.n_head == count_parameters(build_network(65, n_units=8, dropout=0.0))
    assert whole.latency_ms > 0
    assert whole.peak_mb > 50
    assert whole.n_threads == torch.get_num_threads()


def test_night_is_staged_with_and_without_encoder(task: FootprintTask) -> None:
    """Sleep has a footprint as heartbeats have one."""
    night = replace(task, signal=np.tile(synthetic_ecg(30.0, 100.0)[0], 20), fs=100.0)

    whole, head = (measure_footprint(replace(night, head=name)) for name in ("night", "night without encoder"))

    assert whole.mflops > head.mflops > 0
    assert whole.n_head > head.n_head
    assert (whole.n_encoder > 0, head.n_encoder) == (True, 0)


def test_memory_is_told_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other systems tell it in another way."""
    monkeypatch.setattr(footprint, "Path", lambda _: tmp_path / "none")

    assert footprint._peak_mb() > 10


def test_nothing_timed_is_refused(task: FootprintTask) -> None:
    """A median of nothing is no number."""
    with pytest.raises(ConfigError, match="0 repeats are to be timed"):
        measure_footprint(replace(task, n_repeats=0))


def test_a_process_of_its_own_gives_the_same_counts(task: FootprintTask) -> None:
    """Memory is then that of the task alone; operations and parameters do not depend on where they are counted."""
    here, apart = measure_footprint(task), measure_in_fresh_process(task)

    assert (apart.mflops, apart.n_encoder, apart.n_head) == (here.mflops, here.n_encoder, here.n_head)
    assert apart.peak_mb > 50
