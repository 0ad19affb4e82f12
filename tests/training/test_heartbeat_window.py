from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from heartbert.bundle import Bundle, load_bundle
from heartbert.errors import ConfigError
from heartbert.training.heartbeat_leads import LabelledLead, read_labelled_lead
from heartbert.training.heartbeat_window import WindowHeadConfig, train_window_head

QUICK = WindowHeadConfig(frozen_layers=1, n_units=8, n_training_epochs=1, windows_per_step=32, learning_rate=3e-3)
Leads = tuple[list[LabelledLead], list[LabelledLead]]


@pytest.fixture(scope="module")
def bundle(tiny_pretrained: Path) -> Bundle:
    return load_bundle(tiny_pretrained)


@pytest.fixture(scope="module")
def leads(bundle: Bundle, tiny_database: Path) -> Leads:
    a, c = (read_labelled_lead(bundle.preprocessing, tiny_database / f"{name}.hea") for name in "ac")
    return [a], [c]


def test_labelled_lead_covers_the_recording(leads: Leads) -> None:
    """A minute at 360 Hz, all of it scorable, with the beats of the annotation."""
    lead = leads[0][0]

    assert lead.lead.levels.shape == lead.lead.unscorable.shape == (21_600,)
    assert lead.lead.levels.dtype == np.uint8
    assert not lead.lead.unscorable.any()
    assert lead.beats.embeddings.shape == (lead.beats.r_peaks.size, 0)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_frozen_layers_stay_and_the_others_learn(bundle: Bundle, leads: Leads, frozen: int) -> None:
    """With all layers frozen only the head learns; with none also the embeddings."""
    before = bundle.model.base_model.state_dict()

    trained = train_window_head(bundle, leads, replace(QUICK, frozen_layers=frozen))

    after = trained.model.base_model.state_dict()
    changed = {name.split(".")[1] for name in after if not torch.equal(after[name], before[name])}
    assert {name for name in changed if name.isdigit()} == {str(number) for number in range(frozen, 2)}
    assert ("tok_embeddings" in changed) == (frozen == 0)
    assert trained.head.layer == 2
    assert trained.head.window_samples == 1080
    assert len(trained.curve) == 1
    assert sum(row.n_beats for row in trained.calibration.reliability) == trained.calibration.n_beats > 0


def test_window_head_comes_out_again_under_a_seed(bundle: Bundle, leads: Leads) -> None:
    """Results must come out again."""
    first, second = (train_window_head(bundle, leads, replace(QUICK, frozen_layers=2)) for _ in range(2))

    assert first.scores == second.scores
    assert first.head.temperature == second.head.temperature


def test_window_head_needs_beats_recordings_and_layers(bundle: Bundle, leads: Leads) -> None:
    """Each message says what is missing."""
    with pytest.raises(ConfigError, match="0 training beats and 1 validation recordings"):
        train_window_head(bundle, ([], leads[1]), QUICK)
    with pytest.raises(ConfigError, match="training beats and 0 validation recordings"):
        train_window_head(bundle, (leads[0], []), QUICK)
    with pytest.raises(ConfigError, match="the number of frozen layers is 3; the encoder has 2 layers"):
        train_window_head(bundle, leads, replace(QUICK, frozen_layers=3))
    with pytest.raises(ConfigError, match="n_units is 0; it must be at least 1"):
        replace(QUICK, n_units=0)
