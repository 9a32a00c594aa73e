"""The audit: decisions judged again, against a registry of its own reading."""
