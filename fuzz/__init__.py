"""Coverage-guided fuzzing of every decoder, and of the machines behind them: `make fuzz`."""
