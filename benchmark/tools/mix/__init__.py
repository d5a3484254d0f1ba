"""Recordings of song and of background -> a dataset of mixtures of which the clean part is known.

`settings` says what is made, `sources` looks at the recordings and splits them, `plan` decides which song meets which
background, `render` makes one mixture, `make` writes them all, `card` describes them.
"""
