"""Commands that are not the experiment."""
