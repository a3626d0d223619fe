"""From facts to orders: demand, models, rehearsal, plan and what people overrode."""
