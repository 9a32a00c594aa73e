"""The read model: one pure fold of all registry records, and the ways to fill it from snapshots and topics."""
