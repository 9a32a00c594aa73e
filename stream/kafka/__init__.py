"""Everything wurao knows about Kafka: making clients, keeping them, making and checking topics, and a genuine broker.

One client kit, for every process that stays while brokers come and go:

* `durable.DurableProducer` writes until it is acknowledged, and makes its producer anew where that failed. Give it what
  to send as a coroutine function of the producer; `once` is one attempt, for whoever tells its own caller.
* `group.commit_owned` commits offsets of partitions that are ours, and says which. What it raises is final: whatever
  task of a process awaits it, let that end the process.
* `group.RebalanceListener` hands a group's changes on. aiokafka logs what a listener raises and goes on as if nothing
  was; run the loop that reads within `guard`, and it ends with that instead.
* `closing.close_within` closes clients, all at once and within one bound, and cuts off what does not close by itself.
* `pulse.Pulse` asks the broker time and again whether it is there: for readiness, and for one line of log an outage.

`local` owns a broker's processes, `java` and `jars` are what they run in and on, `node` says how each is set, and
`guard` sees to it that they never outlive their owner. Nothing is imported here: a filter worker must not load what
only a demo needs.
"""
