"""The errors that heartbert raises on purpose, all with a message that says what to do next.

::

    HeartbertError
    ├── RecordFormatError    the file cannot be read as a recording
    ├── LeadNotFoundError    the record has no such lead
    ├── SignalValueError     samples that cannot be processed: NaN, a wrong unit, a constant
    ├── SignalTooShortError  fewer samples than the task needs
    ├── TextError            a text that the alphabet or the tokenizer does not know
    ├── ConfigError          a setting that is unknown, out of range or contradicts another
    ├── LeakageError         a split in which training and test share a person or a recording
    ├── BundleError          a bundle or a corpus that is missing, damaged or inconsistent
    └── DatabaseError        a database's file that cannot be fetched, or a list of its files that is damaged
        └── FileNotOnServerError
"""


class HeartbertError(Exception):
    """Root of all errors raised on purpose; the command line prints its message and exits with 1."""


class RecordFormatError(HeartbertError):
    """The file cannot be read as a recording."""


class LeadNotFoundError(HeartbertError):
    """The record has no lead of that name, or no ECG lead at all."""


class SignalValueError(HeartbertError):
    """The samples cannot be processed as they are."""


class SignalTooShortError(HeartbertError):
    """The signal has fewer samples than the task needs."""


class TextError(HeartbertError):
    """The text contains characters outside the alphabet or does not fit the tokenizer."""


class ConfigError(HeartbertError):
    """A setting is unknown, out of range or contradicts another."""


class LeakageError(HeartbertError):
    """Training and test data share a person, a recording or anything fitted on the test side."""


class BundleError(HeartbertError):
    """A bundle or corpus is missing, damaged or inconsistent."""


class DatabaseError(HeartbertError):
    """A file of a database cannot be fetched, or the list of its files is missing or damaged."""


class FileNotOnServerError(DatabaseError):
    """The server has no such file."""
