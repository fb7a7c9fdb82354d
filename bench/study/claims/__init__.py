"""The claims of the paper, each with a measure, and what this study says of them."""
