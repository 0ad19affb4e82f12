"""Head sizes, layers that learn and low-rank additions, on generated records."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from heartbert.bundle import load_bundle, save_bundle
from heartbert.errors import ConfigError
from heartbert.protocols import ds1_ds2
from heartbert.protocols.comparison import Draw
from heartbert.protocols.comparison_heartbeats import HeartbeatSource
from heartbert.protocols.comparison_sleep import SleepSource
from heartbert.protocols.parameter_variants import (
    FROZEN,
    LAYERS,
    LORA,
    NO_ENCODER,
    VariantChoices,
    count_learning,
    heartbeat_variants,
    sleep_variants,
)
from heartbert.training.config import HeartbeatsConfig
from heartbert.training.heartbeat_tuning import FineTuning
from heartbert.training.sleep_config import SleepConfig
from tests.claiming import write_nights


@pytest.fixture
def source(write_records: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> HeartbeatSource:
    monkeypatch.setattr(ds1_ds2, "MITDB_DS1", ("101", "106", "114"))
    monkeypatch.setattr(ds1_ds2, "MITDB_DS1_VALIDATION", ("114",))
    return HeartbeatSource(write_records(("101", "106", "114")), minutes=0.3)


def test_frozen_and_tuned_variants_train_and_score(
    source: HeartbeatSource, heads: HeartbeatsConfig, tiny_pretrained: Path
) -> None:
    """Head sizes, layers and additions stand in one table, by the same split."""
    choices = VariantChoices((tiny_pretrained,), (4, 8), frozen_layers=(0, 6), lora_ranks=(2,), tuning_epochs=1)

    task, variants = heartbeat_variants(choices, source, heads=heads)

    kinds = [(one.kind, one.label) for one in variants]
    assert kinds == [
        (NO_ENCODER, "waveform"),
        (FROZEN, "4 units"),
        (FROZEN, "8 units"),
        (LAYERS, "0 frozen"),  # six frozen layers are more than the encoder has: the rows above
        (LORA, "rank 2"),
    ]
    by_kind = {(one.kind, one.label): one.n_trainable for one in variants}
    assert (
        by_kind[FROZEN, "4 units"] < by_kind[FROZEN, "8 units"] < by_kind[LORA, "rank 2"] < by_kind[LAYERS, "0 frozen"]
    )
    for one in variants[1:]:
        counts = task.run(one.row, Draw(seed=1))
        assert counts.shape == (1, 6, 6)
        assert counts[0, :5].sum() > 10
    assert len({str(task.told(one.row)) for one in variants[2:]}) == 3


def test_counted_parameters_are_those_that_learn(tiny_pretrained: Path) -> None:
    """Counted without training, so that the count of a kept run is not lost."""
    bundle = load_bundle(tiny_pretrained)
    layer = bundle.model.base_model.config

    rank2, rank4 = (count_learning(bundle, FineTuning(lora_rank=rank), 1) for rank in (2, 4))
    layers = count_learning(bundle, FineTuning(n_layers=1), 1)

    assert rank4 == 2 * rank2 > 0
    assert layers > 4 * layer.hidden_size**2
    assert not any(parameter.grad_fn for parameter in bundle.model.parameters())


def test_several_encoders_are_compared(
    source: HeartbeatSource, heads: HeartbeatsConfig, tiny_pretrained: Path, tmp_path: Path
) -> None:
    """Encoder sizes are bundles; only the first one has the row without encoder."""
    bundle = load_bundle(tiny_pretrained)
    with torch.no_grad():
        next(iter(bundle.model.parameters())).add_(1.0)
    save_bundle(bundle, tmp_path / "other", card="")

    task, variants = heartbeat_variants(
        VariantChoices((tiny_pretrained, tmp_path / "other"), (4,)), source, heads=heads
    )

    assert [one.kind for one in variants] == [NO_ENCODER, FROZEN, FROZEN]
    assert len(set(task.rows)) == 3


def test_sleep_has_head_sizes(tiny_pretrained: Path, tmp_path: Path) -> None:
    """An encoder is frozen there; asking for more is refused."""
    config = SleepConfig(layer=1, n_embedding_units=2, n_training_epochs=1, n_networks=1)
    source = SleepSource(write_nights(tmp_path, ("slp03", "slp04")), n_folds=2)

    task, variants = sleep_variants(VariantChoices((tiny_pretrained,), (2, 4)), source, config=config)

    assert [(one.kind, one.label) for one in variants] == [
        (FROZEN, "2 units"), (FROZEN, "4 units"), (NO_ENCODER, "2 units"), (NO_ENCODER, "4 units"),
    ]  # fmt: skip
    assert variants[0].n_trainable > variants[2].n_trainable
    assert variants[0].footprint.seconds == pytest.approx(600.0)
    assert np.isfinite(variants[0].footprint.signal).all()
    assert task.run(variants[0].row, Draw(seed=1)).shape == (2, 3, 3)
    with pytest.raises(ConfigError, match="an encoder is fine-tuned for heartbeats only"):
        sleep_variants(VariantChoices((tiny_pretrained,), lora_ranks=(2,)), source)


def test_choices_out_of_range_are_refused(tiny_pretrained: Path) -> None:
    """Each message names what was found."""
    with pytest.raises(ConfigError, match="0 bundles, heads of 8, 32, 64, 128 units"):
        VariantChoices(())
    with pytest.raises(ConfigError, match="heads of no units"):
        VariantChoices((tiny_pretrained,), ())
    with pytest.raises(ConfigError, match="ranks 0"):
        VariantChoices((tiny_pretrained,), lora_ranks=(0,))
    with pytest.raises(ConfigError, match="frozen layers are -1"):
        VariantChoices((tiny_pretrained,), frozen_layers=(-1,))
