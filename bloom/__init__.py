"""Who wants what: every subscriber's refusals and consents, held exactly and in memory.

`number` turns a subscriber's text into an integer, `partition` into its place in Kafka, `wills` has the rules
by which expressions become refusals and consents, `bitmaps` the Roaring sets that hold them, `snapshot` the file that
keeps them, and `signatures` tells who wrote a file. Nothing here knows a topic, a clock or a log.
"""
