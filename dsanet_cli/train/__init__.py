"""Training the head on feature files with labels of whole videos."""
