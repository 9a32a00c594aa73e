"""Letters in Chinese for the people whom a notice is for, from templates that a body may replace. Pure.

Plain and formal, for a law officer to read: which article, which channel, which measure and for how long, what
happened, and where to appeal. Nobody reads in a letter what is not theirs to know: where it is not the user who is
addressed, numbers in what people wrote are stars.
"""

from stream.letters.letter import written
from stream.letters.template import Templates, read

__all__ = ["Templates", "read", "written"]
