"""What a person reads: plots, the report, files for other programs."""

from heartbert.results.summary import DISCLAIMER, Summary, readable_rows, summarise
from heartbert.results.writing import write_results

__all__ = ["DISCLAIMER", "Summary", "readable_rows", "summarise", "write_results"]
