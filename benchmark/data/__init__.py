"""The data: decoded once into a memory-mapped `cache` with a `manifest`; then `batches` on the device."""
