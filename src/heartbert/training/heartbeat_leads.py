"""Annotated recordings -> leads as levels with labelled beats: what is needed to train an encoder on heartbeats."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heartbert.predictions.beat_windows import LeadLevels
from heartbert.preprocessing import Preprocessing
from heartbert.records import read_record
from heartbert.training.heartbeats import AnnotatedBeats, BeatSource, label_beats


@dataclass(frozen=True)
class LabelledLead:
    """A lead whose beats have labels; two bytes a sample.

    Attributes
    ----------
    beats : AnnotatedBeats
        Without embeddings: the encoder that makes them changes.
    lead : LeadLevels
        From the start of the recording to its end.
    """

    beats: AnnotatedBeats
    lead: LeadLevels


def read_labelled_lead(
    preprocessing: Preprocessing, path: Path, *, annotator: str = "atr", beats: BeatSource = "detected"
) -> LabelledLead:
    """Read the lead of an annotated recording that is analysed by default; see `label_beats`.

    Raises
    ------
    RecordFormatError
        If the annotation file holds no beat.
    ConfigError
        If reference beats lie outside the recording, or two of them at one sample.
    """
    labelled, scaling = label_beats(preprocessing, path, annotator=annotator, beats=beats)
    levels, unscorable = [], []
    for block in preprocessing.stream(read_record(path).lead()):
        levels.append(preprocessing.codebook.quantize(scaling.apply(block.inner_signal)))
        unscorable.append(block.inner_codes != 0)
    return LabelledLead(labelled, LeadLevels(np.concatenate(levels), np.concatenate(unscorable)))
