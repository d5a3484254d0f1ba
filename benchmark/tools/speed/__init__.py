"""`bench speed`: how fast a network is, and what limits it.

session     all networks, each in a fresh process
measure     one network: cost, throughput, latency, memory
ceiling     what the device can do at most, and what a training step needs
report      table, CSV and Markdown
"""
