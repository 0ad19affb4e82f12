"""Stage 7 of 7: embeddings -> predictions. The published sleep head: windows of 3 s, a BiLSTM over their tokens.

It sees nothing but the window. It is here to be compared with; `predictions.sleep_stages` is what stages a night.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from heartbert.embeddings.embed import TokenEmbeddings, embed
from heartbert.predictions.bilstm import TokenSequenceHead
from heartbert.predictions.sleep_epochs import EpochEncoder
from heartbert.signals.resampling import TARGET_FS

# As published: 3 s at 360 Hz, so ten windows an epoch.
WINDOW_SAMPLES = round(3 * TARGET_FS)


@dataclass(frozen=True)
class EpochTokens:
    """Token embeddings of one epoch, cut into windows of 3 s.

    Attributes
    ----------
    embeddings : ndarray of float16, shape (n_tokens, hidden_size)
        In time order.
    counts : ndarray of int64, shape (10,)
        Tokens that start in each window.
    """

    embeddings: npt.NDArray[np.float16]
    counts: npt.NDArray[np.int64]


def embed_windows(encoder: EpochEncoder, epochs: npt.NDArray[np.generic]) -> Iterator[EpochTokens]:
    """Embed each window of 3 s of each epoch by itself, as published.

    Parameters
    ----------
    encoder : EpochEncoder
    epochs : ndarray, shape (n_epochs, 1000)
        Amplitudes or levels of one recording at 33.3 Hz, all finite.
    """
    for levels in encoder.levels(epochs):
        tokens = encoder.tokenizer.encode_levels(levels, WINDOW_SAMPLES, max_tokens=encoder.max_tokens)
        embedded = embed(encoder.encoder, tokens, layer=encoder.layer, last=False)
        yield _cut(embedded, -(-levels.size // WINDOW_SAMPLES))


def _cut(embedded: TokenEmbeddings, n_windows: int) -> EpochTokens:
    return EpochTokens(embedded.inner.astype(np.float16), np.bincount(embedded.window, minlength=n_windows))


@torch.inference_mode()
def classify_epoch(head: TokenSequenceHead, tokens: EpochTokens) -> npt.NDArray[np.float32]:
    """Give an epoch the probability of each class: the normalised geometric mean over its windows.

    Parameters
    ----------
    head : TokenSequenceHead
        In evaluation mode.
    tokens : EpochTokens

    Returns
    -------
    probabilities : ndarray of float32, shape (n_classes,)
    """
    logits = head(torch.from_numpy(tokens.embeddings.astype(np.float32)), torch.from_numpy(tokens.counts))
    probabilities: npt.NDArray[np.float32] = torch.log_softmax(logits, dim=-1).mean(dim=0).softmax(dim=-1).numpy()
    return probabilities
