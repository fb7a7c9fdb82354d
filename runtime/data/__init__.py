"""Images, masks and data sets: reading, checking, auditing and splitting them."""
