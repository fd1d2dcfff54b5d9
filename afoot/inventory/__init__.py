"""What exists and how it hangs together, as of any time."""
