"""Real peers for tests: started on a free port in a folder of their own, awaited until ready, and surely stopped."""
