"""From sources to encoded snippets, for every command that reads videos."""
