"""Stage 7 of 7: embeddings -> predictions. The BiLSTM heads: over a sequence of beats, and over tokens."""

import torch
from torch import nn

from heartbert.predictions.dropout import Dropout

# An embedding is made of this many parts of equal size: P wave, QRS complex, T wave.
N_PARTS = 3
# Features beyond so many standard deviations say no more.
_FEATURE_LIMIT = 4.0
# Units of the layers that read one beat, for each LSTM unit.
_WIDTH = 4


class BeatSequenceHead(nn.Module):
    """Classifies each beat of a sequence by how unlike the usual beat it is, and by its RR intervals.

    What is read of the embedding of each wave, and of its waveform, is how far it is from that of the usual beat, how
    much farther than others around it, and how far it points the same way: three numbers that mean the same in every
    person. In which direction it differs does not, and a head that reads it learns the persons it was trained on; with
    many persons `n_directions` lets it.

    Parameters
    ----------
    sizes : tuple of int
        Numbers of a beat's embedding and, if it stands behind it, of its waveform; multiples of `N_PARTS`.
    n_rr : int
        Numbers that describe its RR intervals.
    n_classes : int
    n_units : int
        LSTM units in each direction; the two layers below, which read one beat, have four times as many.
    dropout : float
        Share of the outputs of each layer set to zero while training.
    n_directions : int
        Numbers that the embedding and its difference from the usual beat are projected to; 0 reads neither.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    feature_mean: torch.Tensor
    feature_scale: torch.Tensor

    def __init__(
        self,
        sizes: tuple[int, ...],
        n_rr: int,
        n_classes: int,
        *,
        n_units: int,
        dropout: float,
        n_directions: int = 0,
    ) -> None:
        super().__init__()
        self.sizes, self.n_directions = sizes, n_directions
        self.n_features = 3 * N_PARTS * len(sizes) + n_rr
        n_embedding = sum(sizes)
        self.register_buffer("mean", torch.zeros(n_embedding))
        self.register_buffer("scale", torch.ones(n_embedding))
        self.register_buffer("feature_mean", torch.zeros(self.n_features))
        self.register_buffer("feature_scale", torch.ones(self.n_features))
        self.dropout = Dropout(dropout)
        if n_directions:
            self.project = nn.Linear(2 * n_embedding, n_directions)
        width = _WIDTH * n_units
        self.read = nn.Sequential(
            *(nn.Linear(self.n_features + n_directions, width), nn.GELU(), Dropout(dropout)),
            *(nn.Linear(width, width), nn.GELU(), Dropout(dropout)),
        )
        self.lstm = nn.LSTM(width, n_units, batch_first=True, bidirectional=True)
        self.classify = nn.Linear(width + 2 * n_units, n_classes)

    @property
    def n_waveform(self) -> int:
        """Numbers of the waveform behind the embedding, 0 if there are none."""
        return sum(self.sizes[1:])

    def forward(self, embeddings: torch.Tensor, usual: torch.Tensor, rr: torch.Tensor) -> torch.Tensor:
        """Score every beat of every sequence.

        Parameters
        ----------
        embeddings : Tensor, shape (n_sequences, n_beats, n_embedding)
            With the waveform, if one is read, behind each of them.
        usual : Tensor, shape (n_sequences, 1, n_embedding)
            The same of the usual beat around the sequence.
        rr : Tensor, shape (n_sequences, n_beats, n_rr)

        Returns
        -------
        logits : Tensor, shape (n_sequences, n_beats, n_classes)
        """
        return self.score(self.describe(embeddings, usual, rr))

    def describe(self, embeddings: torch.Tensor, usual: torch.Tensor, rr: torch.Tensor) -> torch.Tensor:
        """Describe every beat beside those around it, without any weight that learns; see `forward`.

        Returns
        -------
        described : Tensor, shape (n_sequences, n_beats, n_described)
            `n_features` numbers and, if directions are read, embeddings and differences.
        """
        scaled, expected = ((values - self.mean) / self.scale for values in (embeddings, usual))
        pairs = zip(*(torch.split(values, list(self.sizes), dim=-1) for values in (scaled, expected)), strict=True)
        features = [feature for beats, usual_beat in pairs for feature in _compare(beats, usual_beat)]
        directions = [scaled, scaled - expected] if self.n_directions else []
        return torch.cat([*features, rr, *directions], dim=-1)

    def score(self, described: torch.Tensor) -> torch.Tensor:
        """Score every beat of every sequence as `describe` gives them; returns logits as `forward` does."""
        features = (described[..., : self.n_features] - self.feature_mean) / self.feature_scale
        features = features.clamp(-_FEATURE_LIMIT, _FEATURE_LIMIT)
        if self.n_directions:
            directions = self.project(self.dropout(described[..., self.n_features :]))
            features = torch.cat([features, directions], dim=-1)
        beats = self.read(features)
        hidden, _ = self.lstm(beats)
        logits: torch.Tensor = self.classify(torch.cat([beats, self.dropout(hidden)], dim=-1))
        return logits


def _compare(beats: torch.Tensor, usual: torch.Tensor) -> list[torch.Tensor]:
    """Compare the waves of beats with those of the usual one: distance, the same less its median, cosine of each."""
    waves, usual_waves = (torch.unflatten(values, -1, (N_PARTS, -1)) for values in (beats, usual))
    # (n_sequences, n_beats, n_parts, n_numbers)
    distance = torch.log(torch.sqrt((waves - usual_waves).square().mean(dim=-1) + 1e-6))
    farther = distance - distance.median(dim=1, keepdim=True).values
    return [distance, farther, nn.functional.cosine_similarity(waves, usual_waves, dim=-1)]


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
