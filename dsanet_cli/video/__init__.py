"""A video file to snippets: cutting the stream, decoding the pieces, in a process of its own."""
