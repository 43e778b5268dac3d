"""From a query log to the tail queries worth labelling: read, merged, cut, thinned, sampled, and reported."""
