"""How long tests wait for what must come: longer than any machine takes, since what is waited for is the measure."""

from typing import Final

LONG_S: Final = 240.0
"""No test passes by this bound or fails by less: it ends those that would wait for ever, before pytest does (600 s)."""
