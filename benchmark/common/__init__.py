"""Errors, files, progress bars and worker processes: nothing here knows about networks or birds."""
