"""`crossover plan`: does it pay? The gate's verdict as a report, as JSON, and as charts."""
