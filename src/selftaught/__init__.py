"""selftaught: learn visual features from unlabelled data, and measure what they are worth."""
