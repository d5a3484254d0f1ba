"""Turn records into tables: `tables` groups and ranks, `columns` defines the columns, `formats` and `page` write."""
