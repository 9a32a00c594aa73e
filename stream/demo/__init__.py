"""The demonstration: a sample registry, traffic for it, and a live view of a genuine filter at work on both.

What is shown is the thing itself: `wurao filter` as a process of its own on a genuine Kafka. Nothing here
may be imported by what runs in production.
"""
