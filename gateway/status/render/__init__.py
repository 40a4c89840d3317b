"""HTML of the status page: templates, pages, words and static files."""
