"""Say what the page says in the language of its reader: English stands in the source, each other language in one `.po` file."""
