"""Turn records into tables: `tables` groups and ranks them, `columns` defines the columns, `formats` and `page` write."""
