"""Reading, checking, auditing and splitting of data sets; images and masks."""
