"""How the fitted parts of a bundle are made."""
