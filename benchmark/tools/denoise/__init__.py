"""A trained entry cleans recordings.

`choose` finds the run, `cleaner` shows a sound to its network as the network's data were rendered and gives a mask in
Hz and seconds, `files` lays that mask on the recording's own spectrum and writes what is left, `overview` draws it.
"""
