"""Feature files, lists of them, and the note on how they were made."""
