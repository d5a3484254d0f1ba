"""What a run leaves behind: the record and its tables, where they lie, and whether they are consistent."""
