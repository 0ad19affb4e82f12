"""Stage 7 of 7: embeddings -> predictions. A network that weighs windows of a lead, and leads of a recording."""

from typing import Literal

import torch
from torch import nn

from heartbert.predictions.dropout import Dropout

TaskKind = Literal["single", "multi", "number"]
"""One of several classes, any number of labels, or a number."""

# Independent sets of weights over the leads, so that one output can rest on other leads than another.
_N_HEADS = 4


class LeadAttention(nn.Module):
    """Reads one embedding of each lead, or of each window of each lead, and gives scores of the recording.

    Windows are weighed within their lead, then leads within the recording; what is missing has no weight. With one lead
    and one window it is a network with one hidden layer.

    Parameters
    ----------
    n_embedding : int
        Numbers of an embedding.
    n_outputs : int
        Classes, labels, or 1 for a number.
    n_units : int
        Units of the hidden layer.
    dropout : float
        Share of the inputs and of the pooled units set to zero while training.
    n_leads : int, optional
        Number of leads that have a name, each at its own place of the lead axis, so that the network can tell them
        apart. By default the order of the leads does not matter, and there may be any number of them.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor
    spread: torch.Tensor

    def __init__(
        self, n_embedding: int, n_outputs: int, n_units: int, dropout: float, *, n_leads: int | None = None
    ) -> None:
        super().__init__()
        self.n_leads = n_leads
        self.register_buffer("mean", torch.zeros(n_embedding))
        self.register_buffer("scale", torch.ones(n_embedding))
        # Of a number that is predicted, in its own unit.
        self.register_buffer("offset", torch.zeros(n_outputs))
        self.register_buffer("spread", torch.ones(n_outputs))
        self.project = nn.Linear(n_embedding, n_units)
        self.lead_vectors = nn.Parameter(torch.zeros(n_leads, n_units)) if n_leads else None
        self.dropout = Dropout(dropout)
        self.weigh_windows = nn.Linear(n_units, 1)
        self.weigh_leads = nn.Linear(n_units, _N_HEADS)
        self.classify = nn.Linear(_N_HEADS * n_units, n_outputs)

    def forward(self, embeddings: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Score recordings.

        Parameters
        ----------
        embeddings : Tensor of float32, shape (n_records, n_leads, n_embedding)
            Or (n_records, n_leads, n_windows, n_embedding). Any finite number where `mask` is False.
        mask : Tensor of bool, shape (n_records, n_leads) or (n_records, n_leads, n_windows)
            What is there. A recording of which nothing is there gets the scores of nothing.

        Returns
        -------
        logits : Tensor, shape (n_records, n_outputs)
            A number is in its own unit.
        """
        if embeddings.ndim == 3:
            embeddings, mask = embeddings[:, :, None], mask[:, :, None]
        units = self.project(self.dropout((embeddings - self.mean) / self.scale))
        if self.lead_vectors is not None:
            units = units + self.lead_vectors[:, None]
        units = nn.functional.gelu(units)  # (n_records, n_leads, n_windows, n_units)
        leads = (_weights(self.weigh_windows(units), mask[..., None], axis=2) * units).sum(dim=2)
        weights = _weights(self.weigh_leads(leads), mask.any(dim=2)[..., None], axis=1)  # (n_records, n_leads, n_heads)
        pooled = torch.einsum("rlh,rlu->rhu", weights, leads).flatten(1)
        logits: torch.Tensor = self.classify(self.dropout(pooled)) * self.spread + self.offset
        return logits


def _weights(scores: torch.Tensor, mask: torch.Tensor, *, axis: int) -> torch.Tensor:
    """Return weights that sum to 1 over what is there, all 0 where nothing is."""
    hidden = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return torch.softmax(hidden, dim=axis) * mask
