"""`bench speed`: how fast an architecture is, what bounds it, and how that compares with how people train today.

measure     one entry in a process of its own: cost, throughput, latency, memory
ceiling     what the device can do at most, and what a training step asks of it
rivals      the same training as a notebook does it, and under Lightning
report      table, CSV and Markdown
"""
