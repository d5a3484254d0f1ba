"""Make a dataset of mixtures from recordings of song and of background: the clean part of each mixture is known.

`settings` are its numbers, `sources` reads the recordings and splits them, `plan` chooses which song meets which
background, `render` makes one mixture, `make` writes all of them, and `card` describes the dataset.
"""
