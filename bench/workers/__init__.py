"""Worker processes for measurements: requests and answers are lines of JSON."""
