"""Recordings of a database -> a table of scores: the protocols by which heartbert is compared with others."""
