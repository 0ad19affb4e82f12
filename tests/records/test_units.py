"""Units of amplitude and names of columns."""

import pytest

from heartbert.errors import ConfigError
from heartbert.records.units import Delivery, check_unit, deliver, mv_per_unit, split_unit


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("V", 1000),
        ("mV", 1),
        ("MV", 1),
        ("uV", 0.001),
        ("µV", 0.001),
        ("μV", 0.001),
        ("UV", 0.001),
        ("Âµv", 0.001),
        ("microvolt", 0.001),
        ("Millivolts", 1),
        ("volt", 1000),
        ("nV", 1e-06),
        ("mmHg", None),
        ("", None),
        ("NU", None),
    ],
)
def test_mv_per_unit_reads_every_spelling(unit: str, factor: float | None) -> None:
    """A misread unit is an amplitude wrong by a factor of 1000."""
    assert mv_per_unit(unit) == factor


@pytest.mark.parametrize(
    ("name", "unit", "given", "expected"),
    [
        ("II", "uV", None, Delivery("ecg", 0.001, "mV")),
        ("II", "adu", None, Delivery("ecg", 1.0, "NU")),
        ("II", "", "V", Delivery("ecg", 1000.0, "mV")),
        ("II", "mV", "uV", Delivery("ecg", 0.001, "mV")),
        ("BP", "mmHg", "uV", Delivery("other", 1.0, "mmHg")),
        ("channel 1", "", None, Delivery("unknown", 1.0, "NU")),
        ("channel 1", "mmHg", None, Delivery("other", 1.0, "mmHg")),
    ],
)
def test_deliver_gives_mv_where_the_unit_is_known(name: str, unit: str, given: str | None, expected: Delivery) -> None:
    """Everything after the readers relies on mV or an explicit unknown amplitude."""
    assert deliver(name, unit, given) == expected


@pytest.mark.parametrize(
    ("column", "name", "unit"),
    [
        ("II (mV)", "II", "mV"),
        ("ECG [uV]", "ECG", "uV"),
        ("II_mV", "II", "mV"),
        ("V1_µV", "V1", "µV"),
        ("V5 (filtered)", "V5 (filtered)", ""),
        (" I ", "I", ""),
        ("BP (mmHg)", "BP", "mmHg"),
        ("V1", "V1", ""),
    ],
)
def test_split_unit_takes_only_units_off_the_name(column: str, name: str, unit: str) -> None:
    """A remark in brackets is part of the name, a unit is not."""
    assert split_unit(column) == (name, unit)


def test_check_unit_names_choices_when_unit_is_unknown() -> None:
    """The caller must learn what is allowed."""
    check_unit("µV")
    with pytest.raises(ConfigError, match=r"unit is 'kV'; allowed are 'V', 'mV' and 'uV'"):
        check_unit("kV")
