"""The command line: one file per command, each adding its own parser. Arguments are read and results printed here."""
