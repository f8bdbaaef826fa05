"""The pages: a module each, which turns what the REST interface says into HTML for one person's question."""
