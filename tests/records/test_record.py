"""Records and their leads."""

from pathlib import Path

import numpy as np
import pytest

from heartbert.errors import LeadNotFoundError
from heartbert.records import Channel, Record
from heartbert.records.leads import channel_kind
from heartbert.records.record import ArraySource


def _record(*names: str) -> Record:
    values = np.arange(5, dtype=np.int16)
    channels = [Channel(n, 10.0, "mV", 5, channel_kind(n), ArraySource(values, 0.5)) for n in names]
    return Record("100", "100", tuple(channels), None, Path("100.hea"))


def test_channel_read_clips_to_its_samples_and_applies_the_factor() -> None:
    """Callers read past the end to fill windows."""
    channel = _record("II").channels[0]
    np.testing.assert_array_equal(channel.read(-2, 99), np.arange(5, dtype=np.float32) / 2)
    assert channel.read(3).dtype == np.float32
    assert channel.duration_s == 0.5


def test_array_source_gives_nan_for_values_that_are_no_samples() -> None:
    """Missing samples have one form, whatever stands in the file."""
    values = np.array([1.0, np.inf, 1e300, np.nan])
    np.testing.assert_array_equal(ArraySource(values).read(0, 4), [1, np.nan, np.nan, np.nan])


def test_lead_chooses_by_preference_when_no_name_is_given() -> None:
    """Record 114 of mitdb stores MLII second; it must still be the default."""
    assert _record("V5", "MLII").lead().name == "MLII"
    assert _record("RESP", "channel 1").lead().name == "channel 1"


def test_lead_takes_any_channel_when_named() -> None:
    """A person may know better than the names."""
    assert _record("RESP", "II").lead("resp").kind == "ecg"


def test_lead_names_what_there_is_when_missing() -> None:
    """The message must allow the next command to be right."""
    with pytest.raises(LeadNotFoundError, match="has no lead 'II'; it has 'MLII' and 'V5'"):
        _record("MLII", "V5").lead("II")
    with pytest.raises(LeadNotFoundError, match="named like an ECG lead; it has 'RESP'"):
        _record("RESP").lead()
