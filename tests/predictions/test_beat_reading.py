from pathlib import Path

import numpy as np
import pytest
import torch

from heartbert.bundle import load_bundle
from heartbert.embeddings.embed import TokenEmbeddings
from heartbert.predictions.beat_reading import BeatPooler, EmbeddedBlock, WindowReader
from heartbert.predictions.beat_windows import LeadLevels, WindowHead, build_window_network, classify_windows
from heartbert.predictions.heartbeats import WAVEFORM_SAMPLES, samples_around

# The windows need no token embeddings of their block.
_NONE = TokenEmbeddings(
    np.empty(0, dtype=int), np.empty(0, dtype=int), np.empty(0, dtype=int), np.empty((0, 32)), np.empty((0, 32))
)


def blocks_of(lead: LeadLevels, block_samples: int, context: int) -> list[EmbeddedBlock]:
    """Cut a lead into blocks with context; beyond its ends the context is something else."""
    padded = [np.pad(part, context, constant_values=part.dtype.type(1)) for part in (lead.levels, lead.unscorable)]
    blocks = []
    for start in range(0, lead.levels.size, block_samples):
        stop = min(start + block_samples, lead.levels.size)
        part = LeadLevels(*(values[start : stop + 2 * context] for values in padded))
        blocks.append(
            EmbeddedBlock(
                np.array([start]),
                np.array([stop]),
                _NONE,
                np.empty(0, dtype=bool),
                0,
                part,
                part.levels.astype(np.float32),
                context,
            )
        )
    return blocks


@pytest.mark.parametrize(("block_samples", "context"), [(2000, 600), (700, 600), (9000, 1800)])
def test_windows_of_blocks_are_those_of_the_whole_lead(tiny_pretrained: Path, block_samples: int, context: int) -> None:
    """A window that reaches over the edge of a block has both sides, and the recording's ends cut it."""
    reader = load_bundle(tiny_pretrained).token_reader
    torch.manual_seed(0)
    head = WindowHead(build_window_network(32, n_units=8, dropout=0.0).eval(), 1080, 2)
    rng = np.random.default_rng(0)
    n_samples = 9000
    lead = LeadLevels(
        np.clip(16 + 10 * np.sin(np.arange(n_samples) / 9) + rng.normal(0, 1, n_samples), 0, 31).astype(np.uint8),
        (np.arange(n_samples) > 4000) & (np.arange(n_samples) < 4700),
    )
    r_peaks = np.array([0, 100, 1999, 2000, 4300, 6999, 8999])

    classifier = WindowReader(head, reader, r_peaks, n_samples=n_samples)
    for block in blocks_of(lead, block_samples, context):
        classifier.add(block)
    classifier.finish()

    expected = classify_windows(head, reader, lead, r_peaks)
    np.testing.assert_allclose(classifier.probabilities, expected, atol=2e-3)  # bfloat16 where the processor has it


@pytest.mark.parametrize(("block_samples", "context"), [(2000, 600), (700, 600), (9000, 1800)])
def test_waveforms_of_blocks_are_those_of_the_whole_lead(block_samples: int, context: int) -> None:
    """A beat at the edge of a block has its waveform whole, and stands behind the embedding of the same beat."""
    levels = np.random.default_rng(0).integers(0, 100, 9000).astype(np.uint8)
    lead = LeadLevels(levels, np.zeros(9000, dtype=bool))
    r_peaks = np.array([150, 700, 1999, 2000, 2090, 6999, 8600, 9000])  # the last one is rounded up behind the end

    pooler = BeatPooler(r_peaks, WAVEFORM_SAMPLES.size)
    parts = [pooler.add(block) for block in blocks_of(lead, block_samples, context)]
    beats = np.concatenate([*parts, pooler.finish()])

    assert beats.shape == (8, 3 * 32 + WAVEFORM_SAMPLES.size)
    expected = samples_around(levels.astype(np.float32), r_peaks, WAVEFORM_SAMPLES)
    np.testing.assert_array_equal(beats[:7, 3 * 32 :], expected[:7])
    assert sum(len(part) for part in parts) < 8  # the last one waits for the end


def test_no_beat_gives_no_waveform() -> None:
    """A recording may hold none."""
    pooler = BeatPooler(np.empty(0, dtype=np.int64), WAVEFORM_SAMPLES.size)
    for block in blocks_of(LeadLevels(np.zeros(900, dtype=np.uint8), np.zeros(900, dtype=bool)), 500, 100):
        pooler.add(block)

    assert pooler.finish().shape[0] == 0
