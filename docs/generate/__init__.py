"""Documents that are made from the code, so that they cannot drift from it: `make docs` writes them.

Each module here has a `TARGET` (its path from the top of the repository) and `render`; a test compares the two.
"""
