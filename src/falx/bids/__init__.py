"""BIDS: the only room that knows how files are called."""
