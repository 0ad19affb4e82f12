import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from heartbert.bundle import load_bundle
from heartbert.embeddings.encoder import build_encoder
from heartbert.errors import ConfigError
from heartbert.training.config import EncoderConfig, read_config
from heartbert.training.heartbeat_encoder import (
    add_lora,
    check_layers,
    keep_best,
    round_weights,
    shuffled,
    take_steps,
    train_layers,
    trainable,
)


def model_of(family: str) -> PreTrainedModel:
    """Return an untrained tiny model of two layers."""
    config = read_config("tiny").encoder
    settings = EncoderConfig(**{**vars(config), "family": family})
    return build_encoder(settings, 200, seed=0).eval()


def learning(model: PreTrainedModel) -> set[str]:
    """Return the names of the parameters that learn."""
    return {name for name, parameter in model.base_model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("family", ["modernbert", "roberta"])
def test_only_the_layers_that_were_named_learn(family: str) -> None:
    """Both families name their layers otherwise; the masked-language head never learns."""
    model = model_of(family)

    train_layers(model, range(1, 2), embeddings=False)
    upper = learning(model)
    train_layers(model, range(2), embeddings=True)

    assert upper
    assert all(".1." in name for name in upper)
    assert any("embeddings" in name for name in learning(model))
    assert any(".0." in name for name in learning(model))
    assert not any(p.requires_grad for name, p in model.named_parameters() if name.startswith(("lm_head.d", "head.")))


def test_number_of_layers_must_be_there() -> None:
    """The message says how many there are."""
    check_layers(2, model_of("roberta"), what="n")
    for wrong in (-1, 3):
        with pytest.raises(ConfigError, match=rf"n is {wrong}; the encoder has 2 layers. Give 0 to 2"):
            check_layers(wrong, model_of("roberta"), what="n")


@pytest.mark.parametrize("family", ["modernbert", "roberta"])
def test_lora_learns_in_the_layers_that_are_read_and_leaves_a_plain_model(family: str) -> None:
    """After merging nothing of the library may be left, so that the folder loads without it."""
    pytest.importorskip("peft")
    model = model_of(family)
    names = [name for name, _ in model.named_parameters()]
    tokens = torch.tensor([[0, 30, 40, 50, 2]])

    adapted = add_lora(model, n_layers=1, rank=2)
    added = learning(model)
    with torch.no_grad():
        for parameter in trainable([model]):
            parameter += 0.05
        before = model.base_model(tokens).last_hidden_state
        adapted.merge_and_unload()
        after = model.base_model(tokens).last_hidden_state

    assert added
    assert all("lora_" in name and ".0." in name for name in added)
    assert [name for name, _ in model.named_parameters()] == names
    torch.testing.assert_close(before, after)
    assert not torch.allclose(after, model_of(family).base_model(tokens).last_hidden_state)


def test_missing_library_names_itself_and_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """An optional library must not end in a traceback."""
    monkeypatch.setitem(sys.modules, "peft", None)

    with pytest.raises(ConfigError, match=r"needs the library 'peft'.* pip install 'heartbert\[lora\]'"):
        add_lora(model_of("roberta"), n_layers=1, rank=2)


def test_best_epoch_is_put_back() -> None:
    """Later training epochs may be worse; what does not learn is left alone."""
    module = nn.Linear(1, 1)
    module.bias.requires_grad_(requires_grad=False)

    def epochs():  # type: ignore[no-untyped-def]
        for number, score in enumerate((0.2, 0.9, 0.9, 0.1)):
            with torch.no_grad():
                module.weight.fill_(number)
            yield score

    assert keep_best([module], epochs()) == (0.2, 0.9, 0.9, 0.1)
    assert module.weight.item() == 1.0


def test_steps_go_down_each_loss_in_turn() -> None:
    """A loss is computed with the weights that the step before it left."""
    weight = nn.Parameter(torch.tensor([1.0]))
    seen = []

    def losses():  # type: ignore[no-untyped-def]
        for _ in range(3):
            seen.append(weight.item())
            yield (weight**2).sum()

    take_steps(torch.optim.SGD([weight], lr=0.1), losses())

    assert seen == pytest.approx([1.0, 0.9, 0.8], abs=1e-5)  # the gradient, 2 w, is cut at 1


def test_rounded_weights_are_those_that_a_bundle_stores(tiny_pretrained: Path) -> None:
    """A loaded model is rounded already; rounding again must change nothing."""
    model = load_bundle(tiny_pretrained).model
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with torch.no_grad():
        next(model.parameters()).mul_(1.0001)

    round_weights(model)

    for parameter, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), old, rtol=1e-2, atol=0)
        torch.testing.assert_close(parameter.bfloat16().float(), parameter, rtol=0, atol=0)


def test_shuffled_numbers_come_once_each() -> None:
    """A training epoch is one pass over all beats."""
    parts = list(shuffled(10, 4, np.random.default_rng(0)))

    assert [part.size for part in parts] == [4, 4, 2]
    assert sorted(np.concatenate(parts).tolist()) == list(range(10))
