"""Results for people to look at: a page for each video, an index of many, and copies that browsers play."""
