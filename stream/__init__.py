"""wurao's programs around the register of wills: wire, decision, read model, and the processes that run them.

Imports point one way, `cli → filter, enforce, archive → registry, policy → model → bloom`, and import-linter holds
them so (`make lint`). Nothing is imported here: the name of the package must cost nothing to load.
"""
