"""Tables in temporary files."""

import numpy as np

from heartbert.records.temporary import temporary_table


def test_temporary_table_returns_appended_rows_when_closed() -> None:
    """A source must stay readable after the reader has returned."""
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    with temporary_table(2, np.float32) as table:
        table.append(rows[:4])
        table.append(rows[4:])
        values = table.values()
    np.testing.assert_array_equal(values, rows)


def test_temporary_table_is_an_empty_array_without_rows() -> None:
    """An empty file cannot be mapped."""
    with temporary_table(2, np.float32) as table:
        assert table.values().shape == (0, 2)
