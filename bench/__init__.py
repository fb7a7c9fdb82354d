"""What a network costs beside what it scores."""
