"""The files of runs and transfers: their schema, where they lie, how they are written, read and verified."""
