"""Which training rows made a language model say something: one gradient, then the rows for it and against it."""
