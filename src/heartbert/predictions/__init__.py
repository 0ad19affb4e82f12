"""Stage 7 of 7: embeddings -> predictions."""
