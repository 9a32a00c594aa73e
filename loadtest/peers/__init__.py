"""Programs to be measured beside the filter: each a process of its own that runs until it is ended.

All take the same arguments (`arguments.py`), read the same events and write to a topic of their own. Each
says at its head what it does and how it is tuned.
"""
