"""`bench speed` measures how fast a network is, and what limits it.

session     all networks, each in a fresh process
measure     one network: cost, throughput, latency, memory
ceiling     how fast the device can compute and copy, and what a training step needs
report      table, CSV and Markdown
"""
