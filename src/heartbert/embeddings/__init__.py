"""Stage 6 of 7: tokens -> embeddings."""
