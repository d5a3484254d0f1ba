"""Stored weights, evaluated again: on the run's own data to verify it, on other data to see how it transfers."""
