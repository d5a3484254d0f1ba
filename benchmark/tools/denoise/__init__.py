"""Clean recordings with a trained network (`bench denoise`, `benchmark.denoise`).

`trained` is the network that ships, or that of a run, which `choose_run` finds. `cleaner` gives its mask of a sound in
Hz and seconds, `section` applies the mask to the spectrum of a part of a recording, and `clean` writes the result of a
whole file: with `measures` and `regions` of the mask, `warn`ings, the `tags` that the recorder wrote, and an `overview`
as a picture. `inputs` says which files become which, and `report` what was done. `arrays` cleans samples in memory.
"""

from benchmark.tools.denoise.arrays import denoise_samples

__all__ = ["denoise_samples"]
