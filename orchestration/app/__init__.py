"""Use cases that every face shares: an actor and a home in, a result out."""
