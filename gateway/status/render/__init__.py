"""HTML of the status page: templates, pages, formatting, paging and static files."""
