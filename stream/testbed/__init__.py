"""A genuine Kafka on this machine, a sample registry, traffic for it, and the processes: for demo, tests and loadtest.

Nothing here may be imported by what runs in production.
"""
