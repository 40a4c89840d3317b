"""Everything that faces Xyte."""
