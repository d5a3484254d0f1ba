"""`bench data fetch`: public recordings, by a recipe that names each with its address, SHA-256, licence and split.

recipe     datasets/NAME.tsv -> recordings
download   recordings -> files in the user's cache folder, checked
"""
