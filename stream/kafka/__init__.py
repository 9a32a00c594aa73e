"""Everything wurao knows about Kafka: making clients, making and checking topics, and a genuine broker.

`local` owns such a broker's processes, `java` and `jars` are what they run in and on, `node` says how each
is set, and `guard` sees to it that they never outlive their owner. Nothing is imported here: a filter worker
must not load what only a demo needs.
"""
