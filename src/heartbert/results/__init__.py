"""What a person reads: plots, the report, files for other programs."""
