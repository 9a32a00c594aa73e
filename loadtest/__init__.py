"""Measurements: how fast, how much memory, how long until a word is in force; beside others on the same
broker.

Every figure says what it was measured with. Programs are measured from outside, as processes of their own,
by the records that they have put out and the processor time that the kernel has charged them. Never part of
what is installed; never a figure without its spread.
"""
