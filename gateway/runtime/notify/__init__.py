"""Tell a person by webhook and e-mail when an incident opens and closes."""
