"""Clean recordings with a trained network (`bench denoise`).

`choose_run` finds the run, `cleaner` gives its network's mask of a sound in Hz and seconds, `clean` applies the mask to
the spectrum of the recording and writes the result, and `overview` draws it.
"""
