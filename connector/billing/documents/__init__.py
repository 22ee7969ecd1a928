"""The document of an invoice, as people see it: one frozen value, drawn as a web page and as a PDF."""
