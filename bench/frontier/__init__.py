"""Which of several measured files is worth its compute: dominated ones, and one for a budget."""
