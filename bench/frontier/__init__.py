"""Which measured files are worth their compute: the Pareto frontier, and one file for a budget."""
