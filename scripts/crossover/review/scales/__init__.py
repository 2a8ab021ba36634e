"""What a pull request weighs itself by: judged by its own scales, and by the base's where it buys more."""
