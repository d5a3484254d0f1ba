"""Files become arrays: read, rendered, validated, decoded once into a memory-mapped `cache`, locked by a `manifest`."""
