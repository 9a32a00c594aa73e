"""The registrar: the one door to the registry (DESIGN section 14)."""
