from pathlib import Path

import numpy as np
import pytest
import torch

from heartbert.bundle import load_bundle
from heartbert.embeddings.embed import TokenEmbeddings
from heartbert.predictions.beat_reading import EmbeddedBlock, WindowReader
from heartbert.predictions.beat_windows import LeadLevels, WindowHead, build_window_network, classify_windows

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
            EmbeddedBlock(np.array([start]), np.array([stop]), _NONE, np.empty(0, dtype=bool), 0, part, context)
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
