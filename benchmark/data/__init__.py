"""The data: decoded once into a memory-mapped cache with a manifest (`cache`); then batches on the device."""
