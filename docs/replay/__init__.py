"""Running the commands that a page shows, and writing what they print into the page."""
