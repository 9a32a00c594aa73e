"""The audit: every decision verified against a registry that is read independently of the filter."""
