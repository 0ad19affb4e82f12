"""Stage 1 of 7: record file -> Record. Units of amplitude, and how a channel is delivered in mV."""

import re
from dataclasses import dataclass

from heartbert.errors import ConfigError
from heartbert.records.leads import channel_kind
from heartbert.records.record import ChannelKind

# Delivered unit of an ECG whose amplitude is unknown ("no unit" in WFDB files).
UNKNOWN_UNIT = "NU"

_MV_PER_UNIT = {"v": 1000.0, "mv": 1.0, "uv": 0.001, "nv": 1e-6}
_SPELLED = re.compile(r"(milli|micro|nano)?volts?")
_PREFIX_OF = {None: "", "milli": "m", "micro": "u", "nano": "n"}
# Units that say nothing about the amplitude.
_MEANINGLESS = {
    "",
    "nu",
    "adu",
    "au",
    "a.u.",
    "a.u",
    "n/a",
    "na",
    "count",
    "counts",
    "digital",
    "unit",
    "units",
    "?",
}
_BRACKETED = re.compile(r"(?P<name>.+?)\s*[(\[]\s*(?P<unit>[^()\[\]]*?)\s*[)\]]\s*")
_UNDERSCORED = re.compile(r"(?P<name>.+?)[_ ](?P<unit>[mu\u00b5\u03bc]v)", re.IGNORECASE)
_NAMED_UNITS = {
    "%",
    "mmhg",
    "bpm",
    "l",
    "l/min",
    "cmh2o",
    "degc",
    "°c",
    "hz",
    "s",
    "ms",
    "g",
    "ohm",
} | _MEANINGLESS


@dataclass(frozen=True)
class Delivery:
    """How a channel leaves its file: its kind, the factor on its values, and the unit after that."""

    kind: ChannelKind
    factor: float
    unit: str


def mv_per_unit(unit: str) -> float | None:
    """Return how many mV one `unit` is, in any spelling and case, or None if it is no voltage.

    Examples
    --------
    >>> mv_per_unit("V"), mv_per_unit("microvolt"), mv_per_unit("mmHg")
    (1000.0, 0.001, None)
    """
    text = unit.strip().replace("\u00c2", "").casefold().replace("\u00b5", "u").replace("\u03bc", "u")
    spelled = _SPELLED.fullmatch(text)
    return _MV_PER_UNIT.get(_PREFIX_OF[spelled[1]] + "v" if spelled else text)


def check_unit(unit: str | None) -> None:
    """Refuse a unit chosen by the caller that is none of V, mV and uV.

    Raises
    ------
    ConfigError
    """
    if unit is not None and unit not in {"V", "mV", "uV", "\u00b5V", "\u03bcV"}:
        raise ConfigError(f"unit is '{unit}'; allowed are 'V', 'mV' and 'uV'. Choose one with --unit or unit=...")


def deliver(name: str, file_unit: str, unit: str | None) -> Delivery:
    """Decide kind, factor and unit of a channel.

    ECG leads and channels of unknown kind are delivered in mV, or with unit ``"NU"`` and their values as they
    are where the file gives no voltage. Other channels keep the unit of their file. A channel whose name says
    nothing but whose unit is, for example, mmHg is no ECG.

    Parameters
    ----------
    name : str
        Channel name without unit.
    file_unit : str
        Unit in the file, ``""`` if it has none.
    unit : str or None
        Unit given by the caller for every possible ECG; it wins over the file's.
    """
    kind = channel_kind(name)
    if kind == "unknown" and mv_per_unit(file_unit) is None and file_unit.strip().casefold() not in _MEANINGLESS:
        kind = "other"
    if kind == "other":
        return Delivery(kind, 1.0, file_unit)
    factor = mv_per_unit(unit if unit is not None else file_unit)
    return Delivery(kind, 1.0, UNKNOWN_UNIT) if factor is None else Delivery(kind, factor, "mV")


def split_unit(name: str) -> tuple[str, str]:
    """Split a column's name such as ``"II (mV)"``, ``"ECG [uV]"`` or ``"II_mV"`` into name and unit.

    Examples
    --------
    >>> split_unit("II (mV)"), split_unit("V5_uV"), split_unit("V5 (filtered)")
    (('II', 'mV'), ('V5', 'uV'), ('V5 (filtered)', ''))
    """
    name = name.strip()
    bracketed = _BRACKETED.fullmatch(name)
    if bracketed and (mv_per_unit(bracketed["unit"]) or bracketed["unit"].casefold() in _NAMED_UNITS):
        return bracketed["name"], bracketed["unit"]
    underscored = _UNDERSCORED.fullmatch(name)
    return (underscored["name"], underscored["unit"]) if underscored else (name, "")
