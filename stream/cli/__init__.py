"""The command line: one file per command, each adding its own parser. The rim: here things are read and printed."""
