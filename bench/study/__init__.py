"""The whole study: data, training, export, evaluation, comparison, report."""
