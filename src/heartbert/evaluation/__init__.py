"""Predictions -> scores: splits without leaks, and metrics."""
