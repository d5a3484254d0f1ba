"""Records -> tables: `tables` groups and scores them, `columns` says what is shown, `formats` writes it. No torch."""
