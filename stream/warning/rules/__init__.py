"""What early warning finds, purely: sums that decay, limits, and the findings that follow."""
