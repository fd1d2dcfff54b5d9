"""The lake: what findings rest on and what they say, as Parquet that any engine reads."""
