"""Stage 1 of 7: record file -> Record. What a channel's name says about it."""

import re
from typing import Literal

# Words in front of the lead itself, as in "ECG II", "Lead II", "mod.V1", "EEG EKG1-REF".
_PREFIX = re.compile(r"^(?:eeg\s+(?=e[ck]g)|e[ck]g|lead|ch(?:annel)?|mod(?:ified)?\b)[\s_.:\-]*")
_SUFFIX = re.compile(r"(?:[\s_\-](?:ref|le|raw|filtered|lead)|[\s,;:.+])$")
_HAS_ECG = re.compile(r"(?<![a-z])(?:ecg|ekg|electrocardiogram|elektrokardiogramm)(?![a-z])")
# Values derived from an ECG, as in "ECG HR" or "ECG impedance", are no ECG.
_DERIVED = re.compile(r"(?<![a-z])(?:hr|rate|resp\w*|imp\w*|quality|status|events?)(?![a-z])")
_LEAD = re.compile(
    r"i{1,3}|d(?:i{1,3}|[1-4])|av[rlf]|-avr|v|v[1-9]|v[1-9]r|v[1-9]-v[1-9]|v[xyz]"
    r"|ml(?:i{1,3}|[1-6])|mv[1-9]|mcl[1-9]?|c[bcmrs][1-6]|mod\.?v[1-9]|[ae]-[is]"
    r"|(?:la|ra|ll|rl)-(?:la|ra|ll|rl)"
)
_OTHER = re.compile(
    r"(?<![a-z])(?:eeg|eog|emg|erg|resp\w*|thor\w*|abdo\w*|chest|effort|nasal|nose|oral|\w*flow|cannula|therm\w*"
    r"|snor\w*|mic\w*|sound|rip|sum|leg|chin|tibi\w*|loc|roc|a?bp|ibp|nibp|art\w*|pap?|cvp|icp|\w*pressure|press"
    r"|co|sv|s[ap]?o2\w*|s[pa]o2\w*|osat|sat|pleth\w*|ppg|pulse\w*|hr|heart\W?rate|bpm|rr|temp\w*|body|pos\w*|light"
    r"|acc\w*|gyro\w*|imp\w*|eda|gsr|scr|(?:et)?co2|o2|stat|annotations?|status|trig\w*|mark\w*|events?|battery|gain"
    r"|time\w*|timestamps?|seconds?|milliseconds?|elapsed|date\w*|epoch|index|idx|sample\w*|unnamed|labels?)(?![a-z])"
)
# Electrode positions of the 10-20 system and of the eyes, alone or against a reference.
_SCALP = re.compile(r"(?:fp[12z]|f[3478z]|c[34z]|p[34z]|o[12z]|t[3-6]|m[12]|e[12]|a[12])(?:[\-:/](?:\w+))?|t|s|sec|ms")

_PREFERENCE = (
    re.compile(r"ii|mlii|ml2|dii|d2|ll-ra"),
    re.compile(r"i|mli|ml1|di|d1|la-ra"),
    re.compile(r"v5|ml5|mv5|c[bcmrs]5"),
    re.compile(r"v2|mv2|c[bcmrs]2"),
    re.compile(r"v1|mv1|mcl1|c[bcmrs]1"),
)


def channel_kind(name: str) -> Literal["ecg", "other", "unknown"]:
    """Say from a channel's name whether it is an ECG lead.

    Parameters
    ----------
    name : str
        Name in the file, without unit.

    Returns
    -------
    kind : {"ecg", "other", "unknown"}
        ``"other"`` for a name that says something else (respiration, EEG, pressure, time, ...),
        ``"unknown"`` for one that says nothing, such as ``"channel 1"``.

    Examples
    --------
    >>> [channel_kind(name) for name in ("MLII", "EEG (C4-A1)", "channel 1")]
    ['ecg', 'other', 'unknown']
    """
    text = name.strip().casefold()
    if "annotations" in text:
        return "other"
    if _HAS_ECG.search(text):
        return "other" if _DERIVED.search(text) else "ecg"
    if _LEAD.fullmatch(_lead_part(name)):
        return "ecg"
    if not text or _OTHER.search(text) or _SCALP.fullmatch(text):
        return "other"
    return "unknown"


def order_of_preference(name: str) -> int:
    """Rank a channel as the lead to analyse where none is chosen; the smallest rank comes first.

    The order is II and its modified forms (MLII, D2), I, V5 and its modified forms (ML5, CM5), V2, V1, any
    other name of an ECG lead, any other name. Equal ranks keep the order of the file.

    Parameters
    ----------
    name : str

    Returns
    -------
    rank : int
        0 to 6.

    Examples
    --------
    >>> sorted(["V1", "ECG", "V5", "MLII"], key=order_of_preference)
    ['MLII', 'V5', 'V1', 'ECG']
    """
    lead = _lead_part(name)
    for rank, pattern in enumerate(_PREFERENCE):
        if pattern.fullmatch(lead):
            return rank
    return len(_PREFERENCE) + (channel_kind(name) != "ecg")


def _lead_part(name: str) -> str:
    """Return a name in lower case without words around the lead itself."""
    text = name.strip().casefold()
    shorter = _SUFFIX.sub("", _PREFIX.sub("", text)).strip()
    while shorter != text:
        text, shorter = shorter, _SUFFIX.sub("", _PREFIX.sub("", shorter)).strip()
    return text
