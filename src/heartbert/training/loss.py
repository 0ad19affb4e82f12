"""What pre-training minimises: the cross-entropy of the hidden tokens, the language head applied to these alone."""

import torch
from torch import nn
from transformers import PreTrainedModel

from heartbert.embeddings.encoder import in_bfloat16, masked_logits

UNCOUNTED = -100
"""Target of a position that only fills up a batch."""


class RestoredLoss(nn.Module):
    """The model as one module whose result is the loss, as DistributedDataParallel needs it."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, shown: torch.Tensor, positions: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return `restored_loss`."""
        return restored_loss(self.model, shown, positions, targets)


def restored_loss(
    model: PreTrainedModel, shown: torch.Tensor, positions: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy in nats, summed over hidden tokens; the head sees hidden positions only.

    Targets that are `UNCOUNTED` add nothing.
    """
    with in_bfloat16(shown.device):
        hidden = model.base_model(input_ids=shown).last_hidden_state.flatten(0, 1)  # (n_rows * n_tokens, hidden_size)
        logits = masked_logits(model, hidden[positions])  # (n_hidden, n_vocabulary)
    return nn.functional.cross_entropy(logits.float(), targets, ignore_index=UNCOUNTED, reduction="sum")
