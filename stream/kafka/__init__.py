"""Everything wurao knows about Kafka: making clients, making and checking topics, and a genuine broker on this machine.

`local` owns a broker's processes, `jars` what they run on, `guard` that they never outlive their owner. Nothing is
imported here: a filter worker must not load what only a demo needs.
"""
