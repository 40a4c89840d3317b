"""Search networks that a person has named: what hosts announce there, and what each adapter finds."""
