"""Inspect a dataset: `scan` reads every file, `findings` says what is wrong, `show` prints and draws the result."""
