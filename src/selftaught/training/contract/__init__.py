"""The contract of tasks, held for any task before it trains."""
