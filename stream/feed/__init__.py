"""Between the topics and the registry: followed, snapshot, read from and written to files and topics."""
