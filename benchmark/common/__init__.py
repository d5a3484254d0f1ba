"""What any program needs: errors, files, progress, worker processes."""
