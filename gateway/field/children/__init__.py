"""Children: which found devices become children, and whether each of them is available."""
