"""The commands of `python -m concat_id`: the options of each, and what it does with them."""
