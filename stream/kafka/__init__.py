"""Everything wurao knows about Kafka: making clients, keeping them, making and checking topics.

One client kit, for every process that stays while brokers come and go:

* `durable.DurableProducer` writes until it is acknowledged, and recreates its producer where that failed. Give it what
  to send as a coroutine function of the producer; `once` is one attempt, for whoever tells its own caller.
* `group.commit_owned` commits offsets of partitions that are ours, and says which. What it raises is final: whatever
  task of a process awaits it, let that end the process.
* `group.RebalanceListener` hands a group's changes on. aiokafka logs what a listener raises and goes on as if nothing
  was; run the loop that reads within `guard`, and it ends with that instead.
* `retry.Retry` stands between attempts at a broker: it tells once and then counts, and its pauses grow.
* `closing.close_within` closes clients, all at once and within one bound, and cuts off what does not close by itself;
  `closing.work_until` does a process's work until it is asked to end, whatever that waits for at the moment.
* `brokers.Brokers` asks time and again whether they are there: for readiness, and for one line of log an outage.

Nothing is imported here: a filter worker must not load what only another process needs.
"""
