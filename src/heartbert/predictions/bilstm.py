"""Stage 7 of 7: embeddings -> predictions. The BiLSTM heads: over a sequence of beats, and over tokens."""

import torch
from torch import nn

from heartbert.predictions.dropout import Dropout


class BeatSequenceHead(nn.Module):
    """Classifies each beat of a sequence from its embedding, its difference from the usual beat, and its RR intervals.

    Parameters
    ----------
    n_embedding : int
        Numbers of a beat's embedding.
    n_rr : int
        Numbers that describe its RR intervals.
    n_classes : int
    n_units : int
        LSTM units in each direction.
    dropout : float
        Share of inputs and outputs of the LSTM set to zero while training.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, n_embedding: int, n_rr: int, n_classes: int, *, n_units: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_embedding))
        self.register_buffer("scale", torch.ones(n_embedding))
        self.project = nn.Linear(2 * n_embedding, n_units)
        self.dropout = Dropout(dropout)
        self.lstm = nn.LSTM(n_units + n_rr, n_units, batch_first=True, bidirectional=True)
        self.classify = nn.Linear(2 * n_units, n_classes)

    def forward(self, embeddings: torch.Tensor, usual: torch.Tensor, rr: torch.Tensor) -> torch.Tensor:
        """Score every beat of every sequence.

        Parameters
        ----------
        embeddings : Tensor, shape (n_sequences, n_beats, n_embedding)
        usual : Tensor, shape (n_sequences, 1, n_embedding)
            Embedding of the usual beat around the sequence: the median.
        rr : Tensor, shape (n_sequences, n_beats, n_rr)

        Returns
        -------
        logits : Tensor, shape (n_sequences, n_beats, n_classes)
        """
        scaled = (embeddings - self.mean) / self.scale
        difference = (embeddings - usual) / self.scale
        projected = nn.functional.gelu(self.project(self.dropout(torch.cat([scaled, difference], dim=-1))))
        hidden, _ = self.lstm(torch.cat([projected, rr], dim=-1))
        logits: torch.Tensor = self.classify(self.dropout(hidden))
        return logits


class TokenSequenceHead(nn.Module):
    """Classifies windows from the embeddings of their tokens: the head of the HeartBERT paper.

    Where the published code reads the last state on padding, this one packs the windows by their lengths: the state
    of each direction is that after the last token it has seen, and no padding is read.

    Parameters
    ----------
    hidden_size : int
        Width of a token embedding.
    n_classes : int
    n_units : int
        LSTM units in each direction.
    dropout : float
        Share of the states set to zero while training.
    """

    def __init__(self, hidden_size: int, n_classes: int, *, n_units: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(hidden_size, n_units, batch_first=True, bidirectional=True)
        self.dropout = Dropout(dropout)
        self.classify = nn.Linear(2 * n_units, n_classes)

    def forward(self, embeddings: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Score windows.

        Parameters
        ----------
        embeddings : Tensor, shape (n_tokens, hidden_size)
            Tokens of all windows, one window after the other.
        counts : Tensor of int64, shape (n_windows,)
            Tokens of each window; a window without any is read as one token of zeros.

        Returns
        -------
        logits : Tensor, shape (n_windows, n_classes)
        """
        nothing = embeddings.new_zeros(1, embeddings.shape[1])
        windows = [part if len(part) else nothing for part in torch.split(embeddings, counts.tolist())]
        packed = nn.utils.rnn.pack_sequence(windows, enforce_sorted=False)
        _, (states, _) = self.lstm(packed)  # (2, n_windows, n_units)
        logits: torch.Tensor = self.classify(self.dropout(torch.cat([states[0], states[1]], dim=-1)))
        return logits
