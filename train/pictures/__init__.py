"""Reference pictures from rendered truth, as the product prepares a user's."""
