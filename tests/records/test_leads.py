"""What channel names say."""

import pytest

from heartbert.records.leads import channel_kind, order_of_preference

ECG = """I II III aVR aVL aVF AVR V1 V2 V9 V3R MLI MLII MLIII ML5 ML2 MV1 MV2 CM5 CM2 CC5 D3 D4 vx VY vz MCL1 V|ECG|ECG1
ECG2|EKG|ECG II|Lead II|ECG LA-RA|mod.V1|E-S|A-I|V1-V2|ecg_I|II,|EEG EKG1-REF|LL-RA|ECG (raw)|I+|LEAD V5|ECG-V1"""
OTHER = """RESP EEG EOG EMG BP ABP ART CVP PAP SV SO2 SpO2 SaO2 PLETH PPG time Time timestamp index HR F3-M2 C4-A1 E1-M2
EEG (C4-A1)|EOG (right)|EMG chin|Resp (sum)|Resp (nasal)|EDF Annotations|BDF Annotations|EEG Fpz-Cz|ECG HR|Position
Body temp|Thorax|Abdomen|Airflow|sample #|Heart rate|ETCO2|time_ms"""


def _split(text: str) -> list[str]:
    return [name for line in text.splitlines() for name in (line.split("|") if "|" in line else line.split())]


@pytest.mark.parametrize("name", [n for each in _split(ECG) for n in (each.split() if "aVF" in each else [each])])
def test_channel_kind_is_ecg_for_lead_names(name: str) -> None:
    """A missed lead name would hide the ECG of a record."""
    assert channel_kind(name) == "ecg"


@pytest.mark.parametrize("name", _split(OTHER))
def test_channel_kind_is_other_for_names_of_other_signals(name: str) -> None:
    """Respiration or EEG analysed as an ECG gives confident nonsense."""
    assert channel_kind(name) == "other"


@pytest.mark.parametrize("name", ["channel 1", "signal", "lead", "data", "record 100, signal 0", "x"])
def test_channel_kind_is_unknown_for_names_that_say_nothing(name: str) -> None:
    """Such a channel may be an ECG, but a named lead must win."""
    assert channel_kind(name) == "unknown"


def test_order_of_preference_follows_documented_order_when_sorted() -> None:
    """The lead chosen by default must not depend on the file's order."""
    names = ["channel 1", "RESP", "aVR", "ECG1", "V1", "V2", "CM5", "I", "ECG II"]
    assert sorted(names, key=order_of_preference) == [
        "ECG II", "I", "CM5", "V2", "V1", "aVR", "ECG1", "channel 1", "RESP",
    ]  # fmt: skip


def test_order_of_preference_keeps_file_order_when_ranks_are_equal() -> None:
    """Two unnamed electrodes are equally good; the first one is taken."""
    assert min(["ECG1", "ECG2", "III"], key=order_of_preference) == "ECG1"
    assert order_of_preference("MLII") == order_of_preference("D2") == order_of_preference("ii")
