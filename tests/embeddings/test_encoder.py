from dataclasses import replace
from pathlib import Path

import pytest
import torch

from heartbert.embeddings.encoder import build_encoder, load_encoder, masked_logits, max_tokens_of
from heartbert.errors import BundleError
from heartbert.training.config import read_config

TINY = read_config("tiny").encoder
FAMILIES = ("roberta", "modernbert")


@pytest.mark.parametrize("family", FAMILIES)
def test_build_encoder_accepts_max_tokens_positions(family: str) -> None:
    """A row of the stated length must fit: RoBERTa counts its positions from the padding id."""
    model = build_encoder(replace(TINY, family=family), 50, seed=0)

    hidden = model.base_model(input_ids=torch.full((1, TINY.max_tokens), 9)).last_hidden_state

    assert hidden.shape == (1, TINY.max_tokens, TINY.hidden_size)
    assert max_tokens_of(model) == TINY.max_tokens


@pytest.mark.parametrize("family", FAMILIES)
def test_masked_logits_equal_the_full_head_at_the_chosen_positions(family: str) -> None:
    """Skipping unmasked positions saves time and must change nothing."""
    model = build_encoder(replace(TINY, family=family), 50, seed=0).eval()
    token_ids = torch.arange(7, 27)[None]

    with torch.no_grad():
        whole = model(input_ids=token_ids).logits[0, 3:5]
        chosen = masked_logits(model, model.base_model(input_ids=token_ids).last_hidden_state[0, 3:5])

    torch.testing.assert_close(chosen, whole)


def test_build_encoder_gives_the_same_weights_for_the_same_seed() -> None:
    """Results must come out again, and the caller's random state must not move."""
    state = torch.get_rng_state()
    first = build_encoder(TINY, 50, seed=3).state_dict()
    second = build_encoder(TINY, 50, seed=3).state_dict()

    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)


def test_load_encoder_refuses_a_folder_without_a_model(tmp_path: Path) -> None:
    """The message must name the folder, not end in a traceback."""
    with pytest.raises(BundleError, match="cannot be loaded"):
        load_encoder(tmp_path)
