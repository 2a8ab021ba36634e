"""One reading under many draws, and under one uncertainty at a time."""
