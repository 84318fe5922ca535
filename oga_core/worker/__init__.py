"""Jobs in a process of their own: limited, and jailed where the system can."""
