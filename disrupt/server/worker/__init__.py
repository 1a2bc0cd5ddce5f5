"""What a worker does: it answers lookups and the feed, and relays the rest to the writer."""
