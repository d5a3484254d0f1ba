"""Find, load, build and check plugins."""
