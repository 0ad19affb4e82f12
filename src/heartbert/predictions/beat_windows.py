"""Stage 7 of 7: embeddings -> predictions. The published head: a window around each beat, classified on its own."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from heartbert.embeddings.embed import embed
from heartbert.predictions.bilstm import TokenSequenceHead
from heartbert.predictions.labels import AamiClass
from heartbert.predictions.scorable import hide_unscorable
from heartbert.tokens import Tokenizer, Tokens

# Windows given to the encoder together when classifying.
_WINDOWS_AT_A_TIME = 64


@dataclass(frozen=True)
class WindowHead:
    """A trained head that reads the tokens of a window around each beat; no other beat, and no RR interval.

    Attributes
    ----------
    network : TokenSequenceHead
        In evaluation mode.
    window_samples : int
        Samples at 360 Hz of a window, the R-peak in their middle; cut at the ends of the recording.
    layer : int
        Encoder layer that it reads: the last one.
    temperature : float
        What its scores are divided by, see `heartbert.predictions.calibration`.
    """

    network: TokenSequenceHead
    window_samples: int
    layer: int
    temperature: float = 1.0


def build_window_network(hidden_size: int, *, n_units: int, dropout: float) -> TokenSequenceHead:
    """Build an untrained network of the window head."""
    return TokenSequenceHead(hidden_size, len(AamiClass), n_units=n_units, dropout=dropout)


@dataclass(frozen=True)
class LeadLevels:
    """A lead, or a part of one, as levels.

    Attributes
    ----------
    levels : ndarray of uint8, shape (n_samples,)
        At 360 Hz.
    unscorable : ndarray of bool, shape (n_samples,)
    """

    levels: npt.NDArray[np.uint8]
    unscorable: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class WindowTokens:
    """Tokens of windows.

    Attributes
    ----------
    tokens : Tokens
        Unscorable ones are out of the attention mask.
    usable : ndarray of bool, shape (n_rows, n_tokens)
        Tokens that the head reads.
    counts : ndarray of int64, shape (n_windows,)
        How many of them each window has.
    """

    tokens: Tokens
    usable: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenReader:
    """What turns levels into token embeddings: a tokenizer and an encoder."""

    tokenizer: Tokenizer
    encoder: PreTrainedModel
    max_tokens: int


def cut_windows(
    lead: LeadLevels, middles: npt.NDArray[np.int64], window_samples: int
) -> tuple[LeadLevels, npt.NDArray[np.int64]]:
    """Cut windows out of a lead.

    Parameters
    ----------
    lead : LeadLevels
    middles : ndarray of int64, shape (n_windows,)
        Samples of the lead, each in the middle of a window; what lies outside the lead is left out.
    window_samples : int

    Returns
    -------
    windows : LeadLevels
        One window after the other.
    lengths : ndarray of int64, shape (n_windows,)
    """
    starts = np.maximum(middles - window_samples // 2, 0)
    lengths = np.minimum(middles - window_samples // 2 + window_samples, lead.levels.size) - starts
    taken = np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return LeadLevels(lead.levels[taken], lead.unscorable[taken]), lengths


def tokenize_windows(windows: LeadLevels, lengths: npt.NDArray[np.int64], reader: TokenReader) -> WindowTokens:
    """Turn windows that stand one after the other, at least one, into tokens; a long one continues in further rows."""
    tokens = reader.tokenizer.encode_levels(windows.levels, lengths, max_tokens=reader.max_tokens)
    tokens, usable = hide_unscorable(tokens, np.cumsum(lengths) - lengths, windows.unscorable)
    counts = np.bincount(tokens.rows_of, weights=usable.sum(axis=1), minlength=lengths.size).astype(np.int64)
    return WindowTokens(tokens, usable, counts)


@torch.inference_mode()
def classify_windows(
    head: WindowHead, reader: TokenReader, lead: LeadLevels, r_peaks: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Give each beat the probability of each AAMI class, from the window around it alone.

    Parameters
    ----------
    head : WindowHead
    reader : TokenReader
    lead : LeadLevels
    r_peaks : ndarray of int64, shape (n_beats,)
        Samples of `lead`.

    Returns
    -------
    probabilities : ndarray of float32, shape (n_beats, 5)
        A window without any scorable token has those that the head gives to nothing.
    """
    probabilities = np.zeros((r_peaks.size, len(AamiClass)), dtype=np.float32)
    for start in range(0, r_peaks.size, _WINDOWS_AT_A_TIME):
        rows = slice(start, start + _WINDOWS_AT_A_TIME)
        windows = tokenize_windows(*cut_windows(lead, r_peaks[rows], head.window_samples), reader)
        embedded = embed(reader.encoder, windows.tokens, layer=head.layer)
        covering = windows.tokens.offsets[..., 1] > windows.tokens.offsets[..., 0]
        states = torch.from_numpy(embedded.last[windows.usable[covering]])
        logits = head.network(states, torch.from_numpy(windows.counts)) / head.temperature
        probabilities[rows] = torch.softmax(logits, dim=-1).numpy()
    return probabilities
