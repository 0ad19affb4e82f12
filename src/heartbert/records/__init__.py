"""Stage 1 of 7: record file -> Record."""

from heartbert.records.reading import read_annotations, read_record
from heartbert.records.record import Annotations, Channel, Record

__all__ = ["Annotations", "Channel", "Record", "read_annotations", "read_record"]
