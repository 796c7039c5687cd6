"""From a user's pictures to what a model is given: read upright, found, cut out, on black."""
