"""The command line: each command parses its options, builds one settings object and calls one function."""
