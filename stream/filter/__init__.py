"""The data plane: batches of events in, batches of decisions out. Stateless but for its copy of the registry."""
