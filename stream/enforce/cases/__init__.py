"""Cases under way: kept, their timers, what comes in and goes out, and the runtime that steps them.

Decoding, store, timers, offsets and outbox are pure; the runtime, the reader and recovery speak to Kafka.
"""
