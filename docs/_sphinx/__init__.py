"""What the site adds to the pages: contents, generated reference, and a check of the result."""
