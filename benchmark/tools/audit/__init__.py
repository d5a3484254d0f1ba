"""What is wrong with a dataset, and what it looks like: `scan` reads every file, `show` prints and draws the result."""
