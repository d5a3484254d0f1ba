"""Make the network that ships with `bench denoise`, and judge it (`make weights`, `make rivals`; docs/denoise.md).

`invent` draws birds and noises that no recording has, `scenes` mixes them with the recordings of dawn's training split,
`train` trains on such scenes until the time is over, `card` describes what came out, and `judge` compares it with what
people use today on birds that it never heard.
"""
