"""Stage 2 of 7: Record -> signal."""
