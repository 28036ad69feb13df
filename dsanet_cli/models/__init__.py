"""Model directories: finding, loading, writing and importing them."""
